//! What an emulator's file says of itself: for which machine it is, and what loads it.
//!
//! Reads a bounded part of the file, whatever is in there. Whether such an emulator will do is judged elsewhere.

pub(crate) mod header;

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use rustix::fs::{CWD, OFlags};

use crate::arch;
use crate::sys::{self, errno, errno_text};

/// More program headers than any emulator has; real ones have about ten.
const MOST_SEGMENTS: u16 = 64;

/// Of the name of a loader, in bytes: what Linux allows for a path.
const LONGEST_PART: u64 = 4096;

const PAGE: usize = 4096;
const HEADER: usize = 64;
const SEGMENT: usize = 56;
const PT_INTERP: u32 = 3;

/// Why a file tells nothing, or is nothing that this machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Unreadable(Errno),
    /// `#!`: it needs another program.
    Script,
    NotElf,
    /// An ELF file, for a machine of this number.
    Foreign(u16),
    /// It says that it is longer than it is, or has more parts than any program.
    Damaged,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(errno) => f.write_str(&errno_text(*errno)),
            Self::Script => f.write_str("a script"),
            Self::NotElf => f.write_str("no ELF file"),
            Self::Foreign(machine) => write!(f, "for another machine (e_machine {machine})"),
            Self::Damaged => f.write_str("damaged"),
        }
    }
}

/// The program that loads an emulator, unless it is static: `PT_INTERP`.
pub(crate) fn loader(path: &Path) -> Result<Option<String>, Unfit> {
    // `O_NONBLOCK`: do not block on a FIFO.
    loader_of(&sys::open(CWD, path, OFlags::NONBLOCK).map_err(Unfit::Unreadable)?)
}

fn loader_of(file: &File) -> Result<Option<String>, Unfit> {
    let mut start = [0; PAGE];
    // A FIFO or a folder cannot be read at an offset, and says so.
    let length = file.read_at(&mut start, 0).map_err(unreadable)?;
    let header = &start[..length];
    if header.starts_with(b"#!") {
        return Err(Unfit::Script);
    }
    if !header.starts_with(b"\x7fELF") {
        return Err(Unfit::NotElf);
    }
    if length < HEADER {
        return Err(Unfit::Damaged);
    }
    let fields = Fields { is_big_endian: header[5] == 2 };
    if !is_ours(header) {
        return Err(Unfit::Foreign(fields.half(header, 18)));
    }
    let (segments, size, count) = (fields.word(header, 32), fields.half(header, 54), fields.half(header, 56));
    if usize::from(size) != SEGMENT || count > MOST_SEGMENTS {
        return Err(Unfit::Damaged);
    }
    for index in 0..u64::from(count) {
        let at = segments.checked_add(index * SEGMENT as u64).ok_or(Unfit::Damaged)?;
        let segment = part(file, header, at, SEGMENT as u64)?;
        if fields.long(&segment, 0) == PT_INTERP {
            let name = part(file, header, fields.word(&segment, 8), fields.word(&segment, 32))?;
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            return Ok(Some(String::from_utf8_lossy(name).into_owned()));
        }
    }
    Ok(None)
}

/// Whether a program that begins so is for the machine that this one is compiled for.
pub(crate) fn is_ours(header: &[u8]) -> bool {
    let (class, order, machine) = arch::ELF;
    let fields = Fields { is_big_endian: order == 2 };
    header.starts_with(b"\x7fELF") && header[4..].starts_with(&[class, order]) && fields.half(header, 18) == machine
}

/// A part of the file, whole; mostly it is in the first page, which has been read.
fn part<'f>(file: &File, read: &'f [u8], start: u64, length: u64) -> Result<Cow<'f, [u8]>, Unfit> {
    // What is no offset at all, the kernel calls an invalid argument.
    if length > LONGEST_PART || i64::try_from(start).is_err() {
        return Err(Unfit::Damaged);
    }
    let within = usize::try_from(start).ok().and_then(|start| read.get(start..)?.get(..usize::try_from(length).ok()?));
    if let Some(part) = within {
        return Ok(part.into());
    }
    let mut part = vec![0; usize::try_from(length).map_err(|_| Unfit::Damaged)?];
    file.read_exact_at(&mut part, start).map_err(|error| match error.raw_os_error() {
        Some(_) => unreadable(error),
        None => Unfit::Damaged,
    })?;
    Ok(part.into())
}

