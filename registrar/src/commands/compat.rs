//! Carries out another image's command line: removes entries, registers, shows the status.
//!
//! Entries of any tool are removed by their names, but none that is not for ELF programs (Python's, WSL's), whatever glob
//! it matches.

use std::ffi::OsStr;

use super::error::Error;
use super::register::{self, Location};
use super::report::DryRun;
use super::{handlers, locate_to_remove, others, status};
use crate::binfmt_misc::{self, Entry};
use crate::commands::status::platforms;
use crate::native;
use crate::output::Output;
use crate::plan::is_ours;
use crate::request::{CommonArgs, CompatCommand, CompatMode, EntryGlob, StatusKind};

/// Advice of ours, and what has the same effect on other images' command lines.
const COMMON_WORDS: [(&str, &str); 4] = [
    ("or: podman unshare registrar register --scope userns", "or with REGISTRAR_SCOPE=userns by podman unshare"),
    ("add --scope userns", "set REGISTRAR_SCOPE=userns"),
    ("--scope userns", "REGISTRAR_SCOPE=userns"),
    (", or --stay;", ";"),
];
const TONISTIIGIS_WORDS: [(&str, &str); 4] = [
    ("; or --no-fix-binary", ""),
    ("--bindir", "QEMU_BINARY_PATH"),
    ("registrar unregister ", "--uninstall "),
    ("registrar register ", "--install "),
];
const SCRIPTS_WORDS: [(&str, &str); 3] =
    [("--no-fix-binary", "--persistent no"), ("--bindir", "--qemu-path"), ("registrar unregister ", "-- -r ")];

/// Start of the magic of entries for ELF programs.
const ELF: &[u8] = b"\x7fELF";

/// Goes on after a failure. Failures are printed last, so that the last line is a cause.
pub(super) fn run(command: &CompatCommand) -> Output {
    let args = &command.request.args;
    let mut parts: Vec<Result<Output, Error>> = Vec::new();
    if !command.remove.is_empty() {
        // `register` exchanges our entries without a gap; do not remove them before.
        let is_exchange = command.registers && !command.request.dry_run;
        let exchanged = if is_exchange { native::foreign_handlers(handlers(args)) } else { Vec::new() };
        let is_exchanged = |name: &OsStr, entry: &Entry| exchanged.iter().any(|handler| is_ours(handler, name, entry));
        parts.push(remove(args, &command.remove, &is_exchanged));
    }
    if !command.passed_over.is_empty() {
        let mut lines = Output::success(String::new());
        command.passed_over.iter().for_each(|name| lines.detail(&format!("installing: {name} skipped: not for Linux")));
        parts.push(Ok(lines));
    }
    if command.registers {
        parts.push(match nothing_to_register(args) {
            Some(cause) => Err(Error::Text(cause)),
            None => {
                register::register(&command.request).or_else(|error| others::running_already(&command.request, error))
            }
        });
    }
    match command.show {
        StatusKind::Nothing => {}
        StatusKind::Platforms => parts.push(Ok(platforms::platforms(args))),
        StatusKind::Status => parts.push(status(args, false, false)),
    }
    parts.extend(command.warning.as_ref().map(|warning| Ok(Output::failure(warning))));
    let parts = parts.into_iter().map(|part| part.unwrap_or_else(Output::from));
    let (bad, good): (Vec<_>, Vec<_>) = parts.partition(Output::is_failure);
    let output = good.into_iter().chain(bad).fold(Output::success(String::new()), Output::chain);
    output.with_words(&COMMON_WORDS).with_words(match args.mode {
        Some(CompatMode::Tonistiigi) => &TONISTIIGIS_WORDS,
        _ => &SCRIPTS_WORDS,
    })
}

/// The message if no emulator has the folder and the names that the user has set.
fn nothing_to_register(args: &CommonArgs) -> Option<String> {
    let naming = args.naming.as_ref().filter(|_| args.targets.is_empty() && handlers(args).is_empty())?;
    let folder = &args.desired.emulators;
    Some(format!("{} {folder}: no {} is there", args.emulators_from.unwrap_or("--bindir"), naming.of_any()))
}

/// Removes the entries that `globs` match, except those that `is_kept` names.
fn remove(args: &CommonArgs, globs: &[EntryGlob], is_kept: &dyn Fn(&OsStr, &Entry) -> bool) -> Result<Output, Error> {
    let location = locate_to_remove(args, DryRun::No)?;
    let output = remove_at(&location, args, globs, is_kept);
    if let Some(mount) = &location.mount {
        mount.unmount_if_unused();
    }
    Ok(output?)
}

fn remove_at(
    location: &Location,
    args: &CommonArgs,
    globs: &[EntryGlob],
    is_kept: &dyn Fn(&OsStr, &Entry) -> bool,
) -> Result<Output, binfmt_misc::Error> {
    let entries = location.entries()?;
    let [mut log, mut failures] = [const { Output::success(String::new()) }; 2];
    let mut say = |name: &OsStr, word: &str| {
        // The other images log no successes.
        if args.mode == Some(CompatMode::Tonistiigi) {
            log.detail(&format!("uninstalling: {}{word}", name.display()));
        }
    };
    let mut names: Vec<_> = entries.names().collect();
    names.sort_unstable();
    for name in names {
        let Some(entry) = entries.get(name) else { continue };
        let mut matching = globs.iter().filter(|glob| glob.matches(name)).peekable();
        if matching.peek().is_none() || is_kept(name, entry) {
            continue;
        }
        let path = location.at.join(name);
        let failure = if let Some(errno) = entry.unreadable {
            binfmt_misc::Error::Read { path, errno }.to_string()
        } else if entry.rule.as_ref().is_some_and(|rule| rule.offset == 0 && rule.magic.starts_with(ELF)) {
            match location.mount.as_ref().map(|mount| mount.remove(name, &|found| found == entry)) {
                Some(Err(error)) => error.to_string(),
                _ => {
                    say(name, " OK");
                    continue;
                }
            }
        } else if matching.all(EntryGlob::is_glob) {
            continue;
        } else {
            format!("{} is not for ELF programs; to remove it: echo -1 > {}", entry.owner(), path.display())
        };
        say(name, " failed");
        failures = failures.with_error(&format!("uninstalling {}: {failure}", name.display()));
    }
    for glob in globs.iter().filter(|glob| !entries.names().any(|name| glob.matches(name))) {
        say(&glob.word, " not found");
    }
    Ok(log.chain(failures))
}
