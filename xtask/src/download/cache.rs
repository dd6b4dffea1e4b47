//! Cache of fetched files: by their expected digest, or metadata by their URL. Each use hashes again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::LONGEST_UNPROMISED;
use super::http::Validators;
use super::partial_download::PartialDownload;
use crate::verify::digest::{Algorithm, ExpectedDigest, Sha256};

/// How much of the end of a file's name is in its name in the cache. With the digest it must fit into 255 bytes.
const MOST_OF_A_NAME: usize = 100;

#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// What is known of a small file that is kept: beside its bytes, as JSON.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    sha256: Sha256,
    validators: Validators,
}

impl Cache {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A small file, and what its server has said of its state.
    pub(crate) fn small(&self, url: &str) -> Option<(Vec<u8>, Validators)> {
        let path = self.small_path(url);
        let kept: Kept = serde_json::from_slice(&fs::read(path.with_extension("json")).ok()?).ok()?;
        let bytes = read_small(&path).ok()?;
        if kept.url != url || kept.sha256 != Sha256::of(&bytes) {
            return None;
        }
        for used in [path.with_extension("json"), path] {
            touch(&File::open(used).ok()?);
        }
        Some((bytes, kept.validators))
    }

    pub(super) fn keep(&self, url: &str, bytes: &[u8], validators: Validators) -> Result<()> {
        let path = self.small_path(url);
        let kept = Kept { url: url.to_owned(), sha256: Sha256::of(bytes), validators };
        write(&path, bytes)?;
        write(&path.with_extension("json"), &serde_json::to_vec(&kept).context("writing to the cache")?)
    }

    fn small_path(&self, url: &str) -> PathBuf {
        self.folder.join("metadata").join(Sha256::of(url.as_bytes()).to_string())
    }

    pub(super) fn keep_promised(&self, relative: &str, expected: &ExpectedDigest, bytes: &[u8]) -> Result<()> {
        write(&self.path(relative, expected), bytes)
    }

    pub(super) fn path(&self, relative: &str, expected: &ExpectedDigest) -> PathBuf {
        let base = relative.rsplit('/').next().unwrap_or(relative);
        let end = base.get(base.len().saturating_sub(MOST_OF_A_NAME)..).unwrap_or_default();
        self.folder.join("files").join(format!("{}-{end}", expected.digest.hex()))
    }

    pub(crate) fn file(&self, relative: &str, expected: &ExpectedDigest) -> Option<PathBuf> {
        let path = self.path(relative, expected);
        let file = File::open(&path).ok()?;
        if expected.digest.algorithm.of_reader(&file).ok()? != expected.digest {
            return None;
        }
        touch(&file);
        Some(path)
    }

    pub(crate) fn remove_old(&self) {
        for folder in ["files", "metadata"] {
            remove_older_than(&self.folder.join(folder), LONGEST_KEPT);
        }
    }
}

pub(super) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_UNPROMISED + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_UNPROMISED {
        return Err(io::Error::other(format!("exceeds the metadata limit of {LONGEST_UNPROMISED} bytes")));
    }
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = PartialDownload::open(path, Algorithm::Sha256, 0)?;
    part.write(bytes)?;
    part.finish()
}

/// How long an unused file stays: otherwise every build of QEMU would.
pub(crate) const LONGEST_KEPT: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// Marks a file as used. If that fails, it is fetched again some day.
pub(crate) fn touch(file: &File) {
    let _ = file.set_modified(SystemTime::now());
}

/// Removes the files right in `folder` that have not been written, or [`touch`]ed, for `age`.
pub(crate) fn remove_older_than(folder: &Path, age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.ok().and_then(|time| time.elapsed().ok()).is_some_and(|elapsed| elapsed > age) {
            // Another run may have removed it; and what is left takes space, no more.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_wants_for_long_is_forgotten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = Cache::new(folder.path().into());
        let file = |text: &str| {
            let expected = ExpectedDigest { digest: Sha256::of(text.as_bytes()).into(), size: text.len() as u64 };
            let path = cache.path("Packages/a.rpm", &expected);
            write(&path, text.as_bytes()).expect("a file of the cache");
            let long_ago = SystemTime::now() - LONGEST_KEPT * 2;
            File::options().append(true).open(&path).and_then(|file| file.set_modified(long_ago)).expect("its age");
            (expected, path)
        };
        let ((_, forgotten), (wanted, kept)) = (file("old"), file("old, and wanted"));
        assert_eq!(cache.file("Packages/a.rpm", &wanted), Some(kept.clone()));
        cache.keep("http://a/metalink", b"text", Validators::default()).expect("a small file");
        let aged = |path: &Path| {
            let long_ago = SystemTime::now() - LONGEST_KEPT * 2;
            File::options().append(true).open(path).and_then(|file| file.set_modified(long_ago)).expect("its age");
        };
        let small = cache.small_path("http://a/metalink");
        aged(&small);
        aged(&small.with_extension("json"));
        assert!(cache.small("http://a/metalink").is_some());
        cache.remove_old();
        assert!(kept.exists() && !forgotten.exists());
        assert!(cache.small("http://a/metalink").is_some(), "it is in use");
    }
}
