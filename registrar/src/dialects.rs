//! Command lines of other images, each turned into a command of ours: a pure function from the words and the
//! environment. Which dialect it is, the first words alone tell; where one of them is ours, the line is ours.
//!
//! | the line begins with | it is read as |
//! |---|---|
//! | the program is called `/register`, `/qus/register`, `/entrypoint.sh` | that image's, whatever follows |
//! | nothing; `--install`, `--uninstall`, `-mount`, `-version`; or the program is called `binfmt` | tonistiigi/binfmt's |
//! | `--reset`, or an option of QEMU's `qemu-binfmt-conf.sh` | multiarch/qemu-user-static's |
//! | `--`, `-s`, `-l`, `-r` | dbhi/qus's |
//! | `enable`, `disable` | fkrull's: `register`, `unregister` |
//! | anything else | our own, in [`crate::cli`] |
//!
//! `--mount DIR` is an option of ours and of tonistiigi's, and is looked past. What is done is not decided here, but
//! the flags and defaults of each are.

mod help;
pub(crate) mod names;
mod naming;
mod pattern;
mod script;
mod tonistiigi;
mod words;

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use crate::cli::{self, Asked, Command, Error, Register, emulator_folder};
use crate::flags::Flags;
use crate::plan::Wanted;
use crate::table::EMULATOR_DIR;

pub(crate) use naming::Naming;
pub(crate) use pattern::Pattern;

/// Another image's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Tonistiigi,
    Multiarch,
    Qus,
}

/// What such a line asks for, in the order in which it is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Entries to remove, whosever they are.
    pub(crate) remove: Vec<Pattern>,
    /// How to register, if that is asked for; where to look, in any case.
    pub(crate) request: Register,
    pub(crate) registers: bool,
    pub(crate) show: Show,
    /// What is wrong with names that could not be understood, where the others are to be had all the same.
    pub(crate) complaint: Option<String>,
}

/// What is shown at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    Nothing,
    /// What runs, and which entries there are, as JSON.
    Platforms,
    /// Our own table.
    Status,
}

/// Where a variable of the environment is asked for.
type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Words that no line of ours begins with.
const FIRST: [(&[&str], Dialect); 3] = [
    (&["--install", "-install", "--uninstall", "-uninstall", "-mount", "-version"], Dialect::Tonistiigi),
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
        Dialect::Multiarch,
    ),
    (&["--", "-s", "-static", "--static", "-l", "-list", "--list", "-r"], Dialect::Qus),
];

/// Entry points of other images, to which their users' manifests lead (`command:`), and whose words follow. Ours follow
/// nalind's `entrypoint.sh`, which prints its usage where there is none.
const ENTRY_POINTS: [(&str, Option<Dialect>); 3] =
    [("/qus/register", Some(Dialect::Qus)), ("/register", Some(Dialect::Multiarch)), ("/entrypoint.sh", None)];

/// Stands for a word that is not UTF-8.
const NO_TEXT: &str = "\u{fffd}";

/// In a user namespace, `userns` says that its handlers are what is wanted: no dialect has a word for that.
const SCOPE: &str = "REGISTRAR_SCOPE";

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tonistiigi => "tonistiigi/binfmt",
            Self::Multiarch => "multiarch/qemu-user-static",
            Self::Qus => "dbhi/qus",
        })
    }
}

impl Dialect {
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
        Error::Foreign { dialect: self, cause: cause.into() }
    }
}

