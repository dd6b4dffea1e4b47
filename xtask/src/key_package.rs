//! The keys of a distribution out of its own package of them, `fedora-gpg-keys`: for when they cannot be had elsewhere.
//!
//! Whether the package is what its repository promises is the caller's business, and so is which of the keys counts: a
//! fingerprint pinned elsewhere decides ([`Keys::pinned`](crate::verify::Keys::pinned)).

use std::io::{Read, Seek};

use anyhow::{Result, ensure};

use crate::extract::{Limits, entries};

/// The package's name.
pub const NAME: &str = "fedora-gpg-keys";

/// What paths of its keys begin with; other architectures' are links to these.
const KEYS: &str = "/etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-";

/// Largest accepted key, in bytes. RSA keys have 2 kB, post-quantum ones with their signatures 30.
const LARGEST_KEY: u64 = 64 << 10;

/// Largest accepted sum of all keys, in bytes: some fifty releases, each with a post-quantum key, and as much again.
const LARGEST_KEYRING: usize = 4 << 20;

/// All armoured keys of the releases in `package`, one after the other.
///
/// # Errors
/// If it is damaged, holds no keys, or larger ones than there are.
pub fn keyring(package: impl Read + Seek) -> Result<Vec<u8>> {
    let mut keyring = Vec::new();
    entries(package, Limits::PACKAGE, |path, is_file, size, content| {
        if !is_file || !path.starts_with(KEYS) {
            return Ok(());
        }
        ensure!(size <= LARGEST_KEY, "{path} has {size} bytes, which no key has");
        content.take(LARGEST_KEY).read_to_end(&mut keyring)?;
        keyring.push(b'\n');
        ensure!(keyring.len() <= LARGEST_KEYRING, "the keys have more than {LARGEST_KEYRING} bytes together");
        Ok(())
    })?;
    ensure!(!keyring.is_empty(), "it holds no keys ({KEYS}*)");
    Ok(keyring)
}
