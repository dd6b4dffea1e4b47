//! Archives in cpio's format "newc", as rpm's payloads and the kernel's initramfs are. The stated size of a file may be
//! wrong on purpose.

/// Last entry of an archive.
const TRAILER: &str = "TRAILER!!!";

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// Writes one archive into memory.
#[derive(Clone, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    count: u32,
}

impl Writer {
    /// Adds a folder; an initramfs must have its parents before it.
    pub fn folder(&mut self, path: &str) {
        self.add(path, FOLDER, &[], 0);
    }

    /// Adds an executable file.
    pub fn program(&mut self, path: &str, content: &[u8]) {
        self.program_of_size(path, content, content.len() as u64);
    }

    /// Adds an executable file whose header states `size` bytes, whatever `content` has.
    pub fn program_of_size(&mut self, path: &str, content: &[u8], size: u64) {
        self.add(path, PROGRAM, content, size);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.add(path, LINK, target.as_bytes(), target.len() as u64);
    }

    fn add(&mut self, path: &str, mode: u32, content: &[u8], size: u64) {
        self.count += 1;
        self.bytes.extend_from_slice(b"070701");
        // Inode, mode, user, group, links, time, size, four device numbers, length of the name, no checksum.
        let fields = [self.count.into(), mode.into(), 0, 0, 1, 0, size, 0, 0, 0, 0, path.len() as u64 + 1, 0];
        self.bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    /// The archive with its trailer.
    pub fn finish(mut self) -> Vec<u8> {
        self.add(TRAILER, 0, &[], 0);
        self.bytes
    }

    /// The archive without its trailer.
    pub fn unfinished(self) -> Vec<u8> {
        self.bytes
    }

    /// Names and contents begin at multiples of four bytes.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
