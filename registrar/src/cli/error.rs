//! Why a command line cannot be meant.

use std::fmt;

use crate::output::{CANNOT_RUN, FAILURE};
use crate::request::CompatMode;
use crate::table::TABLE;

/// A command line that cannot be meant. Nothing was done.
#[derive(Debug)]
pub(crate) enum Error {
    Words(lexopt::Error),
    Command(String),
    Architectures(Vec<String>),
    Missing(Vec<String>),
    NotForThis {
        option: &'static str,
        commands: &'static [&'static str],
    },
    Together {
        option: &'static str,
        why: &'static str,
    },
    Flags(String),
    Scope(String),
    NoProgram,
    Timeout(String),
    Emulators {
        source: &'static str,
        folder: String,
        why: &'static str,
    },
    Label {
        source: &'static str,
        word: String,
    },
    Format(String),
    Names,
    Lacks {
        command: String,
        option: &'static str,
    },
    Mount,
    /// Of another image's command line.
    Compat {
        mode: CompatMode,
        cause: String,
    },
    /// Of the command `run`, whose exit statuses are a program's.
    OfRun(Box<Error>),
}

impl Error {
    /// The exit status.
    pub(crate) fn code(&self) -> u8 {
        if matches!(self, Self::OfRun(_)) { CANNOT_RUN } else { FAILURE }
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::Words(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(error) => write!(f, "{error}; see registrar --help"),
            Self::Command(word) => write!(f, "unknown command: {word}; see registrar --help"),
            Self::Architectures(names) => {
                f.write_str("unknown architecture: ")?;
                for (index, name) in names.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    match TABLE.closest(name) {
                        Some(closest) => write!(f, "'{name}' (did you mean {closest}?)")?,
                        None => write!(f, "'{name}'")?,
                    }
                }
                Ok(())
            }
            Self::Missing(names) => {
                write!(f, "not in this image: {}; registrar status shows what is", names.join(", "))
            }
            Self::NotForThis { option, commands } => {
                write!(f, "--{option} is for {}; see registrar --help", commands.join(", "))
            }
            Self::Together { option, why } => write!(f, "--{option} {why}; see registrar --help"),
            Self::Flags(word) => {
                write!(f, "--flags '{word}': capital letters only, such as OCF; see registrar --help")
            }
            Self::Scope(word) => write!(f, "--scope '{word}': only userns must be named; see registrar --help"),
            Self::Timeout(word) => write!(f, "--timeout '{word}': not a number of seconds from 1 to 3600"),
            Self::NoProgram => f.write_str("run: no program; see registrar --help"),
            Self::Emulators { source, folder, why } => write!(f, "{source} '{folder}': {why}"),
            Self::Label { source: "CHCON", word } => {
                write!(f, "CHCON '{word}': only -t TYPE, or a whole label, is understood")
            }
            Self::Label { source, word } => {
                write!(f, "{source} '{word}': not auto, none, a type such as bin_t, or a whole label")
            }
            Self::Format(word) => write!(f, "--format '{word}': not systemd or openrc"),
            Self::Names => f.write_str("unpersist removes all that persist has written; it takes no architectures"),
            Self::Lacks { command, option } => write!(f, "{command} needs {option}; see registrar --help"),
            Self::OfRun(error) => write!(f, "{error}"),
            Self::Compat { mode, cause } => {
                write!(f, "{cause}; this was read as {mode}'s command line, see {}", mode.help_line())
            }
            Self::Mount => f.write_str("--mount '': no folder"),
        }
    }
}
