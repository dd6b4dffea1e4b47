//! Removes named entries of any tool. Entries that are not for ELF programs (Python's, WSL's) are never removed, whatever
//! glob they match.

use std::ffi::OsStr;

use crate::binfmt_misc::{Entry, Error as KernelError};
use crate::commands::error::Error;
use crate::commands::locate_to_remove;
use crate::commands::register::Location;
use crate::commands::report::DryRun;
use crate::output::Output;
use crate::request::{CommonArgs, CompatMode, EntryGlob};

/// Start of the magic of entries for ELF programs.
const ELF: &[u8] = b"\x7fELF";

/// Removes the entries that `globs` match, except those that `is_kept` names.
pub(super) fn remove(
    args: &CommonArgs,
    globs: &[EntryGlob],
    is_kept: &dyn Fn(&OsStr, &Entry) -> bool,
) -> Result<Output, Error> {
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
) -> Result<Output, KernelError> {
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
            KernelError::Read { path, errno }.to_string()
        } else if entry.rule.as_ref().is_some_and(|rule| rule.offset == 0 && rule.magic.starts_with(ELF)) {
            match location.mount.as_ref().map(|mount| mount.remove_listed(name, entry)) {
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
