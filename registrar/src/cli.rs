//! Our own command line, read into a [`crate::request::Command`] and checked as far as the table and the words themselves
//! tell; other images' command lines are read in [`crate::compat`].

mod args;
mod error;
mod help;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use args::parse;
pub(crate) use error::Error;
pub(crate) use help::HELP;
pub(crate) use values::{emulator_folder, known_targets};
