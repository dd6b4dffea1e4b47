//! Command lines of other images, each turned into a command of ours: a pure function from the words and the
//! environment. Which dialect it is, the first words alone tell; where one of them is ours, the line is ours.
//!
//! | the line begins with | it is read as |
//! |---|---|
//! | the program is called `/register`, `/qus/register`, `/entrypoint.sh` | that image's, whatever follows |
//! | nothing; `--install`, `--uninstall`, `-mount`, `-version`; or the program is called `binfmt` | tonistiigi/binfmt's |
//! | `--reset`, or an option of QEMU's `qemu-binfmt-conf.sh` | multiarch/qemu-user-static's |
//! | `--`, `-s`, `-l`, `-r` | dbhi/qus's |
//! | anything else | our own, in [`crate::cli`] |
//!
//! `--mount DIR` is an option of ours and of tonistiigi's, and is looked past. What is done is not decided here, but
//! the flags and defaults of each are.

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
use std::path::Path;

use crate::cli::{self, Error, emulator_folder};
use crate::flags::Flags;
use crate::request::{BinaryName, Command, CommonArgs, CompatMode, DesiredState, RegisterArgs};
use crate::table::EMULATOR_DIR;

/// Where a variable of the environment is asked for.
type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Words that no line of ours begins with.
const FIRST: [(&[&str], CompatMode); 3] = [
    (&["--install", "-install", "--uninstall", "-uninstall", "-mount", "-version"], CompatMode::Tonistiigi),
    (
        &[
            "--reset",
            "--qemu-path",
            "--qemu-suffix",
            "--persistent",
            "--credential",
            "--ignore-family",
            "-Q",
            "-F",
            "-p",
            "-c",
            "-g",
            "-i",
        ],
        CompatMode::Multiarch,
    ),
    (&["--", "-s", "-static", "--static", "-l", "-list", "--list", "-r"], CompatMode::Qus),
];

/// Entry points of other images, to which their users' manifests lead (`command:`), and whose words follow. Ours follow
/// nalind's `entrypoint.sh`, which prints its usage where there is none.
const ENTRY_POINTS: [(&str, Option<CompatMode>); 3] =
    [("/qus/register", Some(CompatMode::Qus)), ("/register", Some(CompatMode::Multiarch)), ("/entrypoint.sh", None)];

/// Stands for a word that is not UTF-8.
const NO_TEXT: &str = "\u{fffd}";

/// In a user namespace, `userns` says that its handlers are what is wanted: no dialect has a word for that.
const SCOPE: &str = "REGISTRAR_SCOPE";

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
    /// What shows its help.
    pub(crate) fn help_line(self) -> &'static str {
        match self {
            Self::Tonistiigi => "--install all --help",
            Self::Multiarch => "--reset --help",
            Self::Qus => "-- --help",
        }
    }

    /// What its `--help` says.
    pub(crate) fn help(self) -> String {
        help::text(self)
    }

    fn refused(self, cause: impl Into<String>) -> Error {
        Error::Compat { mode: self, cause: cause.into() }
    }
}

