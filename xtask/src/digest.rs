//! Digests as metadata write them, in hexadecimal digits: SHA-256, which is computed of everything here, and those of
//! other kinds that a repository may list in its place.

use std::fmt;
use std::io::{self, Read};

use anyhow::{Result, bail};
use ring::digest::{self, Context, SHA256, SHA384, SHA512};
use serde::{Deserialize, Serialize};

use crate::output::quoted;

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
        Algorithm::Sha256.hex(text).map(Self)
    }

    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Hasher::default().chain(bytes).finish()
    }

    /// Of all that `reader` gives.
    ///
    /// # Errors
    /// If reading fails.
    pub fn of_reader(reader: impl Read) -> io::Result<Self> {
        Ok(Self(Algorithm::Sha256.of_reader(reader)?.hex))
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

/// Kinds of digests that prove a file. What createrepo_c and MirrorManager write besides (MD5, SHA-1, SHA-224) proves
/// nothing today, or is used by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl Algorithm {
    /// From the attribute `type` of metadata.
    pub fn from_metadata(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|algorithm| algorithm.in_metadata() == name)
    }

    /// As metadata write it: `sha256`.
    pub fn in_metadata(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    fn ring(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }

    /// The digits of a digest, in lower case.
    fn hex(self, text: &str) -> Result<String> {
        if text.len() != 2 * self.ring().output_len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("{} is not a {self} digest", quoted(text));
        }
        Ok(text.to_ascii_lowercase())
    }

    /// The digest of all that `reader` gives.
    ///
    /// # Errors
    /// If reading fails.
    pub fn of_reader(self, mut reader: impl Read) -> io::Result<Digest> {
        let mut hasher = AnyHasher::new(self);
        let mut buffer = vec![0; 1 << 18];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                length => hasher.update(&buffer[..length]),
            }
        }
    }

    /// The digest of bytes in memory.
    pub fn of(self, bytes: &[u8]) -> Digest {
        let mut hasher = AnyHasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// A digest of any of these kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct Digest {
    /// Its kind.
    pub algorithm: Algorithm,
    hex: String,
}

impl Digest {
    /// Reads the digits.
    ///
    /// # Errors
    /// If they are not those of such a digest.
    pub fn parse(algorithm: Algorithm, text: &str) -> Result<Self> {
        Ok(Self { algorithm, hex: algorithm.hex(text)? })
    }

    /// Its digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

/// A digest as JSON has it: `{"sha256": "4f50…"}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Json {
    Sha256(String),
    Sha384(String),
    Sha512(String),
}

impl TryFrom<Json> for Digest {
    type Error = anyhow::Error;

    fn try_from(json: Json) -> Result<Self> {
        match json {
            Json::Sha256(hex) => Self::parse(Algorithm::Sha256, &hex),
            Json::Sha384(hex) => Self::parse(Algorithm::Sha384, &hex),
            Json::Sha512(hex) => Self::parse(Algorithm::Sha512, &hex),
        }
    }
}

impl From<Digest> for Json {
    fn from(digest: Digest) -> Self {
        let variant = match digest.algorithm {
            Algorithm::Sha256 => Self::Sha256,
            Algorithm::Sha384 => Self::Sha384,
            Algorithm::Sha512 => Self::Sha512,
        };
        variant(digest.hex)
    }
}

/// `SHA-256 4f50…`
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.hex)
    }
}

impl From<Sha256> for Digest {
    fn from(digest: Sha256) -> Self {
        Self { algorithm: Algorithm::Sha256, hex: digest.0 }
    }
}

/// Incremental digest. Where a processor has no instructions for SHA-256, `ring` takes a third of the time that `sha2`
/// takes.
#[derive(Clone)]
pub struct AnyHasher {
    algorithm: Algorithm,
    context: Context,
}

impl AnyHasher {
    /// Of one kind.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, context: Context::new(algorithm.ring()) }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        let hex = self.context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Digest { algorithm: self.algorithm, hex }
    }
}

/// Incremental SHA-256.
#[derive(Clone)]
pub struct Hasher(AnyHasher);

impl Default for Hasher {
    fn default() -> Self {
        Self(AnyHasher::new(Algorithm::Sha256))
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
        Sha256(self.0.finish().hex)
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Digest};

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-4's own example, as `printf abc | sha256sum` and its likes give it.
        for (name, digest) in [
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "sha384",
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                "sha512",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd\
                 454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            let algorithm = Algorithm::from_metadata(name).expect(name);
            let read = Digest::parse(algorithm, &digest.to_uppercase()).expect("a digest");
            assert_eq!(algorithm.of(b"abc"), read);
            assert_eq!(algorithm.of_reader(&b"abc"[..]).expect("a digest"), read);
            assert_eq!(read.to_string(), format!("SHA-{} {digest}", &name[3..]));
            Digest::parse(algorithm, &digest[1..]).expect_err("one digit less");
            Digest::parse(algorithm, &digest.replace('a', "g")).expect_err("no digits");
        }
        for name in ["md5", "sha", "sha1", "sha224", "SHA256", ""] {
            assert_eq!(Algorithm::from_metadata(name), None, "{name:?}");
        }
    }
}
