//! A file system for a kernel to boot from, as `cpio` would make it ("newc"). Which files are in it, others decide.

use std::io::{self, Write};

/// The archive's end, by its format.
const END: &str = "TRAILER!!!";

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive in the making.
#[derive(Clone)]
pub(crate) struct Initramfs {
    bytes: Vec<u8>,
    count: u32,
}

impl Initramfs {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), count: 0 }
    }

    /// Adds a folder; those above it must be there.
    pub(crate) fn folder(&mut self, path: &str) -> io::Result<()> {
        self.add(path, FOLDER, &[])
    }

    /// Adds a file that may be executed.
    pub(crate) fn program(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.add(path, PROGRAM, content)
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, to: &str) -> io::Result<()> {
        self.add(path, LINK, to.as_bytes())
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.add(END, 0, &[])?;
        Ok(self.bytes)
    }

    fn add(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.count += 1;
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let name_size = u32::try_from(path.len() + 1).map_err(io::Error::other)?;
        self.bytes.write_all(b"070701")?;
        // Number, mode, user, group, links, time, size, four numbers of devices, length of the name, no checksum.
        for field in [self.count, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            write!(self.bytes, "{field:08x}")?;
        }
        self.bytes.write_all(path.as_bytes())?;
        self.bytes.push(0);
        self.align();
        self.bytes.write_all(content)?;
        self.align();
        Ok(())
    }

    /// Names and contents begin at multiples of four bytes.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
