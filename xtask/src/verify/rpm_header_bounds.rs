//! The headers of an RPM file, and that they are what a reader can afford to parse.
//!
//! The `rpm` crate trusts counts and offsets in headers: a damaged one makes it panic, or ask for any amount of memory.
//! So they are held against each other and against the file before that crate sees them. Nothing else is looked at.

use std::io::{self, Read};

/// Length of the obsolete lead before the first header.
const LEAD: u64 = 96;

/// Largest accepted store of a header, in bytes; emulators' have 4 kB and a changelog. Parsing takes up to 24 times as
/// much.
const LARGEST_STORE: u64 = 2 << 20;

/// Most entries that a header may have: rpm's own limit.
const MOST_ENTRIES: u64 = 0xffff;

/// Lead, signatures and header of a file of `length` bytes; `None` if it is no RPM file, or its headers are not sound.
/// Read once and in order, so that what is hashed is what is parsed.
pub fn headers(mut file: impl Read, length: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut read = |bytes: &mut Vec<u8>, count: u64| {
        if count > length.saturating_sub(bytes.len() as u64) {
            return Ok(false);
        }
        Ok::<_, io::Error>(file.by_ref().take(count).read_to_end(bytes)? as u64 == count)
    };
    if !read(&mut bytes, LEAD)? {
        return Ok(None);
    }
    for is_signature in [true, false] {
        let start = bytes.len();
        if !read(&mut bytes, 16)? {
            return Ok(None);
        }
        let intro = &bytes[start..];
        let (entries, store) = (number(intro, 8), number(intro, 12));
        let is_sound = intro.starts_with(&[0x8e, 0xad, 0xe8, 1]) && entries <= MOST_ENTRIES && store <= LARGEST_STORE;
        if !is_sound || !read(&mut bytes, 16 * entries)? || !are_inside(&bytes[start + 16..], store) {
            return Ok(None);
        }
        let at = bytes.len() as u64 + store;
        let end = if is_signature { at.next_multiple_of(8) } else { at };
        if !read(&mut bytes, store + end - at)? {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// Whether all entries are inside the store and do not overlap: overlapping ones would multiply memory.
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

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 4].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::{LEAD, are_inside, headers};

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

    #[test]
    fn takes_what_comes_before_the_payload() {
        let header = |entries: &[Vec<u8>], store: &[u8]| {
            let sizes = [entries.len() as u32, store.len() as u32].map(u32::to_be_bytes).concat();
            [&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0][..], &sizes, &entries.concat(), store].concat()
        };
        let signatures = header(&[entry(6, 0, 1)], b"five\0");
        let whole = [&[0; LEAD as usize][..], &signatures, &[0; 3], &header(&[entry(4, 0, 1)], &[0, 0, 0, 7])].concat();
        let file = [&whole[..], b"payload"].concat();
        let read = |bytes: &[u8]| headers(bytes, bytes.len() as u64).expect("bytes in memory");
        assert_eq!(read(&file).as_ref(), Some(&whole));
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
        // A file that is shorter than it was said to be.
        assert_eq!(headers(&whole[..150], 1 << 30).expect("bytes in memory"), None);
    }
}
