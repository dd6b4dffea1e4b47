//! The blobs of a layout: files that are called what they hash to.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde::Serialize;

use super::spec::{Annotations, Descriptor};
use crate::verify::digest::{BUFFER, Hashed, Hashing, Sha256};

pub(super) const FOLDER: &str = "blobs/sha256";

pub(super) struct Blobs {
    pub(super) folder: PathBuf,
    unnamed: AtomicUsize,
}

impl Blobs {
    pub(super) fn new(layout: &Path) -> Result<Self> {
        let folder = layout.join(FOLDER);
        fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
        Ok(Self { folder, unnamed: AtomicUsize::new(0) })
    }

    pub(super) fn bytes(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
        let digest = Sha256::of(bytes);
        let path = self.folder.join(digest.to_string());
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        Ok(descriptor(media_type, &digest, bytes.len() as u64))
    }

    pub(super) fn json(&self, media_type: &str, value: &impl Serialize) -> Result<Descriptor> {
        self.bytes(media_type, &serde_json::to_vec(value).context("writing JSON")?)
    }

    /// A blob that `write` writes piece by piece; it gets its name, the digest, at the end.
    pub(super) fn stream<T>(
        &self,
        media_type: &str,
        write: impl FnOnce(Hashing<BufWriter<File>>) -> Result<(Hashing<BufWriter<File>>, T)>,
    ) -> Result<(Descriptor, T)> {
        let path = self.folder.join(format!("unnamed-{}", self.unnamed.fetch_add(1, Ordering::Relaxed)));
        let context = || format!("writing {}", path.display());
        let file = File::create(&path).with_context(context)?;
        let (file, written) = write(Hashing::sha256(BufWriter::with_capacity(BUFFER, file)))?;
        let (mut file, Hashed { size, sha256, .. }) = file.finish();
        file.flush().with_context(context)?;
        fs::rename(&path, self.folder.join(sha256.to_string())).with_context(context)?;
        Ok((descriptor(media_type, &sha256, size), written))
    }
}

fn descriptor(media_type: &str, digest: &Sha256, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.into(),
        digest: format!("sha256:{digest}"),
        size,
        annotations: Annotations::new(),
        platform: None,
    }
}

pub(super) fn path(descriptor: &Descriptor) -> String {
    descriptor.digest.replacen("sha256:", &format!("{FOLDER}/"), 1)
}
