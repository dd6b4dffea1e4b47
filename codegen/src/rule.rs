//! One line of a `binfmt.d` file: read as systemd and the kernel read it, written back byte for byte, computed from a
//! target, corrected.
//!
//! Here: what a rule is, how it is made and written. `parse` reads, `correction` corrects; which rules belong together,
//! and to which emulator, is decided in [`crate::table`].

use std::fmt;

use object::Endianness;

use crate::probe;
use crate::targets::{Machine, Target};

mod correction;
mod parse;

pub use correction::{Correction, Masks};
pub use parse::{Problem, RuleError, limits, parse_conf};

/// A value together with the text that it was written as, so that a line can be written back unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled<T> {
    /// What the text means.
    pub value: T,
    text: String,
}

impl<T> Spelled<T> {
    /// The text as it stands in the line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What is compared with a file that is to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Type `M`: bytes at an offset.
    Magic {
        /// Distance of the compared bytes from the file's start.
        offset: Spelled<usize>,
        /// The bytes, before masking.
        magic: Spelled<Vec<u8>>,
        /// Which bits count; all if absent.
        mask: Option<Spelled<Vec<u8>>>,
    },
    /// Type `E`: a file name's extension. The kernel ignores the offset and mask fields.
    Extension {
        /// The extension, without the dot.
        extension: String,
        /// Text of the ignored offset field.
        offset: String,
        /// Text of the ignored mask field.
        mask: String,
    },
}

/// The kernel's flags of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `P`: keep `argv[0]`.
    pub preserve_argv0: bool,
    /// `O`: pass the program as an open file.
    pub open_binary: bool,
    /// `C`: take credentials from the program, not from the interpreter; implies `O`.
    pub credentials: bool,
    /// `F`: open the interpreter once, at registration.
    pub fix_binary: bool,
}

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    delimiter: char,
    /// The entry's file name below `binfmt_misc`.
    pub name: String,
    /// What it compares.
    pub kind: Kind,
    /// Path of the program that runs what matches.
    pub interpreter: String,
    /// Options.
    pub flags: Spelled<Flags>,
}

impl Rule {
    /// The rule that follows from what is known of `target`, with the given masks, for its programs with this machine
    /// number, run by `interpreter` with flag `F`.
    pub fn for_target(target: &Target, machine: Machine, masks: Masks, interpreter: &str) -> Self {
        let header = probe::header(target, machine.number, 2);
        let mut magic = header[..20].to_vec();
        let mut mask = vec![0xff; 20];
        for correction in Correction::ALL {
            correction.apply(target, &mut mask);
        }
        if masks == Masks::Upstream {
            mask[8..16].fill(0xff);
            for &(at, value) in target.upstream_mask {
                mask[at] = value;
            }
        }
        if let Some(bit) = target.flag_bit {
            // Nothing between the machine number and the flags counts, and of the flags only their low byte.
            let at = match target.endian {
                Endianness::Little => 36,
                Endianness::Big => 39,
            };
            magic.extend_from_slice(&header[20..24]);
            mask.extend_from_slice(if masks == Masks::Upstream { &[0xff; 4] } else { &[0; 4] });
            magic.resize(40, 0);
            mask.resize(40, 0);
            magic[at] = bit.value as u8;
            mask[at] = bit.mask as u8;
        }
        Self {
            delimiter: ':',
            name: format!("qemu-{}", machine.name),
            kind: Kind::Magic {
                offset: Spelled { value: 0, text: String::new() },
                magic: spell(magic),
                mask: Some(spell(mask)),
            },
            interpreter: interpreter.into(),
            flags: Flags::FIX_BINARY.spelled(),
        }
    }

    /// Whether the kernel would take a file that begins with `header` for this rule's. `header` is read as if zeros
    /// followed. A rule by extension matches no header.
    pub fn matches(&self, header: &[u8]) -> bool {
        self.compared().is_some_and(|compared| {
            compared.iter().all(|&(at, byte, mask)| (header.get(at).copied().unwrap_or(0) ^ byte) & mask == 0)
        })
    }

    /// Whether some header would match both rules.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (self.compared(), other.compared()) else { return false };
        ours.iter().all(|&(at, byte, mask)| {
            theirs.iter().filter(|theirs| theirs.0 == at).all(|theirs| (theirs.1 ^ byte) & theirs.2 & mask == 0)
        })
    }

    /// Every byte that counts: its offset in the file, its value, and which of its bits count. `None` if the rule goes
    /// by extension.
    pub fn compared(&self) -> Option<Vec<(usize, u8, u8)>> {
        let Kind::Magic { offset, magic, mask } = &self.kind else { return None };
        let mask_at = |index: usize| mask.as_ref().map_or(0xff, |mask| mask.value[index]);
        Some(
            magic
                .value
                .iter()
                .enumerate()
                .map(|(index, &byte)| (offset.value + index, byte & mask_at(index), mask_at(index)))
                .filter(|&(_, _, mask)| mask != 0)
                .collect(),
        )
    }
}

impl fmt::Display for Rule {
    /// The line that registers the rule, without a newline; of a parsed rule, the very line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.delimiter;
        let (kind, offset, magic, mask) = match &self.kind {
            Kind::Magic { offset, magic, mask } => {
                ('M', offset.text(), magic.text(), mask.as_ref().map_or("", Spelled::text))
            }
            Kind::Extension { extension, offset, mask } => ('E', &offset[..], &extension[..], &mask[..]),
        };
        let (name, interpreter, flags) = (&self.name, &self.interpreter, self.flags.text());
        write!(f, "{d}{name}{d}{kind}{d}{offset}{d}{magic}{d}{mask}{d}{interpreter}{d}{flags}")
    }
}

impl Flags {
    /// `F` alone, as Fedora registers.
    pub const FIX_BINARY: Self =
        Self { preserve_argv0: false, open_binary: false, credentials: false, fix_binary: true };

    /// As the kernel shows them: in the order `POCF`.
    pub fn spelled(self) -> Spelled<Self> {
        let letters =
            [(self.preserve_argv0, 'P'), (self.open_binary, 'O'), (self.credentials, 'C'), (self.fix_binary, 'F')];
        Spelled { value: self, text: letters.iter().filter(|(set, _)| *set).map(|&(_, letter)| letter).collect() }
    }
}

/// Bytes in QEMU's spelling: `\x7fELF` as such, all others escaped.
fn spell(value: Vec<u8>) -> Spelled<Vec<u8>> {
    let plain = if value.starts_with(b"\x7fELF") { 1..4 } else { 0..0 };
    let text = value
        .iter()
        .enumerate()
        .map(|(at, &byte)| if plain.contains(&at) { char::from(byte).into() } else { format!("\\x{byte:02x}") })
        .collect();
    Spelled { value, text }
}
