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

use crate::compat::{BinaryName, CompatCommand, CompatMode};
use crate::emulators::CopySpec;
use crate::persist::Format;
use crate::plan::DesiredState;

pub(crate) use args::parse;
pub(crate) use error::Error;
pub(crate) use help::HELP;
pub(crate) use values::{emulator_folder, known_targets};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Register(RegisterArgs),
    Unregister {
        args: CommonArgs,
        dry_run: bool,
    },
    Status {
        args: CommonArgs,
        json: bool,
        check: bool,
    },
    Verify {
        args: CommonArgs,
        json: bool,
        limit: Duration,
    },
    Doctor {
        args: CommonArgs,
        limit: Duration,
    },
    Run {
        args: CommonArgs,
        program: Vec<OsString>,
    },
    Persist {
        args: CommonArgs,
        format: Format,
        /// With a service that puts back what others remove.
        has_unit: bool,
        root: PathBuf,
    },
    Unpersist {
        args: CommonArgs,
        root: PathBuf,
    },
    Export {
        args: CommonArgs,
    },
    /// What another image's command line asks for.
    Compat(CompatCommand),
    Help(Option<CompatMode>),
    Version,
}

/// Of which targets, where, how, and how much is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommonArgs {
    /// QEMU's names, each once; empty if none is named.
    pub(crate) targets: Vec<&'static str>,
    /// The only place for `binfmt_misc`.
    pub(crate) mount: Option<PathBuf>,
    pub(crate) desired: DesiredState,
    /// If they are to be copied to the folder that is registered.
    pub(crate) copies: Option<CopySpec>,
    /// Where a user has named the folder of the emulators that are there.
    pub(crate) emulators_from: &'static str,
    /// A user namespace's handlers are what is wanted.
    pub(crate) in_user_namespace: bool,
    pub(crate) detail: Verbosity,
    /// In whose words it is told, where not in our own.
    pub(crate) mode: Option<CompatMode>,
    /// How entries and emulators are named, where not as in the table.
    pub(crate) naming: Option<BinaryName>,
}

impl Default for CommonArgs {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            mount: None,
            desired: DesiredState::default(),
            copies: None,
            emulators_from: "--bindir",
            in_user_namespace: false,
            detail: Verbosity::default(),
            mode: None,
            naming: None,
        }
    }
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Failures only.
    Quiet,
    #[default]
    Normal,
    /// What was found, and what is written.
    Verbose,
}

/// What else can be asked of `register`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RegisterArgs {
    pub(crate) args: CommonArgs,
    pub(crate) dry_run: bool,
    /// Handlers that go with this mount namespace are what is wanted.
    pub(crate) temporary: bool,
    /// Foreign programs must have run.
    pub(crate) verify: bool,
    pub(crate) stay: Option<ResidentArgs>,
}

/// What a resident does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResidentArgs {
    pub(crate) unregister_on_exit: bool,
}
