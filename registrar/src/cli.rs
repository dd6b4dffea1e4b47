//! Parses registrar's own command line into a [`crate::request::Command`]. [`crate::compat`] parses those of other images.

mod args;
mod help;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;

use crate::output::FAILURE;

pub(crate) use args::parse;
pub(crate) use help::HELP;
pub(crate) use values::{SCOPE, binary_environment, emulator_folder, known_targets, list, scope_environment, targets};

/// A refused command line: the message, and the exit status. Nothing was done.
#[derive(Debug)]
pub(crate) struct Error {
    text: String,
    pub(crate) code: u8,
}

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: FAILURE }
    }

    fn usage(text: impl fmt::Display) -> Self {
        Self::new(format!("{text}; see registrar --help"))
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
