//! Verifies packages before anything opens them, in this order: length and digest as listed, counts and offsets in the
//! headers, the signature over the header, the payload digest in the signed header.
//!
//! The file is read once, and the header that is parsed is the one that was hashed. [`crate::extract`] holds each file
//! against its digest there.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use rpm::{DigestStatus, IndexTag, PackageMetadata};
use serde::{Deserialize, Serialize};

use crate::system::host::Host;
use digest::{Algorithm, ExpectedDigest, Hashed, Hashing, Sha256};
use package::Package;

mod certificate;
pub mod digest;
mod keyring;
mod keys;
pub mod package;
pub mod rpm_header_bounds;
mod signature;

pub use keys::{Keys, parse_fingerprint};

/// Whose word is taken for the packages.
#[derive(Debug)]
pub enum Trust {
    Keys(Keys),
    /// Digests suffice: the user typed that no signature is wanted.
    NoSignature,
    PackageManager,
}

impl Trust {
    /// All that decides what passes, for stamps.
    pub fn cache_key(&self) -> String {
        match self {
            Self::Keys(keys) => format!("keys {}", keys.cache_key()),
            Self::NoSignature => "digests".into(),
            Self::PackageManager => "package manager".into(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Keys(keys) => format!("signature by a key of {}", keys.names()),
            Self::NoSignature => "digests only (--no-signature)".into(),
            Self::PackageManager => "the package manager".into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedPackage {
    pub nevra: String,
    pub version: String,
    pub source: String,
    pub license: String,
    pub sha256: Sha256,
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

impl fmt::Display for VerifiedPackage {
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

/// A verified RPM package: its header, parsed from the verified bytes, and its file at the payload. The file may have
/// changed since: what is read of it must have the digests in the header.
#[derive(Debug)]
pub struct VerifiedRpm {
    pub(crate) verified: VerifiedPackage,
    pub(crate) header: PackageMetadata,
    pub(crate) payload: File,
}

#[derive(Debug)]
pub(crate) enum Verified {
    Rpm(Box<VerifiedRpm>),
    /// Debian, with the copy that was verified.
    Deb(File, VerifiedPackage),
}

/// Verifies a package for `host`, whatever its format; `scratch` is a folder for unnamed copies.
pub(crate) fn package(package: &Package, trust: &Trust, host: Host, scratch: &Path) -> Result<Verified> {
    match package.stated {
        None => Ok(Verified::Rpm(Box::new(rpm(package, trust, host)?))),
        Some(_) => deb(package, scratch).map(|(file, package)| Verified::Deb(file, package)),
    }
}

pub fn rpm(package: &Package, trust: &Trust, host: Host) -> Result<VerifiedRpm> {
    let Package { path, expected, .. } = package;
    let expected = expected.as_ref();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut file = File::open(path).with_context(|| format!("opening the package {}", path.display()))?;
    let read = read(&mut file, expected).with_context(|| format!("reading the package {name}"))?;
    let Hashed { size, sha256, listed } = read.hashed;
    if let Some(expected) = expected.filter(|expected| !expected.matches(size, &listed)) {
        return Err(expected.mismatch(&name, size, &listed));
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
    let verified = VerifiedPackage {
        nevra,
        version: text(metadata.get_version()),
        source: text(metadata.get_source_rpm()),
        license: text(metadata.get_license()),
        sha256,
        size,
        signer,
        vendor: text(metadata.get_vendor()),
        build_time: metadata.get_build_time().unwrap_or_default(),
    };
    Ok(VerifiedRpm { verified, header: metadata, payload: file })
}

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

struct Contents {
    hashed: Hashed,
    /// The headers, and the SHA-256 of what follows them; `None` if the headers are not those of an RPM package.
    parts: Option<(Vec<u8>, Sha256)>,
}

/// Reads the file once, at most one byte more than expected.
fn read(file: &mut File, expected: Option<&ExpectedDigest>) -> Result<Contents> {
    let length = file.metadata()?.len();
    let limit = expected.map_or(length, |expected| expected.size.saturating_add(1)).min(length);
    let algorithm = expected.map_or(Algorithm::Sha256, |expected| expected.digest.algorithm);
    let mut file = Hashing::new(file.take(limit), algorithm);
    let headers = rpm_header_bounds::headers(&mut file, limit)?;
    let payload = Sha256::of_reader(&mut file)?;
    let (_, hashed) = file.finish();
    Ok(Contents { hashed, parts: headers.map(|headers| (headers, payload)) })
}

/// Checks a Debian package against apt's lists; gives an unnamed copy, made in `scratch` while it was hashed: no
/// digests of its files are listed, and nobody can write into the copy.
pub fn deb(package: &Package, scratch: &Path) -> Result<(File, VerifiedPackage)> {
    let name = &package.name;
    let (Some(expected), Some(stated)) = (&package.expected, &package.stated) else {
        bail!("nothing is known of the Debian package {name}; use --source apt");
    };
    let file = File::open(&package.path).with_context(|| format!("opening {}", package.path.display()))?;
    let mut file = Hashing::new(file.take(expected.size.saturating_add(1)), expected.digest.algorithm);
    let mut copy = tempfile::tempfile_in(scratch).with_context(|| format!("copying {name}"))?;
    io::copy(&mut file, &mut copy).with_context(|| format!("copying {name}"))?;
    let (_, Hashed { size, sha256, listed }) = file.finish();
    if !expected.matches(size, &listed) {
        return Err(expected.mismatch(name, size, &listed));
    }
    copy.rewind().with_context(|| format!("reading {name}"))?;
    let build_time = deb_build_time(&mut copy).with_context(|| format!("reading {name}"))?;
    let verified = VerifiedPackage {
        nevra: stated.nevra.clone(),
        version: stated.version.clone(),
        source: stated.source.clone(),
        license: "see its copyright file".into(),
        sha256,
        size,
        signer: None,
        vendor: String::new(),
        build_time,
    };
    Ok((copy, verified))
}

/// When the package was built: the time in the header of its archive's first member. Leaves the file at its start.
fn deb_build_time(file: &mut File) -> std::io::Result<u64> {
    // "!<arch>\n", a name of 16 bytes, 12 decimal digits padded with spaces.
    let mut header = [0; 8 + 16 + 12];
    let read = file.take(header.len() as u64).read(&mut header)?;
    file.rewind()?;
    let time = header[..read].get(8 + 16..).and_then(|time| std::str::from_utf8(time).ok());
    Ok(time.and_then(|time| time.trim_end().parse().ok()).unwrap_or_default())
}