fn unreadable(error: io::Error) -> Unfit {
    Unfit::Unreadable(errno(&error))
}

/// Numbers in a file's byte order. Those beyond its end are 0.
struct Fields {
    is_big_endian: bool,
}

impl Fields {
    fn number(&self, bytes: &[u8], start: usize, length: usize) -> u64 {
        let bytes = bytes.get(start..start.saturating_add(length)).unwrap_or_default();
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    fn half(&self, bytes: &[u8], start: usize) -> u16 {
        u16::try_from(self.number(bytes, start, 2)).unwrap_or_default()
    }

    fn long(&self, bytes: &[u8], start: usize) -> u32 {
        u32::try_from(self.number(bytes, start, 4)).unwrap_or_default()
    }

    fn word(&self, bytes: &[u8], start: usize) -> u64 {
        self.number(bytes, start, 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    /// A file of this content that nobody else sees.
    fn file(name: &str, content: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("registrar-elf-{name}-{}", std::process::id()));
        std::fs::write(&path, content).expect("written");
        let file = File::open(&path).expect("opened");
        std::fs::remove_file(&path).expect("removed");
        file
    }

    /// This test's own program, whatever made it.
    fn own() -> Vec<u8> {
        std::fs::read("/proc/self/exe").expect("this program")
    }

    #[test]
    fn a_program_of_this_machine_tells_its_loader() {
        let own = loader_of(&file("own", &own())).expect("an ELF file");
        assert!(own.as_deref().is_none_or(|loader| loader.starts_with('/')), "{own:?}");
        let dynamic = loader(Path::new("/usr/bin/env")).expect("/usr/bin/env is no script");
        assert!(dynamic.is_some_and(|loader| loader.contains("/ld")), "dynamic on every machine that tests");
    }

    #[test]
    fn what_is_no_program_of_this_machine() {
        let foreign = TABLE.handlers.iter().find(|handler| handler.target == "m68k").expect("all targets").probe;
        // Good ones, which say nothing, but too many.
        let mut many = own();
        let (end, count) = (many.len() as u64, MOST_SEGMENTS + 1);
        let is_big_endian = arch::ELF.1 == 2;
        many[32..40].copy_from_slice(&if is_big_endian { end.to_be_bytes() } else { end.to_le_bytes() });
        many[56..58].copy_from_slice(&if is_big_endian { count.to_be_bytes() } else { count.to_le_bytes() });
        many.resize(many.len() + usize::from(count) * SEGMENT, 0);
        let mut outside = own();
        outside[32..40].copy_from_slice(&[0xff; 8]);
        let cases = [
            ("script", b"#!/bin/sh\n".to_vec(), Unfit::Script),
            ("text", b"no program".to_vec(), Unfit::NotElf),
            ("empty", Vec::new(), Unfit::NotElf),
            ("short", own()[..40].to_vec(), Unfit::Damaged),
            ("headless", own()[..64].to_vec(), Unfit::Damaged),
            ("many", many, Unfit::Damaged),
            ("outside", outside, Unfit::Damaged),
            ("foreign", foreign.to_vec(), Unfit::Foreign(4)),
        ];
        for (name, content, expected) in cases {
            assert_eq!(loader_of(&file(name, &content)), Err(expected), "{name}");
        }
        assert_eq!(loader(Path::new("/nonexistent")), Err(Unfit::Unreadable(Errno::ENOENT)));
        assert_eq!(loader(Path::new("/")), Err(Unfit::Unreadable(Errno::EISDIR)));
    }

    #[test]
    fn no_part_is_read_beyond_its_limit() {
        let mut long = own();
        let fields = Fields { is_big_endian: arch::ELF.1 == 2 };
        let segments = usize::try_from(fields.word(&long, 32)).expect("small");
        let interpreter = (0..usize::from(fields.half(&long, 56)))
            .map(|index| segments + index * SEGMENT)
            .find(|at| fields.long(&long, *at) == PT_INTERP);
        // A static test program has none to make longer.
        let at = interpreter.unwrap_or(segments);
        let kind = if arch::ELF.1 == 2 { PT_INTERP.to_be_bytes() } else { PT_INTERP.to_le_bytes() };
        long[at..at + 4].copy_from_slice(&kind);
        long[at + 32..at + 40].fill(0x11);
        assert_eq!(loader_of(&file("long", &long)), Err(Unfit::Damaged));
    }
}