/// How to register, as far as dialects differ.
struct CompatOptions {
    targets: Vec<&'static str>,
    /// `P`, `C`, `F`.
    flags: (bool, bool, bool),
    /// That of the emulators, and what has named it.
    folder: Option<(&'static str, String)>,
    naming: Option<BinaryName>,
}

impl CompatOptions {
    /// The same, checked.
    fn request(self, mode: CompatMode, environment: Environment<'_>) -> Result<RegisterArgs, Error> {
        let (preserve_argv0, credentials, fix_binary) = self.flags;
        let flags = Flags::new(preserve_argv0, credentials, fix_binary);
        let mut args = CommonArgs { targets: self.targets, mode: Some(mode), ..CommonArgs::default() };
        let mut emulators = EMULATOR_DIR.into();
        if let Some((from, folder)) = self.folder {
            emulators = emulator_folder(from, OsStr::new(&folder), &flags)?;
            args.emulators_from = from;
        }
        if self.naming.as_ref().is_some_and(|naming| !naming.is_plain()) {
            return Err(mode.refused("neither a slash, a colon nor a control character can stand in emulators' names"));
        }
        match value(environment, SCOPE).as_deref() {
            None => {}
            Some("userns") => args.in_user_namespace = true,
            Some(_) => return Err(mode.refused([SCOPE, ": only userns must be named"].concat())),
        }
        args.desired = DesiredState { emulators, flags, keep_foreign: false };
        args.naming = self.naming;
        Ok(RegisterArgs { args, ..RegisterArgs::default() })
    }
}

/// Reads a command line, the program's own name first, in whatever dialect it is.
pub(crate) fn parse(mut arguments: Vec<OsString>, environment: Environment<'_>) -> Result<Command, Error> {
    match meant(&arguments) {
        Interpretation::Ours => cli::parse(arguments),
        Interpretation::Nalind { from } => {
            arguments.drain(1..from);
            if arguments.len() == 1 {
                arguments.push("--help".into());
            }
            cli::parse(arguments)
        }
        Interpretation::Theirs { mode, from } => {
            // A word that is no text is no option or name either.
            let words: Vec<_> = arguments[from..].iter().map(|word| word.to_str().unwrap_or(NO_TEXT)).collect();
            match mode {
                CompatMode::Tonistiigi => tonistiigi::parse(&words, environment),
                CompatMode::Multiarch | CompatMode::Qus => qemu_binfmt_conf::parse(mode, &words, environment),
            }
        }
    }
}

/// Whose a line is.
enum Interpretation {
    Ours,
    /// Ours, from this word on; a help text if there is none.
    Nalind {
        from: usize,
    },
    /// From this word on.
    Theirs {
        mode: CompatMode,
        from: usize,
    },
}

fn meant(arguments: &[OsString]) -> Interpretation {
    let theirs = |mode, from| Interpretation::Theirs { mode, from };
    if let Some(after) = arguments.iter().take(2).position(|word| is_binfmt(word)) {
        return theirs(CompatMode::Tonistiigi, after + 1);
    }
    match arguments.iter().take(2).enumerate().find_map(|(at, word)| Some((at + 1, entry_point(word, at == 0)?))) {
        Some((from, Some(mode))) => return theirs(mode, from),
        Some((from, None)) => return Interpretation::Nalind { from },
        None => {}
    }
    let mut at = 1;
    while let Some(word) = arguments.get(at) {
        at += match word.to_str() {
            Some("--mount") => 2,
            Some(word) if word.starts_with("--mount=") => 1,
            _ => break,
        };
    }
    let word = |at: usize| arguments.get(at).map(|word| word.to_str().unwrap_or(NO_TEXT));
    let Some(first) = word(at) else { return theirs(CompatMode::Tonistiigi, 1) };
    let (option, value) = first.split_once('=').map_or((first, word(at + 1)), |(option, value)| (option, Some(value)));
    // Ours have no value.
    let mode = match (option, value) {
        ("--preserve-argv0", Some("yes" | "no")) => Some(CompatMode::Multiarch),
        ("-h" | "--help", Some("--")) => Some(CompatMode::Qus),
        _ => FIRST.iter().find(|(words, _)| words.contains(&option)).map(|(_, mode)| *mode),
    };
    mode.map_or(Interpretation::Ours, |mode| theirs(mode, 1))
}

/// The name by which tonistiigi's program is called.
fn is_binfmt(word: &OsStr) -> bool {
    Path::new(word).file_name() == Some(OsStr::new("binfmt"))
}

/// Whose entry point a word is: the program's own name, in whatever folder, or a whole path after it.
fn entry_point(word: &OsStr, is_program: bool) -> Option<Option<CompatMode>> {
    let is_it = |path: &str| word == path || (is_program && Path::new(word).ends_with(&path[1..]));
    ENTRY_POINTS.iter().find(|(path, _)| is_it(path)).map(|(_, mode)| *mode)
}

/// A variable that says something.
fn value(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}
