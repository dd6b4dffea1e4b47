//! A package is what its repository and its signers say, or it is not opened.
//!
//! In this order, so that nothing unproven is parsed by more than a hash: length and SHA-256 against the promise (if
//! there is one), counts and offsets in the file's headers against the file, the signature over the header, the payload
//! digest that the signed header holds. The file is read once for all of it, and the header that is parsed is the one
//! that was hashed. Files come out in [`crate::extract`], which holds them against the digests in that header.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use rpm::{DigestStatus, IndexTag, PackageMetadata};
use serde::{Deserialize, Serialize};

use crate::digest::{Algorithm, AnyHasher, Digest, Hasher, Sha256};
use crate::download::broken;
use crate::host::Host;
use crate::package::Package;
use crate::repo::Promise;
use crate::rpm_layout;

mod certificate;
mod keyring;
mod keys;
mod signature;

pub use keys::{Keys, parse_fingerprint};

/// Whose word is taken for the packages.
#[derive(Debug)]
pub enum Trust {
    /// A signature of one of these keys is required.
    Keys(Keys),
    /// Digests suffice: the user typed that no signature is wanted.
    NoSignature,
    /// The machine's package manager has checked them.
    PackageManager,
}

impl Trust {
    /// All that decides what passes, for stamps.
    pub fn identity(&self) -> String {
        match self {
            Self::Keys(keys) => format!("keys {}", keys.identity()),
            Self::NoSignature => "digests".into(),
            Self::PackageManager => "package manager".into(),
        }
    }

    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Keys(keys) => format!("signature by a key of {}", keys.names()),
            Self::NoSignature => "digests only (--no-signature)".into(),
            Self::PackageManager => "the package manager".into(),
        }
    }
}

/// What was found out about a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Name, epoch, version, release, architecture.
    pub nevra: String,
    /// Upstream's version alone.
    pub version: String,
    /// The source package that it was built from.
    pub source: String,
    /// Its licence, as the package says.
    pub licence: String,
    /// Digest of the file.
    pub sha256: Sha256,
    /// Length of the file in bytes.
    pub size: u64,
    /// Fingerprint of the key whose signature was good.
    pub signer: Option<String>,
    /// Who distributes it, as the package says; empty if it does not.
    #[serde(default)]
    pub vendor: String,
    /// When it was built, in seconds since 1970, as the package says; 0 if it does not.
    #[serde(default)]
    pub build_time: u64,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} bytes, SHA-256 {}", self.nevra, self.size, self.sha256)?;
        match &self.signer {
            Some(signer) => write!(f, "; header signed by {signer}; payload has the digest in the header"),
            None => f.write_str("; no signature was asked for"),
        }
    }
}

/// No epoch and epoch 0 are the same, and not always written the same.
fn without_epoch_0(nevra: &str) -> String {
    nevra.replacen("-0:", "-", 1)
}

/// An RPM package that has been verified: its header, parsed from the bytes that were verified, and its file, still open
/// at its payload. Whoever can write to the file may have changed it since, so what is read of the payload must be held
/// against the digests in the header.
#[derive(Debug)]
pub struct VerifiedRpm {
    /// What was found out.
    pub proof: Proof,
    pub(crate) header: PackageMetadata,
    pub(crate) payload: File,
}

/// Checks an RPM package for `host`.
///
/// # Errors
/// The first check that fails, with the file's name and what to do.
pub fn rpm(package: &Package, trust: &Trust, host: Host) -> Result<VerifiedRpm> {
    let Package { path, promise, .. } = package;
    let promise = promise.as_ref();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut file = File::open(path).with_context(|| format!("opening the package {}", path.display()))?;
    let read = read(&mut file, promise).with_context(|| format!("reading the package {name}"))?;
    let (sha256, size) = (read.sha256, read.size);
    if let Some((promise, digest)) = promise.zip(read.promised.as_ref())
        && !promise.is_kept_by(size, digest)
    {
        return Err(broken(&name, promise, size, digest));
    }
    let Some((headers, payload)) = read.parts else {
        bail!("{name} is not an RPM package, or a damaged one; do not use it");
    };
    let damaged = |what: &str| anyhow!("reading the {what} of {name}: a damaged package; do not use it");
    let metadata = PackageMetadata::parse(&mut headers.as_slice()).map_err(|_| damaged("header"))?;
    let signer = check_header(&name, &metadata, trust)?;
    match metadata.header.get_entry_data_as_string(IndexTag::RPMTAG_PAYLOADSHA256) {
        Ok(promised) if promised == payload.to_string() => {}
        Ok(promised) => {
            bail!("{name} was tampered with: payload SHA-256 {payload} instead of {promised:?}; do not use it")
        }
        // Format 6 has further digests of the payload beside it; this one suffices.
        Err(_) => bail!("{name} holds no SHA-256 of its payload, so that its signature proves nothing; do not use it"),
    }
    // A genuine package under another one's name, or an old one as a new one, would pass all checks above.
    let nevra = metadata.get_nevra().map_err(|_| damaged("name"))?.nevra();
    if let Some(listed) = package.nevra.as_ref().filter(|listed| without_epoch_0(listed) != without_epoch_0(&nevra)) {
        bail!("{name} is package {nevra}, its repository says {listed}; do not use it");
    }
    let arch = metadata.get_arch().map_err(|_| damaged("architecture"))?;
    if metadata.is_source_package() {
        bail!("{name} is a source package; name the folder of those that were built from it");
    }
    if arch != host.name && arch != "noarch" {
        bail!("{name} is for {arch}, not for {}; name the host with --host, or get the other package", host.name);
    }
    file.seek(SeekFrom::Start(headers.len() as u64)).with_context(|| format!("reading the package {name}"))?;
    let text = |value: Result<&str, rpm::Error>| value.map(str::to_owned).unwrap_or_default();
    let proof = Proof {
        nevra,
        version: text(metadata.get_version()),
        source: text(metadata.get_source_rpm()),
        licence: text(metadata.get_license()),
        sha256,
        size,
        signer,
        vendor: text(metadata.get_vendor()),
        build_time: metadata.get_build_time().unwrap_or_default(),
    };
    Ok(VerifiedRpm { proof, header: metadata, payload: file })
}

