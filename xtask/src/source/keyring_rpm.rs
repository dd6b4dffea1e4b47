//! The keys in Fedora's own package of them, for when `fedora.gpg` cannot be had. Fingerprints pinned elsewhere
//! decide.

use std::io::Read;

use anyhow::{Result, ensure};

use crate::extract::{Kind, Limits, entries};

pub const NAME: &str = "fedora-gpg-keys";

/// What paths of its keys begin with; other architectures' are links to these.
const KEYS: &str = "/etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-";

/// Largest accepted key, in bytes. RSA keys have 2 kB, post-quantum ones with their signatures 30.
const LARGEST_KEY: u64 = 64 << 10;

/// Largest accepted sum of all keys, in bytes: some fifty releases, each with a post-quantum key, and as much again.
const LARGEST_KEYRING: usize = 4 << 20;

/// The files of keys, ASCII-armoured or binary, in `package`, which has `length` bytes.
pub fn keyrings(package: impl Read, length: u64) -> Result<Vec<Vec<u8>>> {
    let mut keyrings = Vec::new();
    let mut sum = 0;
    entries(package, length, Limits::PACKAGE, |file, content| {
        let path = &file.path;
        if file.kind != Kind::File || !path.starts_with(KEYS) {
            return Ok(());
        }
        ensure!(file.size <= LARGEST_KEY, "{path} has {} bytes, which no key has", file.size);
        let mut keyring = Vec::new();
        content.take(LARGEST_KEY).read_to_end(&mut keyring)?;
        sum += keyring.len();
        ensure!(sum <= LARGEST_KEYRING, "the keys have more than {LARGEST_KEYRING} bytes together");
        keyrings.push(keyring);
        Ok(())
    })?;
    ensure!(!keyrings.is_empty(), "it holds no keys ({KEYS}*)");
    Ok(keyrings)
}
