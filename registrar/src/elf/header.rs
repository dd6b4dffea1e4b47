//! How a program begins, as far as the kernel compares it with rules, and which kinds of programs one architecture has:
//! a rule may take some of them and not the others.

/// So much of a program the kernel compares, in bytes.
pub(crate) const BINPRM_BUF_SIZE: usize = 256;

/// How many kinds there are.
pub(crate) const HEADER_VARIANTS: usize = 4;

/// Where an ELF header says in which byte order it is, which operating system's, and whether the program may be
/// anywhere in memory.
const EI_DATA: usize = 5;
pub(crate) const EI_OSABI: usize = 7;
const E_TYPE: usize = 16;

const BIG_ENDIAN: u8 = 2;

/// As compilers write them: ET_EXEC and ET_DYN, without GNU's extensions or with them.
const KINDS_OF_PROGRAMS: [(u8, u8); HEADER_VARIANTS] = [(2, 0), (2, 3), (3, 0), (3, 3)];

/// Words for the programs of each kind.
pub(crate) const KIND_NAMES: [&str; HEADER_VARIANTS] = [
    "programs of type ET_EXEC",
    "programs of type ET_EXEC and OSABI 3",
    "position-independent programs",
    "position-independent programs of OSABI 3",
];

/// The first bytes of a program.
#[derive(Clone, Copy)]
pub(crate) struct ElfHeader {
    bytes: [u8; BINPRM_BUF_SIZE],
    length: usize,
}

impl ElfHeader {
    pub(crate) fn of(program: &[u8]) -> Self {
        let length = program.len().min(BINPRM_BUF_SIZE);
        let mut bytes = [0; BINPRM_BUF_SIZE];
        bytes[..length].copy_from_slice(&program[..length]);
        Self { bytes, length }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// A program that begins so, and goes on as `program` does.
    pub(crate) fn with_rest_of(&self, program: &[u8]) -> Vec<u8> {
        [self.bytes(), &program[self.length..]].concat()
    }

    /// The same of each kind of program of its architecture.
    pub(crate) fn kinds(self) -> [Self; HEADER_VARIANTS] {
        KINDS_OF_PROGRAMS.map(|(kind, osabi)| {
            let mut bytes = self.bytes;
            bytes[EI_OSABI] = osabi;
            let (low, high) = if bytes[EI_DATA] == BIG_ENDIAN { (E_TYPE + 1, E_TYPE) } else { (E_TYPE, E_TYPE + 1) };
            (bytes[low], bytes[high]) = (kind, 0);
            Self { bytes, ..self }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn every_rule_of_the_table_takes_all_kinds_of_its_programs() {
        for handler in TABLE.handlers {
            let kinds = ElfHeader::of(handler.probe).kinds();
            assert!(kinds.iter().all(|kind| handler.rule.matches(kind.bytes())), "{}", handler.name);
            let own = ElfHeader::of(handler.probe);
            assert_eq!(kinds.iter().filter(|kind| kind.bytes() == own.bytes()).count(), 1, "{}", handler.name);
        }
    }

    #[test]
    fn short_and_long_programs() {
        assert_eq!(ElfHeader::of(b"#!/bin/sh").bytes(), b"#!/bin/sh");
        assert_eq!(ElfHeader::of(&[7; 300]).bytes(), [7; BINPRM_BUF_SIZE]);
        assert_eq!(ElfHeader::of(b"#!").kinds().map(|kind| kind.bytes().len()), [2; HEADER_VARIANTS]);
    }
}