/// Digests and signature of the header.
fn check_header(name: &str, metadata: &PackageMetadata, trust: &Trust) -> Result<Option<String>> {
    let damaged = |what: &str| anyhow!("reading the {what} of {name}: a damaged package; do not use it");
    let digests = metadata.check_digests().map_err(|_| damaged("digests"))?;
    let header = [&digests.header_sha1, &digests.header_sha256, &digests.header_sha3_256];
    if header.iter().any(|status| matches!(status, DigestStatus::Mismatch { .. })) {
        bail!("{name} was tampered with: its header does not have the digest that it carries; do not use it");
    }
    let Trust::Keys(keys) = trust else { return Ok(None) };
    let header = metadata.header_bytes().map_err(|_| damaged("header"))?;
    keys.check(name, &header, &metadata.raw_signatures().map_err(|_| damaged("signatures"))?).map(Some)
}

/// A package as it was read from its beginning to its end.
struct Contents {
    sha256: Sha256,
    /// Of the same bytes, of the kind that is promised.
    promised: Option<Digest>,
    size: u64,
    /// The headers, and the digest of what follows them; absent where these make no sense.
    parts: Option<(Vec<u8>, Sha256)>,
}

/// Reads the file once. With a promise, no more than promised and one byte is read.
fn read(file: &mut File, promise: Option<&Promise>) -> Result<Contents> {
    let length = file.metadata()?.len();
    let limit = promise.map_or(length, |promise| promise.size.saturating_add(1)).min(length);
    let mut file = Hashing::new(file.take(limit), promise);
    let headers = rpm_layout::headers(&mut file, limit)?;
    let mut payload = Hasher::default();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => payload.update(&buffer[..count]),
        }
    }
    let parts = headers.map(|headers| (headers, payload.finish()));
    let (size, sha256, promised) = file.finish();
    Ok(Contents { sha256, promised: promise.map(|_| promised), size, parts })
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    sha256: Hasher,
    /// Where another digest is promised.
    other: Option<AnyHasher>,
    size: u64,
}

impl<R> Hashing<R> {
    fn new(inner: R, promise: Option<&Promise>) -> Self {
        let kind = promise.map(|promise| promise.digest.algorithm).filter(|kind| *kind != Algorithm::Sha256);
        Self { inner, sha256: Hasher::default(), other: kind.map(AnyHasher::new), size: 0 }
    }

    /// How many bytes there were, their SHA-256, and their digest of the kind that is promised.
    fn finish(self) -> (u64, Sha256, Digest) {
        let sha256 = self.sha256.finish();
        let promised = self.other.map_or_else(|| sha256.clone().into(), AnyHasher::finish);
        (self.size, sha256, promised)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..count]);
        if let Some(other) = &mut self.other {
            other.update(&buffer[..count]);
        }
        self.size += count as u64;
        Ok(count)
    }
}

/// Checks a Debian package against the lists that apt has verified. What is given back is a copy without a name, made in
/// `scratch` while it was hashed: such a package has no digests of its files that the lists vouch for, and nobody can
/// write into the copy.
///
/// # Errors
/// If the file is not the one that the lists name.
pub fn deb(package: &Package, scratch: &Path) -> Result<(File, Proof)> {
    let name = &package.name;
    let (Some(promise), Some(stated)) = (&package.promise, &package.stated) else {
        bail!("nothing is known of the Debian package {name}; use --source apt");
    };
    let file = File::open(&package.path).with_context(|| format!("opening {}", package.path.display()))?;
    let mut file = Hashing::new(file.take(promise.size.saturating_add(1)), Some(promise));
    let mut copy = tempfile::tempfile_in(scratch).with_context(|| format!("copying {name}"))?;
    io::copy(&mut file, &mut copy).with_context(|| format!("copying {name}"))?;
    let (size, sha256, promised) = file.finish();
    if !promise.is_kept_by(size, &promised) {
        return Err(broken(name, promise, size, &promised));
    }
    copy.rewind().with_context(|| format!("reading {name}"))?;
    let build_time = deb_build_time(&mut copy).with_context(|| format!("reading {name}"))?;
    let proof = Proof {
        nevra: stated.nevra.clone(),
        version: stated.version.clone(),
        source: stated.source.clone(),
        licence: "see its copyright file".into(),
        sha256,
        size,
        signer: None,
        vendor: String::new(),
        build_time,
    };
    Ok((copy, proof))
}

/// When dpkg-deb put a package together: the time in the header of its archive's first member. The file is left at its
/// start.
fn deb_build_time(file: &mut File) -> std::io::Result<u64> {
    // "!<arch>\n", a name of 16 bytes, 12 decimal digits padded with spaces.
    let mut header = [0; 8 + 16 + 12];
    let read = file.take(header.len() as u64).read(&mut header)?;
    file.rewind()?;
    let time = header[..read].get(8 + 16..).and_then(|time| std::str::from_utf8(time).ok());
    Ok(time.and_then(|time| time.trim_end().parse().ok()).unwrap_or_default())
}
