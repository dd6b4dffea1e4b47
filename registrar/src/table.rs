//! What can be registered: the generated table, its types, what must hold of it, and look-up by any name.
//!
//! Nothing here is parsed or formatted at run time. Which handlers are wanted, and whether they are in place, is the
//! business of [`crate::plan`].

/// Folder of the emulators in the image; the interpreters in [`Handler::line`] are below it.
pub(crate) const EMULATOR_DIR: &str = "/usr/bin";

/// Flags of [`Handler::line`], as Fedora registers: the interpreter is opened once, at registration.
pub(crate) const FLAGS: &str = "F";

/// Longest line that the kernel takes, in bytes.
const LONGEST_LINE: usize = 1920;

/// All that a build of `registrar` knows.
pub(crate) struct Table {
    /// Version of QEMU; empty in a build without emulators.
    pub(crate) qemu_version: &'static str,
    /// Where the emulators come from, in words.
    pub(crate) origin: &'static str,
    /// Sorted by [`Handler::name`].
    pub(crate) handlers: &'static [Handler],
    /// Every name that a target may be called by, with QEMU's; sorted.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// What every [`Handler::probe`] exits with.
    pub(crate) probe_status: u8,
}

/// One entry of `binfmt_misc`.
pub(crate) struct Handler {
    /// The entry's name: `qemu-aarch64`.
    pub(crate) name: &'static str,
    /// QEMU's name of the target: `aarch64`. Several handlers may serve one target (i386 and i486).
    pub(crate) target: &'static str,
    /// As container engines write it: `linux/arm64`.
    pub(crate) platform: &'static str,
    /// Targets of one family may run on one CPU.
    pub(crate) family: &'static str,
    /// File name of the emulator: `qemu-aarch64-static`.
    pub(crate) emulator: &'static str,
    /// What to write to `register`, for an emulator in [`EMULATOR_DIR`] with [`FLAGS`].
    pub(crate) line: &'static str,
    /// What the kernel shows of the entry after interpreter and flags: offset, magic and mask.
    pub(crate) pattern: &'static str,
    /// An executable of the target that does nothing but exit; empty if the generator does not know the target.
    pub(crate) probe: &'static [u8],
}

include!(env!("REGISTRAR_TABLE"));
