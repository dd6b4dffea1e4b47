//! A file on its way into the cache, `NAME.part`. A broken download stays, and the next attempt or run resumes it.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::verify::digest::{Algorithm, Digest, Hasher};

/// A file on its way, locked: a second run waits, and finds the whole file.
pub(super) struct PartialDownload {
    file: File,
    path: PathBuf,
    whole: PathBuf,
    algorithm: Algorithm,
    hasher: Hasher,
    length: u64,
    finished: bool,
}

impl PartialDownload {
    /// Opens and hashes what has arrived of `whole`; more than `limit` bytes are discarded.
    pub(super) fn open(whole: &Path, algorithm: Algorithm, limit: u64) -> Result<Self> {
        let folder = whole.parent().context("a cache path without a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making the cache folder {}", folder.display()))?;
        let mut path = whole.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let file = locked(&path).with_context(|| format!("opening {}", path.display()))?;
        let (whole, hasher) = (whole.into(), Hasher::new(algorithm));
        let mut part = Self { file, path, whole, algorithm, hasher, length: 0, finished: false };
        part.resume(limit)?;
        Ok(part)
    }

    fn resume(&mut self, limit: u64) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = self.file.read(&mut buffer).with_context(|| format!("reading {}", self.path.display()))?;
            if read == 0 {
                return Ok(());
            }
            self.length += read as u64;
            if self.length > limit {
                return self.reset();
            }
            self.hasher.update(&buffer[..read]);
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn reset(&mut self) -> Result<()> {
        self.length = 0;
        self.hasher = Hasher::new(self.algorithm);
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.with_context(|| format!("emptying {}", self.path.display()))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).with_context(|| format!("writing {}", self.path.display()))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.finished = true;
        fs::rename(&self.path, &self.whole).with_context(|| format!("writing {}", self.whole.display()))
    }
}

impl Drop for PartialDownload {
    fn drop(&mut self) {
        // An empty file is of no use, and a failure to remove it does no harm.
        if self.length == 0 && !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Locks the file. The holder before may have renamed or removed it; then the path is opened again.
fn locked(path: &Path) -> std::io::Result<File> {
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        let mine = file.metadata()?;
        if fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino())) {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::PartialDownload;
    use crate::verify::digest::Algorithm::{Sha256, Sha512};

    #[test]
    fn what_has_arrived_is_kept_and_what_cannot_be_part_of_it_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let whole = folder.path().join("cache/file");
        let mut part = PartialDownload::open(&whole, Sha256, 9).expect("a part");
        part.write(b"first").expect("bytes");
        drop(part);
        // What digest is wanted does not matter for what is there.
        let mut part = PartialDownload::open(&whole, Sha512, 9).expect("the same part");
        assert_eq!(part.length(), 5);
        part.write(b"last").expect("bytes");
        assert_eq!(part.digest(), Sha512.of(b"firstlast"));
        part.finish().expect("a whole file");
        assert_eq!(fs::read(&whole).expect("the file"), b"firstlast");

        fs::write(folder.path().join("cache/file.part"), "ten bytes!").expect("a part that is too long");
        let part = PartialDownload::open(&whole, Sha256, 9).expect("an empty part");
        assert_eq!((part.length(), part.digest()), (0, Sha256.of(b"")));
        drop(part);
        assert_eq!(fs::read_dir(folder.path().join("cache")).expect("the cache").count(), 1, "an empty part is left");
    }
}
