//! SHA-256 as it is written in metadata: 64 hexadecimal digits.

use std::fmt;
use std::io::{self, Read};

use anyhow::{Result, bail};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// A SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

impl Sha256 {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// If `text` is something else.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("{text:?} is not a SHA-256 digest");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Hasher::default().chain(bytes).finish()
    }

    /// Of all that `reader` gives.
    ///
    /// # Errors
    /// If reading fails.
    pub fn of_reader(mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 18];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                length => hasher.update(&buffer[..length]),
            }
        }
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Sha256 {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.0
    }
}

/// A digest in the making. Where a processor has no instructions for it, `ring` takes a third of the time that `sha2` takes.
#[derive(Clone)]
pub struct Hasher(Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hasher {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn chain(mut self, bytes: &[u8]) -> Self {
        self.update(bytes);
        self
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
