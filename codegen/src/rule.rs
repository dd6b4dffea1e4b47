//! What `binfmt_misc` compares a program with: computed from a target, and written as the line that registers it.
//!
//! `parse` reads conf lines. How a package's line is held against the computed rule is in [`crate::witness`].

use std::fmt;

use object::Endianness;

use crate::targets::{Class, Machine, Target};

mod parse;

pub use parse::{ConfLine, Problem, limits, parse_conf};

/// Bytes at an offset of a file, and which of their bits count: an entry of type `M`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Distance of the compared bytes from the file's start.
    pub offset: usize,
    /// The bytes, before masking.
    pub magic: Vec<u8>,
    /// Which bits count; as long as the magic.
    pub mask: Vec<u8>,
}

/// One byte of a rule. Where a rule compares nothing, both are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Byte {
    /// Its value.
    pub magic: u8,
    /// Which of its bits are compared.
    pub mask: u8,
}

impl Rule {
    /// The rule for programs of `target` with this machine number, from the fields of their ELF header.
    ///
    /// Not compared are the OSABI (byte 7: GNU's, 3, marks programs with IFUNC or unique symbols), the ABI version and
    /// the padding (bytes 8 to 15: AppImages write `41 49 02` there, MIPS executables linked with `-mplt` an ABI version
    /// of 1), and the low bit of `e_type`, so that `ET_EXEC` (2) and `ET_DYN` (3) match.
    pub fn for_target(target: &Target, machine: Machine) -> Self {
        let is_little = target.endian == Endianness::Little;
        let half = |value: u16| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let word = |value: u32| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let class = match target.class {
            Class::Elf32 => 1,
            Class::Elf64 => 2,
        };
        let mut magic = [b"\x7fELF", &[class, if is_little { 1 } else { 2 }, 1][..], &[0; 9]].concat();
        let mut mask = [&[0xff; 7][..], &[0; 9]].concat();
        magic.extend([half(2), half(machine.number)].concat());
        mask.extend([half(0xfffe), half(0xffff)].concat());
        if let Some(bit) = target.flag_bit {
            // Between the machine number and `e_flags` nothing is compared.
            magic.extend(word(1));
            for (bytes, flags) in [(&mut magic, bit.value), (&mut mask, bit.mask)] {
                bytes.resize(36, 0);
                bytes.extend(word(flags));
            }
        }
        Self { offset: 0, magic, mask }
    }

    /// The line that registers the rule under `name`, without a newline, in QEMU's spelling: `\x7fELF` as such, all
    /// other bytes escaped.
    pub fn line(&self, name: &str, interpreter: &str, flags: &str) -> String {
        let offset = if self.offset == 0 { String::new() } else { self.offset.to_string() };
        format!(":{name}:M:{offset}:{}:{}:{interpreter}:{flags}", spelled(&self.magic), spelled(&self.mask))
    }

    /// Whether the kernel would take a file that begins with `header` for this rule's. `header` is read as if zeros
    /// followed.
    pub fn matches(&self, header: &[u8]) -> bool {
        self.compared().all(|(at, byte, mask)| (header.get(at).copied().unwrap_or(0) ^ byte) & mask == 0)
    }

    /// Whether some header would match both rules.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.compared().all(|(at, byte, mask)| {
            let theirs = other.at(at);
            (byte ^ theirs.magic) & mask & theirs.mask == 0
        })
    }

    /// What is compared with the file's byte `at`.
    pub fn at(&self, at: usize) -> Byte {
        let index = at.checked_sub(self.offset);
        let byte = |bytes: &[u8]| index.and_then(|index| bytes.get(index)).copied().unwrap_or(0);
        Byte { magic: byte(&self.magic), mask: byte(&self.mask) }
    }

    /// Offset of the first byte behind the compared ones.
    pub fn end(&self) -> usize {
        self.offset + self.magic.len()
    }

    /// Every byte that counts: its offset in the file, its magic and its mask.
    fn compared(&self) -> impl Iterator<Item = (usize, u8, u8)> {
        let bytes = self.magic.iter().zip(&self.mask).enumerate();
        bytes.map(|(index, (&byte, &mask))| (self.offset + index, byte, mask)).filter(|&(.., mask)| mask != 0)
    }
}

impl fmt::Display for Byte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} with mask {:#04x}", self.magic, self.mask)
    }
}

/// Bytes in QEMU's spelling.
fn spelled(bytes: &[u8]) -> String {
    let plain = if bytes.starts_with(b"\x7fELF") { 1..4 } else { 0..0 };
    let spell = |(at, &byte): (usize, &u8)| {
        if plain.contains(&at) { char::from(byte).into() } else { format!("\\x{byte:02x}") }
    };
    bytes.iter().enumerate().map(spell).collect()
}
