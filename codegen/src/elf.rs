//! Facts of an emulator's binary, and whether it may serve as one.
//!
//! With flag `F` the kernel runs the emulator inside every container, where neither a dynamic loader nor a library of
//! its own is to be found: so it must be a static executable of the host's architecture.

use std::fmt;

use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadRef, elf};

use crate::targets::{Class, Target};

/// What a binary's headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Word size.
    pub class: Class,
    /// Byte order.
    pub endian: Endianness,
    /// `e_machine`
    pub machine: u16,
    /// Path of the dynamic loader (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// Number of shared libraries that it needs (`DT_NEEDED`).
    pub needed: usize,
    /// GNU build id.
    pub build_id: Option<Vec<u8>>,
}

/// Why a binary cannot serve as an emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElfError {
    /// Not an ELF executable, or a damaged one.
    Unreadable(String),
    /// Neither `ET_EXEC` nor `ET_DYN`.
    NotExecutable,
    /// Made for another machine than the host.
    WrongMachine {
        /// What the host needs, by QEMU's name.
        host: &'static str,
        /// The file's `e_machine`.
        machine: u16,
    },
    /// Needs a dynamic loader or shared libraries.
    Dynamic(String),
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "not a readable ELF file: {why}"),
            Self::NotExecutable => write!(f, "not an executable"),
            Self::WrongMachine { host, machine } => {
                write!(f, "made for another machine (e_machine {machine:#x}), the host is {host}")
            }
            Self::Dynamic(what) => {
                write!(f, "dynamically linked ({what}): it would not start inside containers; a static build is needed")
            }
        }
    }
}

impl std::error::Error for ElfError {}

impl From<object::Error> for ElfError {
    fn from(error: object::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Reads the facts of a binary. Only headers, the dynamic section and notes are touched, so a
/// [`ReadCache`](object::ReadCache) over a file serves well.
///
/// # Errors
/// If it is no ELF executable that can be read.
pub fn facts<'data>(data: impl ReadRef<'data>) -> Result<Facts, ElfError> {
    match FileKind::parse(data)? {
        FileKind::Elf32 => facts_of(FileHeader32::<Endianness>::parse(data)?, Class::Elf32, data),
        FileKind::Elf64 => facts_of(FileHeader64::<Endianness>::parse(data)?, Class::Elf64, data),
        _ => Err(ElfError::Unreadable("not an ELF file".into())),
    }
}

fn facts_of<'data, Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    class: Class,
    data: impl ReadRef<'data>,
) -> Result<Facts, ElfError> {
    let endian = header.endian()?;
    if ![elf::ET_EXEC, elf::ET_DYN].contains(&header.e_type(endian)) {
        return Err(ElfError::NotExecutable);
    }
    let mut facts =
        Facts { class, endian, machine: header.e_machine(endian).0, interpreter: None, needed: 0, build_id: None };
    for segment in header.program_headers(endian, data)? {
        if let Some(path) = segment.interpreter(endian, data)? {
            facts.interpreter = Some(String::from_utf8_lossy(path).into());
        }
        if let Some(entries) = segment.dynamic(endian, data)? {
            facts.needed += entries.iter().filter(|entry| entry.d_tag(endian) == elf::DT_NEEDED).count();
        }
        if let Some(mut notes) = segment.notes(endian, data)? {
            while let Some(note) = notes.next()? {
                if note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID {
                    facts.build_id = Some(note.desc().to_vec());
                }
            }
        }
    }
    Ok(facts)
}

impl Facts {
    /// Whether the binary can run as an emulator on `host`, in every container.
    ///
    /// # Errors
    /// [`ElfError::WrongMachine`] or [`ElfError::Dynamic`].
    pub fn check_emulator(&self, host: &Target) -> Result<(), ElfError> {
        let wanted = (host.class, host.endian, host.machines[0].number);
        if (self.class, self.endian, self.machine) != wanted {
            return Err(ElfError::WrongMachine { host: host.qemu, machine: self.machine });
        }
        match (&self.interpreter, self.needed) {
            (Some(path), _) => Err(ElfError::Dynamic(format!("loaded by {path}"))),
            (None, 0) => Ok(()),
            (None, count) => Err(ElfError::Dynamic(format!("needs {count} shared libraries"))),
        }
    }
}
