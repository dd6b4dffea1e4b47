//! What can be asked of this program. Its command line, from [`words`] to a [`Command`], is checked as far as the table
//! and the words themselves tell; other images' command lines are read in [`crate::compat`].

mod args;
mod error;
mod help;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::compat::{Dialect, Foreign, Naming};
use crate::emulators::Copies;
use crate::persist::Format;
use crate::plan::Wanted;

pub(crate) use args::parse;
pub(crate) use error::Error;
pub(crate) use help::HELP;
pub(crate) use values::{emulator_folder, known_targets};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Register(Register),
    Unregister {
        asked: Asked,
        dry_run: bool,
    },
    Status {
        asked: Asked,
        json: bool,
        check: bool,
    },
    Verify {
        asked: Asked,
        json: bool,
        limit: Duration,
    },
    Doctor {
        asked: Asked,
        limit: Duration,
    },
    Run {
        asked: Asked,
        program: Vec<OsString>,
    },
    Persist {
        asked: Asked,
        format: Format,
        /// With a service that puts back what others remove.
        has_unit: bool,
        root: PathBuf,
    },
    Unpersist {
        asked: Asked,
        format: Format,
        root: PathBuf,
    },
    Export {
        asked: Asked,
        format: Format,
    },
    /// What another image's command line asks for.
    Foreign(Foreign),
    Help(Option<Dialect>),
    Version,
}

/// Of which targets, where, how, and how much is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// QEMU's names, each once; empty if none is named.
    pub(crate) targets: Vec<&'static str>,
    /// The only place for `binfmt_misc`.
    pub(crate) mount: Option<PathBuf>,
    pub(crate) wanted: Wanted,
    /// If they are to be copied to the folder that is registered.
    pub(crate) copies: Option<Copies>,
    /// Where a user has named the folder of the emulators that are there.
    pub(crate) emulators_from: &'static str,
    /// A user namespace's handlers are what is wanted.
    pub(crate) in_user_namespace: bool,
    pub(crate) detail: Detail,
    /// In whose words it is told, where not in our own.
    pub(crate) dialect: Option<Dialect>,
    /// How entries and emulators are named, where not as in the table.
    pub(crate) naming: Option<Naming>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            mount: None,
            wanted: Wanted::default(),
            copies: None,
            emulators_from: "--bindir",
            in_user_namespace: false,
            detail: Detail::default(),
            dialect: None,
            naming: None,
        }
    }
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Failures only.
    Quiet,
    #[default]
    Normal,
    /// What was found, and what is written.
    Verbose,
}

/// What else can be asked of `register`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Register {
    pub(crate) asked: Asked,
    /// All or nothing.
    pub(crate) atomic: bool,
    pub(crate) dry_run: bool,
    /// Handlers that go with this mount namespace are what is wanted.
    pub(crate) temporary: bool,
    /// Foreign programs must have run.
    pub(crate) verify: bool,
    pub(crate) stay: Option<Stay>,
}

/// What a resident does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) unregister_on_exit: bool,
}
