//! A package is what its repository and its signers say, or it is not opened.
//!
//! In this order, so that nothing unproven is parsed by more than a hash: length and SHA-256 against the promise (if
//! there is one), counts and offsets in the file's headers against the file, the signature over the header, the payload
//! digest that the signed header holds. Files come out in [`crate::extract`].

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Seek};

use anyhow::{Context, Result, bail};
use rpm::{DigestStatus, IndexTag, PackageMetadata};
use serde::{Deserialize, Serialize};

use crate::digest::{Algorithm, AnyHasher, Digest, Hasher, Sha256};
use crate::download::broken;
use crate::host::Host;
use crate::package::Package;
use crate::repo::Promise;
use crate::rpm_layout;

mod certificate;
mod keys;

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

/// Checks an RPM package for `host`. The file is left open, at its start.
///
/// # Errors
/// The first check that fails, with the file's name and what to do.
pub fn rpm(package: &Package, trust: &Trust, host: Host) -> Result<(File, Proof)> {
    let Package { path, promise, .. } = package;
    let promise = promise.as_ref();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut file = File::open(path).with_context(|| format!("opening the package {}", path.display()))?;
    let (digests, size) = hash(&mut file, promise).with_context(|| format!("reading the package {name}"))?;
    if let Some((promise, digest)) = promise.zip(digests.promised.as_ref())
        && !promise.is_kept_by(size, digest)
    {
        return Err(broken(&name, promise, size, digest));
    }
    let Some(payload) = digests.payload else {
        bail!("{name} is not an RPM package, or a damaged one; do not use it");
    };
    file.rewind().with_context(|| format!("reading the package {name}"))?;
    let metadata = PackageMetadata::parse(&mut BufReader::new(&mut file))
        .with_context(|| format!("reading the header of {name}: a damaged package; do not use it"))?;
    let signer = check_header(&name, &metadata, trust)?;
    match metadata.header.get_entry_data_as_string(IndexTag::RPMTAG_PAYLOADSHA256) {
        Ok(promised) if promised == payload.to_string() => {}
        Ok(promised) => {
            bail!("{name} was tampered with: payload SHA-256 {payload} instead of {promised}; do not use it")
        }
        // Format 6 has further digests of the payload beside it; this one suffices.
        Err(_) => bail!("{name} holds no SHA-256 of its payload, so that its signature proves nothing; do not use it"),
    }
    // A genuine package under another one's name, or an old one as a new one, would pass all checks above.
    let nevra = metadata.get_nevra().with_context(|| format!("reading the name of {name}"))?.nevra();
    if let Some(listed) = package.nevra.as_ref().filter(|listed| without_epoch_0(listed) != without_epoch_0(&nevra)) {
        bail!("{name} is package {nevra}, its repository says {listed}; do not use it");
    }
    let arch = metadata.get_arch().with_context(|| format!("reading the architecture of {name}"))?;
    if metadata.is_source_package() {
        bail!("{name} is a source package; name the folder of those that were built from it");
    }
    if arch != host.name && arch != "noarch" {
        bail!("{name} is for {arch}, not for {}; name the host with --host, or get the other package", host.name);
    }
    file.rewind().with_context(|| format!("reading the package {name}"))?;
    let text = |value: Result<&str, rpm::Error>| value.map(str::to_owned).unwrap_or_default();
    let proof = Proof {
        nevra,
        version: text(metadata.get_version()),
        source: text(metadata.get_source_rpm()),
        licence: text(metadata.get_license()),
        sha256: digests.file,
        size,
        signer,
        vendor: text(metadata.get_vendor()),
        build_time: metadata.get_build_time().unwrap_or_default(),
    };
    Ok((file, proof))
}

/// Digests and signature of the header.
fn check_header(name: &str, metadata: &PackageMetadata, trust: &Trust) -> Result<Option<String>> {
    let digests = metadata.check_digests().with_context(|| format!("reading the digests of {name}"))?;
    let header = [&digests.header_sha1, &digests.header_sha256, &digests.header_sha3_256];
    if header.iter().any(|status| matches!(status, DigestStatus::Mismatch { .. })) {
        bail!("{name} was tampered with: its header does not have the digest that it carries; do not use it");
    }
    let Trust::Keys(keys) = trust else { return Ok(None) };
    let context = || format!("reading the signatures of {name}");
    let header = metadata.header_bytes().with_context(context)?;
    keys.check(name, &header, &metadata.raw_signatures().with_context(context)?).map(Some)
}

struct Digests {
    file: Sha256,
    /// Of the same bytes, of the kind that is promised.
    promised: Option<Digest>,
    /// Of what follows the headers; absent where these make no sense.
    payload: Option<Sha256>,
}

/// Reads the file once. With a promise, no more than promised and one byte is read.
fn hash(file: &mut File, promise: Option<&Promise>) -> Result<(Digests, u64)> {
    let length = file.metadata()?.len();
    let payload_at = rpm_layout::payload_offset(file)?;
    file.rewind()?;
    let limit = promise.map_or(length, |promise| promise.size.saturating_add(1));
    let mut whole = Hasher::default();
    let other = promise.map(|promise| promise.digest.algorithm).filter(|algorithm| *algorithm != Algorithm::Sha256);
    let mut other = other.map(AnyHasher::new);
    let mut payload = Hasher::default();
    let mut at = 0;
    let mut buffer = vec![0; 1 << 18];
    while at < limit {
        let wanted = buffer.len().min(usize::try_from(limit - at).unwrap_or(usize::MAX));
        let read = match file.read(&mut buffer[..wanted])? {
            0 => break,
            read => read,
        };
        whole.update(&buffer[..read]);
        if let Some(other) = &mut other {
            other.update(&buffer[..read]);
        }
        if let Some(start) = payload_at {
            let skip = start.saturating_sub(at).min(read as u64) as usize;
            payload.update(&buffer[skip..read]);
        }
        at += read as u64;
    }
    let file = whole.finish();
    let promised = promise.map(|_| other.map_or_else(|| file.clone().into(), AnyHasher::finish));
    Ok((Digests { file, promised, payload: payload_at.map(|_| payload.finish()) }, at))
}

/// Checks a Debian package against the lists that apt has verified.
///
/// # Errors
/// If the file is not the one that the lists name.
pub fn deb(package: &Package) -> Result<(File, Proof)> {
    let name = &package.name;
    let (Some(promise), Some(stated)) = (&package.promise, &package.stated) else {
        bail!("nothing is known of the Debian package {name}; use --source apt");
    };
    let mut file = File::open(&package.path).with_context(|| format!("opening {}", package.path.display()))?;
    let size = file.metadata().with_context(|| format!("reading {name}"))?.len();
    let sha256 = Sha256::of_reader(&file).with_context(|| format!("reading {name}"))?;
    file.rewind().with_context(|| format!("reading {name}"))?;
    let build_time = deb_build_time(&mut file).with_context(|| format!("reading {name}"))?;
    let digest = sha256.clone().into();
    if !promise.is_kept_by(size, &digest) {
        return Err(broken(name, promise, size, &digest));
    }
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
    Ok((file, proof))
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
