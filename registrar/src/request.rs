//! What can be asked of this program: plain data. [`crate::cli`] and [`crate::compat`] make it from command lines,
//! [`crate::commands`] does it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::flags::Flags;
use crate::table::EMULATOR_DIR;

/// Folder of emulators on a host. Distributions leave `/opt` alone, those whose `/usr` is read-only let it be written,
/// and SELinux's policies label programs in a folder `bin` there as such.
pub(crate) const HOST_EMULATOR_DIR: &str = "/opt/registrar/bin";

/// How long a test program may take. Real ones take some hundredths of a second, on a busy machine tenths.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

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

/// How handlers are to be registered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DesiredState {
    /// Folder of the emulators: absolute, without a slash at the end, so that the root folder is empty.
    pub(crate) emulators: String,
    pub(crate) flags: Flags,
    /// Entries of others go on serving what they serve.
    pub(crate) keep_foreign: bool,
}

impl Default for DesiredState {
    fn default() -> Self {
        Self { emulators: EMULATOR_DIR.into(), flags: Flags::default(), keep_foreign: false }
    }
}

/// From where emulators are copied, and how the copies are labelled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CopySpec {
    /// Folder of the originals, as [`DesiredState::emulators`] is written.
    pub(crate) from: String,
    pub(crate) label: Label,
}

/// How copies are to be labelled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Label {
    /// As a program, where SELinux is on.
    #[default]
    Auto,
    /// As the file system does by itself.
    None,
    /// In full.
    Context(String),
}

/// Who reads the rules when the host starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// systemd-binfmt.
    Systemd,
    /// The service `binfmt` of OpenRC.
    OpenRc,
}

/// Another image's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompatMode {
    Tonistiigi,
    Multiarch,
    Qus,
}

/// What such a line asks for, in the order in which it is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CompatCommand {
    /// Entries to remove, whosever they are.
    pub(crate) remove: Vec<EntryGlob>,
    /// How to register, if that is asked for; where to look, in any case.
    pub(crate) request: RegisterArgs,
    pub(crate) registers: bool,
    pub(crate) show: StatusKind,
    /// What is wrong with names that could not be understood, where the others are to be had all the same.
    pub(crate) warning: Option<String>,
}

/// What is shown at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusKind {
    Nothing,
    /// What runs, and which entries there are, as JSON.
    Platforms,
    /// Our own table.
    Status,
}

/// A word, and what it may mean beside the name that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryGlob {
    pub(crate) word: String,
    /// What may stand at the end of a name after a hyphen.
    pub(crate) ends: Vec<String>,
}

/// How names are made of QEMU's `qemu-aarch64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BinaryName {
    /// Before the entry's and the emulator's.
    pub(crate) prefix: String,
    /// After the emulator's; without one, nothing or what is usual, whichever is there.
    pub(crate) suffix: Option<String>,
}
