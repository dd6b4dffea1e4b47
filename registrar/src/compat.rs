//! Command lines of other images, each parsed into one of our commands from the arguments and the environment alone.
//! The first argument decides whose line it is:
//!
//! | the line begins with | it is parsed as |
//! |---|---|
//! | the program is called `/register`, `/qus/register`, `/entrypoint.sh` | that image's, whatever follows |
//! | nothing; `--install`, `--uninstall`, `-mount`, `-version`; or the program is called `binfmt` | tonistiigi/binfmt's |
//! | `--reset`, or an option of QEMU's `qemu-binfmt-conf.sh` | multiarch/qemu-user-static's |
//! | `--`, `-s`, `-l`, `-r` | dbhi/qus's |
//! | anything else | our own, in [`crate::cli`] |
//!
//! A leading `--mount DIR` is skipped: it is an option of ours and of tonistiigi's.

mod binary_name;
mod glob;
mod help;
mod options;
mod qemu_binfmt_conf;
mod tonistiigi;

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cli::{self, Error, SCOPE, emulator_folder, list, scope_environment};
use crate::flags::Flags;
use crate::request::{BinaryName, Command, CommonArgs, CompatMode, DesiredState, RegisterArgs};
use crate::table::EMULATOR_DIR;
use crate::table::names::is_other_system;

pub(crate) use help::help;

/// Reads an environment variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// First arguments that our own command line does not have.
const FIRST: [(&str, CompatMode); 3] = [
    ("--install -install --uninstall -uninstall -mount -version", CompatMode::Tonistiigi),
    (
        "--reset --qemu-path --qemu-suffix --persistent --credential --ignore-family --systemd --debian --exportdir -Q -F -p -c -g -i",
        CompatMode::Multiarch,
    ),
    ("-- -s -static --static -l -list --list -r", CompatMode::Qus),
];

/// Paths of other images' entry points, which manifests name in `command:`. nalind's takes our own command line, and
/// prints its usage if there are no arguments.
const ENTRY_POINTS: [(&str, Option<CompatMode>); 3] =
    [("/qus/register", Some(CompatMode::Qus)), ("/register", Some(CompatMode::Multiarch)), ("/entrypoint.sh", None)];

/// Replaces an argument that is not UTF-8: it is neither an option nor a name.
const NOT_UTF8: &str = "\u{fffd}";

fn text(word: &OsStr) -> &str {
    word.to_str().unwrap_or(NOT_UTF8)
}

impl fmt::Display for CompatMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tonistiigi => "tonistiigi/binfmt",
            Self::Multiarch => "multiarch/qemu-user-static",
            Self::Qus => "dbhi/qus",
        })
    }
}

impl CompatMode {
    fn error(self, cause: impl fmt::Display) -> Error {
        let help = match self {
            Self::Tonistiigi => "--install all --help",
            Self::Multiarch => "--reset --help",
            Self::Qus => "-- --help",
        };
        Error::new(format!("{cause}; parsed as {self}'s command line, see {help}"))
    }
}

/// How to register, where the images differ.
struct CompatOptions {
    targets: Vec<&'static str>,
    flags: Flags,
    /// The emulators' folder, and the option or variable that names it.
    folder: Option<(&'static str, OsString)>,
    naming: Option<BinaryName>,
}

impl CompatOptions {
    fn request(self, mode: CompatMode, environment: Environment<'_>) -> Result<RegisterArgs, Error> {
        let Self { targets, flags, folder, naming } = self;
        let mut args = CommonArgs { targets, mode: Some(mode), ..CommonArgs::default() };
        let mut emulators = EMULATOR_DIR.into();
        if let Some((source, folder)) = folder {
            emulators = emulator_folder(source, &folder, &flags)?;
            args.emulators_from = Some(source);
        }
        if naming.as_ref().is_some_and(|naming| !naming.is_valid()) {
            return Err(mode.error(BinaryName::REFUSED));
        }
        let scope = environment(SCOPE);
        args.in_user_namespace = scope_environment(scope.as_deref()).map_err(|error| mode.error(error))?;
        args.desired = DesiredState { emulators, flags, keep_foreign: false };
        args.naming = naming;
        Ok(RegisterArgs { args, ..RegisterArgs::default() })
    }
}

/// Parses any command line; the first argument is the program's own name.
pub(crate) fn parse(mut arguments: Vec<OsString>, environment: Environment<'_>) -> Result<Command, Error> {
    let (mode, from) = interpretation(&arguments);
    let Some(mode) = mode else {
        let is_entry_point = from > 1 || Path::new(&arguments[0]).ends_with("entrypoint.sh");
        arguments.drain(1..from);
        if arguments.len() == 1 {
            arguments.push("--help".into());
        } else if is_entry_point && arguments.len() == 2 && arguments[1] == "register" {
            // nalind's entry point registers with flag F alone.
            arguments.push("--flags=F".into());
        }
        return cli::parse(arguments);
    };
    let words: Vec<_> = arguments[from..].iter().map(OsString::as_os_str).collect();
    match mode {
        CompatMode::Tonistiigi => tonistiigi::parse(&words, environment),
        CompatMode::Multiarch | CompatMode::Qus => qemu_binfmt_conf::parse(mode, &words, environment),
    }
}

/// Whose the line is (`None`: our own), and the index of its first argument.
fn interpretation(arguments: &[OsString]) -> (Option<CompatMode>, usize) {
    for (at, word) in arguments.iter().take(2).enumerate() {
        // An option's value may end so: --mount=/run/binfmt.
        let is_path = at == 0 || word == "binfmt" || Path::new(word).is_absolute();
        if is_path && Path::new(word).file_name() == Some(OsStr::new("binfmt")) {
            return (Some(CompatMode::Tonistiigi), at + 1);
        }
        // The program's own name in any folder, or a whole path after it.
        let is_it = |path: &str| word == path || (at == 0 && Path::new(word).ends_with(&path[1..]));
        if let Some((_, mode)) = ENTRY_POINTS.iter().find(|(path, _)| is_it(path)) {
            return (*mode, at + 1);
        }
    }
    let mut at = 1;
    while let Some(word) = arguments.get(at) {
        at += match word.as_bytes() {
            b"--mount" => 2,
            word if word.starts_with(b"--mount=") => 1,
            _ => break,
        };
    }
    let [first, next] = [at, at + 1].map(|at| arguments.get(at).map(|word| word.to_string_lossy()));
    let Some(first) = first.as_deref() else { return (Some(CompatMode::Tonistiigi), 1) };
    let attached = first.split_once('=').map(|(option, value)| (option, Some(value)));
    let (option, value) = attached.unwrap_or((first, next.as_deref()));
    let mode = match (option, value) {
        // Our own `--preserve-argv0` has no value.
        ("--preserve-argv0", Some("yes" | "no")) => Some(CompatMode::Multiarch),
        ("-h" | "--help", Some("--")) => Some(CompatMode::Qus),
        _ => FIRST.iter().find(|(words, _)| words.split(' ').any(|word| word == option)).map(|(_, mode)| *mode),
    };
    (mode, 1)
}

/// Sets the platforms of other systems than Linux apart from the other names of these lists.
fn platforms<'a>(lists: &[&'a str]) -> (Vec<&'a str>, Vec<String>) {
    let (others, names): (Vec<_>, Vec<_>) =
        lists.iter().flat_map(|text| list(text)).partition(|name| is_other_system(name));
    (names, others.into_iter().map(str::to_owned).collect())
}

/// An environment variable that is not empty.
fn value(environment: Environment<'_>, name: &str) -> Option<OsString> {
    environment(name).filter(|value| !value.is_empty())
}
