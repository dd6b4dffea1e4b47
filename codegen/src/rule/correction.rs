//! Where the masks of QEMU's rules compare too much, or too little.

use object::Endianness;

use super::{Kind, Rule, Spelled, spell};
use crate::targets::Target;

/// Which masks a table is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masks {
    /// With every [`Correction`].
    #[default]
    Corrected,
    /// As QEMU and the packages write them.
    Upstream,
}

/// A place where the masks of QEMU's rules compare too much, or too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Bytes 5 and 6, `fe` for alpha, i386 and x86_64: byte order and version are compared in full.
    Ident,
    /// Byte 7: GNU's OSABI 3 (IFUNC, unique symbols) must match everywhere.
    OsAbi,
    /// Bytes 8 to 15: AppImages write `41 49 02` there, MIPS executables linked with `-mplt` an ABI version of 1.
    AbiVersionAndPadding,
    /// Bytes 16 and 17: the low bit of `e_type` is in the second one for big-endian targets (wrong for microblaze), so
    /// that position-independent executables match.
    Type,
    /// Bytes 18 and 19: the machine number is compared in full (half of it was not, for ppc64le).
    Machine,
    /// Bytes 20 to 23, for 32-bit MIPS since QEMU 9: the ELF version, which is 1 everywhere, tells nothing apart.
    Version,
}

impl Correction {
    /// All, in the order of the bytes.
    pub const ALL: [Self; 6] =
        [Self::Ident, Self::OsAbi, Self::AbiVersionAndPadding, Self::Type, Self::Machine, Self::Version];

    /// Sets the bytes that this correction is about; says whether that changed them. `mask` has at least 20 bytes.
    pub(super) fn apply(self, target: &Target, mask: &mut [u8]) -> bool {
        let (at, corrected): (usize, &[u8]) = match self {
            Self::Ident => (5, &[0xff, 0xff]),
            Self::OsAbi => (7, &[0]),
            Self::AbiVersionAndPadding => (8, &[0; 8]),
            Self::Type => match target.endian {
                Endianness::Little => (16, &[0xfe, 0xff]),
                Endianness::Big => (16, &[0xff, 0xfe]),
            },
            Self::Machine => (18, &[0xff, 0xff]),
            Self::Version => (20, &[0; 4]),
        };
        // Most rules end before the version.
        let Some(bytes) = mask.get_mut(at..at + corrected.len()) else { return false };
        let changes = bytes != corrected;
        bytes.copy_from_slice(corrected);
        changes
    }

    /// What the correction is about, in a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ident => "byte order and version",
            Self::OsAbi => "OSABI",
            Self::AbiVersionAndPadding => "ABI version and padding",
            Self::Type => "executable type",
            Self::Machine => "machine number",
            Self::Version => "ELF version",
        }
    }
}

impl Rule {
    /// Applies all corrections that `target` needs; returns those that changed something.
    ///
    /// A rule that does not compare the first 20 bytes of an ELF header is left alone.
    pub fn correct(&mut self, target: &Target) -> Vec<Correction> {
        let Kind::Magic { offset: Spelled { value: 0, .. }, magic, mask: Some(mask) } = &mut self.kind else {
            return Vec::new();
        };
        if magic.value.len() < 20 || !magic.value.starts_with(b"\x7fELF") {
            return Vec::new();
        }
        let mut bytes = mask.value.clone();
        let applied = Correction::ALL.into_iter().filter(|correction| correction.apply(target, &mut bytes)).collect();
        if bytes != mask.value {
            *mask = spell(bytes);
        }
        applied
    }
}
