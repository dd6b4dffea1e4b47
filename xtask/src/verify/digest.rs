//! Hexadecimal digests: SHA-256 is computed of everything, SHA-384 and SHA-512 where a repository lists them.

use std::fmt;
use std::io::{self, Read};

use anyhow::{Result, anyhow, bail};
use ring::digest::{self, Context, SHA256, SHA384, SHA512};
use serde::{Deserialize, Serialize};

use crate::output::quoted;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

impl Sha256 {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Algorithm::Sha256.hex(text).map(Self)
    }

    pub fn of(bytes: &[u8]) -> Self {
        Self(Algorithm::Sha256.of(bytes).hex)
    }

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

/// Accepted algorithms. createrepo_c and MirrorManager also write MD5 and SHA-1, which can be forged, and SHA-224.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// From the attribute `type` of metadata.
    pub(crate) fn from_metadata(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|algorithm| algorithm.in_metadata() == name)
    }

    /// As metadata write it: `sha256`.
    pub(crate) fn in_metadata(self) -> &'static str {
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

    fn hex(self, text: &str) -> Result<String> {
        if text.len() != 2 * self.ring().output_len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("{} is not a {self} digest", quoted(text));
        }
        Ok(text.to_ascii_lowercase())
    }

    pub(crate) fn of_reader(self, mut reader: impl Read) -> io::Result<Digest> {
        let mut hasher = Hasher::new(self);
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                length => hasher.update(&buffer[..length]),
            }
        }
    }

    pub(crate) fn of(self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA-{}", &self.in_metadata()[3..])
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct Digest {
    pub(crate) algorithm: Algorithm,
    hex: String,
}

impl Digest {
    pub(crate) fn parse(algorithm: Algorithm, text: &str) -> Result<Self> {
        Ok(Self { algorithm, hex: algorithm.hex(text)? })
    }

    pub fn hex(&self) -> &str {
        &self.hex
    }
}

/// `{"sha256": "4f50…"}`
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
    fn from(Digest { algorithm, hex }: Digest) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(hex),
            Algorithm::Sha384 => Self::Sha384(hex),
            Algorithm::Sha512 => Self::Sha512(hex),
        }
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

/// Digest and length that metadata list for a file. As JSON: `"sha256": "…", "size": 5`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedDigest {
    #[serde(flatten)]
    pub digest: Digest,
    pub size: u64,
}

impl ExpectedDigest {
    pub(crate) fn matches(&self, size: u64, digest: &Digest) -> bool {
        (self.size, &self.digest) == (size, digest)
    }

    pub(crate) fn mismatch(&self, name: &str, size: u64, digest: &Digest) -> anyhow::Error {
        if size < self.size {
            anyhow!("{name} is truncated: {size} of {} bytes; fetch it again", self.size)
        } else if size > self.size {
            anyhow!("{name} is longer than the {} bytes that its repository promises; do not use it", self.size)
        } else {
            let expected = self.digest.hex();
            anyhow!("{name} is not what its repository promises: {digest} instead of {expected}; do not use it")
        }
    }
}

pub(crate) const BUFFER: usize = 1 << 18;

/// Incremental digest. On processors without SHA instructions `ring` takes a third of the time of `sha2`.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    context: Context,
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, context: Context::new(algorithm.ring()) }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    pub fn finish(self) -> Digest {
        let hex = self.context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Digest { algorithm: self.algorithm, hex }
    }
}

/// Hashes what is read or written through it: with SHA-256, and with the listed algorithm if that is another.
pub(crate) struct Hashing<S> {
    inner: S,
    sha256: Hasher,
    listed: Option<Hasher>,
    size: u64,
}

pub(crate) struct Hashed {
    pub(crate) size: u64,
    pub(crate) sha256: Sha256,
    pub(crate) listed: Digest,
}

impl<S> Hashing<S> {
    pub(crate) fn new(inner: S, listed: Algorithm) -> Self {
        let other = (listed != Algorithm::Sha256).then(|| Hasher::new(listed));
        Self { inner, sha256: Hasher::new(Algorithm::Sha256), listed: other, size: 0 }
    }

    pub(crate) fn sha256(inner: S) -> Self {
        Self::new(inner, Algorithm::Sha256)
    }

    pub(crate) fn finish(self) -> (S, Hashed) {
        let sha256 = self.sha256.finish();
        let listed = self.listed.map_or_else(|| sha256.clone(), Hasher::finish);
        (self.inner, Hashed { size: self.size, sha256: Sha256(sha256.hex), listed })
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(listed) = &mut self.listed {
            listed.update(bytes);
        }
        self.size += bytes.len() as u64;
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.update(&buffer[..length]);
        Ok(length)
    }
}

impl<W: io::Write> io::Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
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