/// How to register, as far as dialects differ.
struct How {
    targets: Vec<&'static str>,
    /// `P`, `C`, `F`.
    flags: (bool, bool, bool),
    /// That of the emulators, and what has named it.
    folder: Option<(&'static str, String)>,
    naming: Option<Naming>,
}

impl How {
    /// The same, checked.
    fn request(self, dialect: Dialect, environment: Environment<'_>) -> Result<Register, Error> {
        let (preserve_argv0, credentials, fix_binary) = self.flags;
        let flags = Flags::new(preserve_argv0, credentials, fix_binary);
        let mut asked = Asked { targets: self.targets, dialect: Some(dialect), ..Asked::default() };
        let mut emulators = EMULATOR_DIR.into();
        if let Some((from, folder)) = self.folder {
            emulators = emulator_folder(from, OsStr::new(&folder), &flags)?;
            asked.emulators_from = from;
        }
        if self.naming.as_ref().is_some_and(|naming| !naming.is_plain()) {
            return Err(
                dialect.refused("neither a slash, a colon nor a control character can stand in emulators' names")
            );
        }
        match value(environment, SCOPE).as_deref() {
            None => {}
            Some("userns") => asked.in_user_namespace = true,
            Some(_) => return Err(dialect.refused([SCOPE, ": only userns must be named"].concat())),
        }
        asked.wanted = Wanted { emulators, flags, keep: false };
        asked.naming = self.naming;
        Ok(Register { asked, ..Register::default() })
    }
}

/// Reads a command line, the program's own name first, in whatever dialect it is.
pub(crate) fn parse(mut arguments: Vec<OsString>, environment: Environment<'_>) -> Result<Command, Error> {
    match meant(&arguments) {
        Meant::Ours => cli::parse(arguments),
        Meant::Nalind { from } => {
            arguments.drain(1..from);
            if arguments.len() == 1 {
                arguments.push("--help".into());
            }
            cli::parse(arguments)
        }
        Meant::OurCommand { at, word } => {
            arguments[at] = word.into();
            cli::parse(arguments)
        }
        Meant::Theirs { dialect, from } => {
            // A word that is no text is no option or name either.
            let words: Vec<_> = arguments[from..].iter().map(|word| word.to_str().unwrap_or(NO_TEXT)).collect();
            match dialect {
                Dialect::Tonistiigi => tonistiigi::parse(&words, environment),
                Dialect::Multiarch | Dialect::Qus => script::parse(dialect, &words, environment),
            }
        }
    }
}

/// Whose a line is.
enum Meant {
    Ours,
    /// Ours, from this word on; a help text if there is none.
    Nalind {
        from: usize,
    },
    /// Ours, but for this word.
    OurCommand {
        at: usize,
        word: &'static str,
    },
    /// From this word on.
    Theirs {
        dialect: Dialect,
        from: usize,
    },
}

fn meant(arguments: &[OsString]) -> Meant {
    let theirs = |dialect, from| Meant::Theirs { dialect, from };
    if let Some(after) = arguments.iter().take(2).position(|word| is_binfmt(word)) {
        return theirs(Dialect::Tonistiigi, after + 1);
    }
    match arguments.iter().take(2).enumerate().find_map(|(at, word)| Some((at + 1, entry_point(word, at == 0)?))) {
        Some((from, Some(dialect))) => return theirs(dialect, from),
        Some((from, None)) => return Meant::Nalind { from },
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
    let Some(first) = word(at) else { return theirs(Dialect::Tonistiigi, 1) };
    let (option, value) = first.split_once('=').map_or((first, word(at + 1)), |(option, value)| (option, Some(value)));
    if option == "enable" {
        return Meant::OurCommand { at, word: "register" };
    } else if option == "disable" {
        return Meant::OurCommand { at, word: "unregister" };
    }
    // Ours have no value.
    let dialect = match (option, value) {
        ("--preserve-argv0", Some("yes" | "no")) => Some(Dialect::Multiarch),
        ("-h" | "--help", Some("--")) => Some(Dialect::Qus),
        _ => FIRST.iter().find(|(words, _)| words.contains(&option)).map(|(_, dialect)| *dialect),
    };
    dialect.map_or(Meant::Ours, |dialect| theirs(dialect, 1))
}

/// The name by which tonistiigi's program is called.
fn is_binfmt(word: &OsStr) -> bool {
    Path::new(word).file_name() == Some(OsStr::new("binfmt"))
}

/// Whose entry point a word is: the program's own name, in whatever folder, or a whole path after it.
fn entry_point(word: &OsStr, is_program: bool) -> Option<Option<Dialect>> {
    let is_it = |path: &str| word == path || (is_program && Path::new(word).ends_with(&path[1..]));
    ENTRY_POINTS.iter().find(|(path, _)| is_it(path)).map(|(_, dialect)| *dialect)
}

/// A variable that says something.
fn value(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}
