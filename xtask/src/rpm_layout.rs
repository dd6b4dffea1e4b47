//! Where the parts of an RPM file are, and that its two headers are what a reader can afford to parse.
//!
//! The `rpm` crate trusts counts and offsets in headers: a damaged one makes it panic, or ask for any amount of memory.
//! So they are held against each other and against the file before that crate sees them. Nothing else is looked at.

use std::io::{Read, Seek, SeekFrom};

use anyhow::Result;

/// Length of the obsolete lead before the first header.
const LEAD: u64 = 96;

/// Largest accepted store of a header, in bytes. Emulator packages have 4 kB and a changelog; rpm itself takes 256 MB. A
/// reader needs up to 24 times as much memory, where a list holds nothing but empty strings.
const LARGEST_STORE: u64 = 2 << 20;

/// Most entries that a header may have: rpm's own limit.
const MOST_ENTRIES: u64 = 0xffff;

/// Where the payload begins; `None` if this is no RPM file, or one whose headers do not add up.
///
/// # Errors
/// If reading fails.
pub fn payload_offset(file: &mut (impl Read + Seek)) -> Result<Option<u64>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut at = LEAD;
    for is_signature in [true, false] {
        let Some(size) = header_size(file, at, length)? else { return Ok(None) };
        at += size;
        if is_signature {
            at = at.next_multiple_of(8);
        }
    }
    Ok(Some(at))
}

/// Length of the header at `at`, if it is sound.
fn header_size(file: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Option<u64>> {
    let mut intro = [0; 16];
    if at + 16 > length {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut intro)?;
    let (entries, store) = (number(&intro, 8), number(&intro, 12));
    let size = 16 + 16 * entries + store;
    let is_sound = intro.starts_with(&[0x8e, 0xad, 0xe8, 1]) && entries <= MOST_ENTRIES && store <= LARGEST_STORE;
    if !is_sound || at + size > length {
        return Ok(None);
    }
    let mut index = vec![0; 16 * entries as usize];
    file.read_exact(&mut index)?;
    Ok(are_inside(&index, store).then_some(size))
}

/// Whether all entries are inside the store, and all of them together need no more than it holds: in real headers
/// none overlap, and overlapping ones would be multiplied in memory.
fn are_inside(index: &[u8], store: u64) -> bool {
    let mut left = store;
    index.chunks_exact(16).all(|entry| {
        let (kind, offset, count) = (number(entry, 4), number(entry, 8), number(entry, 12));
        let width = match kind {
            0 => 0,
            // Characters, bytes, strings (each at least its end), binary.
            1 | 2 | 6..=9 => 1,
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return false,
        };
        // Cannot overflow: both come from 32 bits.
        let size = count * width;
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return false,
        }
        offset + size <= store
    })
}

/// The big-endian number at `at`.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 4].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::are_inside;

    fn entry(kind: u32, offset: u32, count: u32) -> Vec<u8> {
        [1000, kind, offset, count].iter().flat_map(|number: &u32| number.to_be_bytes()).collect()
    }

    #[test]
    fn entries_stay_in_the_store_and_do_not_multiply_it() {
        for (entries, good) in [
            (vec![entry(6, 0, 1), entry(4, 4, 3)], true),
            (vec![entry(0, 0, 9)], true),
            (vec![entry(4, 5000, 1)], false),
            (vec![entry(4, 13, 1)], false),
            (vec![entry(5, 0, 3)], false),
            (vec![entry(10, 0, 1)], false),
            (vec![entry(2, 0, 16), entry(2, 0, 16)], false),
            (vec![entry(5, 0, u32::MAX)], false),
        ] {
            assert_eq!(are_inside(&entries.concat(), 16), good, "{entries:?}");
        }
    }
}
