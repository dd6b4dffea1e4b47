//! What an emulator's file says of itself: whether it is a static program of this machine.
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
const MOST_SEGMENTS: u64 = 64;

/// Of the name of a loader, in bytes: what Linux allows for a path.
const LONGEST_PART: u64 = 4096;

const PAGE: usize = 4096;
const HEADER: usize = 64;
const SEGMENT: u64 = 56;
const PT_INTERP: u64 = 3;

/// Why a file is no static program of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Unreadable(Errno),
    /// `#!`: it needs another program.
    Script,
    NotElf,
    /// An ELF file, for a machine of this number.
    Foreign(u16),
    /// It says that it is longer than it is, or has more parts than any program.
    Damaged,
    /// This program loads it: `PT_INTERP`.
    Dynamic(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(errno) => f.write_str(&errno_text(*errno)),
            Self::Script => f.write_str("a script"),
            Self::NotElf => f.write_str("no ELF file"),
            Self::Foreign(machine) => write!(f, "for another machine (e_machine {machine})"),
            Self::Damaged => f.write_str("damaged"),
            Self::Dynamic(loader) => write!(f, "not static: it needs {loader}"),
        }
    }
}

pub(crate) fn check_static(path: &Path) -> Result<(), Unfit> {
    // `O_NONBLOCK`: do not block on a FIFO.
    check_static_file(&sys::open(CWD, path, OFlags::NONBLOCK).map_err(Unfit::Unreadable)?)
}

pub(crate) fn check_static_file(file: &File) -> Result<(), Unfit> {
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
    let field = |bytes: &[u8], start, length| number(header[5] == 2, bytes, start, length);
    if !is_ours(header) {
        return Err(Unfit::Foreign(u16::try_from(field(header, 18, 2)).unwrap_or_default()));
    }
    let (segments, size, count) = (field(header, 32, 8), field(header, 54, 2), field(header, 56, 2));
    if size != SEGMENT || count > MOST_SEGMENTS {
        return Err(Unfit::Damaged);
    }
    for index in 0..count {
        let at = segments.checked_add(index * SEGMENT).ok_or(Unfit::Damaged)?;
        let segment = part(file, header, at, SEGMENT)?;
        if field(&segment, 0, 4) == PT_INTERP {
            let name = part(file, header, field(&segment, 8, 8), field(&segment, 32, 8))?;
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            return Err(Unfit::Dynamic(String::from_utf8_lossy(name).into_owned()));
        }
    }
    Ok(())
}

/// Whether a program that begins so is for the machine that this one is compiled for.
pub(crate) fn is_ours(header: &[u8]) -> bool {
    let (class, order, machine) = arch::ELF;
    header.starts_with(b"\x7fELF")
        && header[4..].starts_with(&[class, order])
        && number(order == 2, header, 18, 2) == machine.into()
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

/// A number in a file's byte order. Bytes beyond its end are left out.
fn number(is_big_endian: bool, bytes: &[u8], start: usize, length: usize) -> u64 {
    let bytes = bytes.get(start..start.saturating_add(length)).unwrap_or_default();
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    if is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
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
        let own = check_static_file(&file("own", &own()));
        assert!(matches!(&own, Err(Unfit::Dynamic(loader)) if loader.starts_with('/')) || own == Ok(()), "{own:?}");
        let env = check_static(Path::new("/usr/bin/env"));
        assert!(matches!(&env, Err(Unfit::Dynamic(loader)) if loader.contains("/ld")), "{env:?}");
    }

    #[test]
    fn what_is_no_program_of_this_machine() {
        let foreign = TABLE.handlers.iter().find(|handler| handler.target == "m68k").expect("all targets").probe;
        // Good ones, which say nothing, but too many.
        let mut many = own();
        let (end, count) = (many.len() as u64, MOST_SEGMENTS + 1);
        let is_big_endian = arch::ELF.1 == 2;
        many[32..40].copy_from_slice(&if is_big_endian { end.to_be_bytes() } else { end.to_le_bytes() });
        let half = u16::try_from(count).expect("small");
        many[56..58].copy_from_slice(&if is_big_endian { half.to_be_bytes() } else { half.to_le_bytes() });
        many.resize(many.len() + usize::try_from(count * SEGMENT).expect("small"), 0);
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
            assert_eq!(check_static_file(&file(name, &content)), Err(expected), "{name}");
        }
        assert_eq!(check_static(Path::new("/nonexistent")), Err(Unfit::Unreadable(Errno::ENOENT)));
        assert_eq!(check_static(Path::new("/")), Err(Unfit::Unreadable(Errno::EISDIR)));
    }

    #[test]
    fn no_part_is_read_beyond_its_limit() {
        let mut long = own();
        let field = |start, length| number(arch::ELF.1 == 2, &long, start, length);
        let segments = (0..field(56, 2)).map(|index| usize::try_from(field(32, 8) + index * SEGMENT).expect("small"));
        let interpreter = segments.clone().find(|at| field(*at, 4) == PT_INTERP);
        // A static test program has none to make longer.
        let at = interpreter.or_else(|| segments.clone().next()).expect("a segment");
        let kind = u32::try_from(PT_INTERP).expect("small");
        let kind = if arch::ELF.1 == 2 { kind.to_be_bytes() } else { kind.to_le_bytes() };
        long[at..at + 4].copy_from_slice(&kind);
        long[at + 32..at + 40].fill(0x11);
        assert_eq!(check_static_file(&file("long", &long)), Err(Unfit::Damaged));
    }
}
