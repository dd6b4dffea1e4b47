//! Parsed requests: plain data that [`crate::cli`] and [`crate::compat`] make of command lines, and [`crate::commands`]
//! carries out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::flags::Flags;
use crate::table::EMULATOR_DIR;

/// Folder of emulators on a host: no distribution uses `/opt`, it is writable where `/usr` is not, and SELinux's policies
/// label programs in a `bin` folder there `bin_t`.
pub(crate) const HOST_EMULATOR_DIR: &str = "/opt/registrar/bin";

/// Time for one test program. It takes about 0.03 s, and some tenths on a busy machine.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Register(RegisterArgs),
    Unregister { args: CommonArgs, dry_run: bool },
    Status { args: CommonArgs, json: bool, check: bool },
    Verify(VerifyArgs),
    Doctor { args: CommonArgs, json: bool, limit: Duration },
    Run { args: CommonArgs, program: Vec<OsString> },
    Persist { args: CommonArgs, format: Format, has_unit: bool, root: PathBuf },
    Unpersist { args: CommonArgs, root: PathBuf },
    Persisted { args: CommonArgs, root: PathBuf },
    Export { args: CommonArgs },
    Compat(CompatCommand),
    Help(Option<CompatMode>),
    Version,
}

/// Options that several commands have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CommonArgs {
    /// QEMU's names, each once; empty for all targets.
    pub(crate) targets: Vec<&'static str>,
    /// The only folder where `binfmt_misc` may be.
    pub(crate) mount: Option<PathBuf>,
    pub(crate) desired: DesiredState,
    /// Copy the emulators to the desired folder first.
    pub(crate) copies: Option<CopySpec>,
    /// Option or variable that names the emulators' folder, if not `--bindir`.
    pub(crate) emulators_from: Option<&'static str>,
    /// `--scope userns`
    pub(crate) in_user_namespace: bool,
    pub(crate) detail: Verbosity,
    /// The image whose output format is used.
    pub(crate) mode: Option<CompatMode>,
    pub(crate) naming: Option<BinaryName>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    #[default]
    Normal,
    Verbose,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RegisterArgs {
    pub(crate) args: CommonArgs,
    pub(crate) dry_run: bool,
    /// Register even if the handlers disappear with this mount namespace.
    pub(crate) temporary: bool,
    pub(crate) verify: bool,
    pub(crate) stay: Option<ResidentArgs>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VerifyArgs {
    pub(crate) args: CommonArgs,
    pub(crate) json: bool,
    /// For each program.
    pub(crate) limit: Duration,
    /// How long to wait until all is well.
    pub(crate) wait: Duration,
    /// How often each program is run then.
    pub(crate) runs: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResidentArgs {
    pub(crate) unregister_on_exit: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DesiredState {
    /// Folder of the emulators: absolute, without a slash at the end, so that the root folder is empty.
    pub(crate) emulators: String,
    pub(crate) flags: Flags,
    /// Skip targets that another tool's entry handles.
    pub(crate) keep_foreign: bool,
}

impl Default for DesiredState {
    fn default() -> Self {
        Self { emulators: EMULATOR_DIR.into(), flags: Flags::default(), keep_foreign: false }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CopySpec {
    /// Source folder, written as [`DesiredState::emulators`].
    pub(crate) from: String,
    pub(crate) label: Label,
}

/// SELinux label of copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Label {
    /// `bin_t` if SELinux is enabled.
    #[default]
    Auto,
    /// The file system's own.
    None,
    /// A full label.
    Context(String),
}

/// What reads the rules when the host boots: systemd-binfmt, or OpenRC's service `binfmt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Systemd,
    OpenRc,
}

/// The image whose command line this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompatMode {
    Tonistiigi,
    Multiarch,
    Qus,
}

/// Another image's command line: fields in the order in which they are carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CompatCommand {
    /// Entries to remove, whichever tool registered them.
    pub(crate) remove: Vec<EntryGlob>,
    /// How to register, if `registers`; where to look in any case.
    pub(crate) request: RegisterArgs,
    pub(crate) registers: bool,
    pub(crate) show: StatusKind,
    /// Named platforms of other systems than Linux.
    pub(crate) passed_over: Vec<String>,
    /// About unknown names, if the other names are registered all the same.
    pub(crate) warning: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusKind {
    Nothing,
    /// tonistiigi's JSON of platforms that run, and of entries.
    Platforms,
    /// The table of `status`.
    Status,
}

/// An argument that names entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryGlob {
    /// As typed: a name or a glob.
    pub(crate) word: OsString,
    /// Ends of names, after a hyphen.
    pub(crate) ends: Vec<OsString>,
}

/// Prefix and suffix around QEMU's `qemu-aarch64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BinaryName {
    /// Of the entry and of the emulator.
    pub(crate) prefix: String,
    /// Of the emulator. `None`: no suffix or `-static`, whichever file exists.
    pub(crate) suffix: Option<String>,
}
