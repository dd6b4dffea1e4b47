//! The cpio archive of an RPM package, decompressed, with names or with indexes into the header's list of files.
//!
//! The `rpm` crate's reader allocates as much as a name's length says, and searches the whole list for each name.

use std::collections::HashMap;
use std::io::{self, Read};

use anyhow::{Context, Result, bail, ensure};

use super::listing::Listed;

/// Length of a member's header with all its fields, and of one with nothing but a number.
const NAMED: usize = 110;
const NUMBERED: usize = 14;

const END: &str = "TRAILER!!!";

const LONGEST_NAME: usize = 4096;

pub(super) struct Archive<R> {
    inner: R,
    files: Vec<Listed>,
    by_name: HashMap<String, usize>,
    seen: Vec<bool>,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(inner: R, files: Vec<Listed>) -> Self {
        let name = |(index, file): (usize, &Listed)| (file.path.trim_start_matches('/').to_owned(), index);
        let by_name = files.iter().enumerate().map(name).collect();
        Self { inner, seen: vec![false; files.len()], files, by_name }
    }

    /// Calls `each` for all members. What it leaves of a content is passed over. Gives the files that the archive lacks.
    pub(super) fn read(mut self, mut each: impl FnMut(&Listed, &mut dyn Read) -> Result<()>) -> Result<Vec<Listed>> {
        while let Some((index, length)) = self.next()? {
            let seen =
                self.seen.get_mut(index).context("the archive in it holds a file that its header does not know")?;
            ensure!(!std::mem::replace(seen, true), "the archive in it holds {} twice", self.files[index].path);
            let mut content = self.inner.by_ref().take(length);
            each(&self.files[index], &mut content)?;
            io::copy(&mut content, &mut io::sink()).context(CUT_OFF)?;
            self.skip_padding(length)?;
        }
        let missing = self.files.into_iter().zip(self.seen).filter(|(file, seen)| !seen && !file.is_ghost);
        Ok(missing.map(|(file, _)| file).collect())
    }

    /// Which file is next, and how many bytes of it follow.
    fn next(&mut self) -> Result<Option<(usize, u64)>> {
        let mut header = [0; NAMED];
        self.inner.read_exact(&mut header[..NUMBERED]).context(CUT_OFF)?;
        match &header[..6] {
            b"07070X" => {
                let index = number(&header, 0)? as usize;
                self.skip_padding(NUMBERED as u64)?;
                let file = self.files.get(index);
                Ok(Some((index, file.map_or(0, |file| file.stored))))
            }
            b"070701" | b"070702" => {
                self.inner.read_exact(&mut header[NUMBERED..]).context(CUT_OFF)?;
                let (size, length) = (number(&header, 6)?, number(&header, 11)? as usize);
                ensure!((1..=LONGEST_NAME).contains(&length), "the archive in it has a name of {length} bytes");
                let mut name = vec![0; length];
                self.inner.read_exact(&mut name).context(CUT_OFF)?;
                ensure!(name.pop() == Some(0), "the archive in it has a name without an end");
                self.skip_padding((NAMED + length) as u64)?;
                let name = String::from_utf8_lossy(&name);
                if name == END {
                    return Ok(None);
                }
                // Without a match an index beyond all.
                let name = name.trim_start_matches("./").trim_start_matches('/');
                Ok(Some((self.by_name.get(name).copied().unwrap_or(usize::MAX), size.into())))
            }
            _ => bail!("the archive in it is not of a known kind, or compressed in a way that is not"),
        }
    }

    /// All parts of an archive begin at multiples of four.
    fn skip_padding(&mut self, length: u64) -> Result<()> {
        let length = (length.next_multiple_of(4) - length) as usize;
        self.inner.read_exact(&mut [0; 4][..length]).context(CUT_OFF)
    }
}

const CUT_OFF: &str = "the archive in it is damaged or cut off";

/// A field of a member's header: eight hexadecimal digits.
fn number(header: &[u8; NAMED], field: usize) -> Result<u32> {
    let mut text = header[6 + 8 * field..][..8].iter().map(|&byte| char::from(byte).to_digit(16));
    let number = text.try_fold(0, |number, digit| Some(number << 4 | digit?));
    number.context("the archive in it is damaged: not a number")
}
