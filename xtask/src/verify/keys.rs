//! Whose signatures count: certificates from files that the user names, or those of a published keyring that have a
//! pinned fingerprint. Each by itself is read in `certificate`.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Packet, PacketParser, Signature, SignatureType};

use super::certificate::{Certificate, fingerprint, split};

/// Most signatures that a package may carry: each is checked, and named if none is good. rpm 6 writes one or two.
const MOST_SIGNATURES: usize = 16;

/// OpenPGP certificates whose signatures count.
#[derive(Debug)]
pub struct Keys {
    certificates: Vec<Certificate>,
    /// Where they were read from.
    names: Vec<String>,
}

impl Keys {
    /// Reads files of ASCII-armoured public keys. Whoever names a file means all that is in it, so each certificate
    /// must be of use.
    ///
    /// # Errors
    /// If a file cannot be read, holds no certificate, or one that cannot be read whole, is of an unsupported
    /// algorithm, has expired or been revoked, or may not sign.
    pub fn from_files(paths: &[PathBuf]) -> Result<Self> {
        let mut keys = Self { certificates: Vec::new(), names: Vec::new() };
        for path in paths {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).with_context(|| format!("reading the key {name}"))?;
            let found = split(&bytes);
            ensure!(!found.is_empty(), "reading the key {name}: not an ASCII-armoured OpenPGP public key");
            for (index, packets) in found.into_iter().enumerate() {
                let context = |packets: &[u8]| {
                    let which = fingerprint(packets).unwrap_or_else(|_| format!("number {}", index + 1));
                    format!("reading the key {name}: certificate {which} cannot be used; take it out of the file")
                };
                let packets = packets.with_context(|| context(&[]))?;
                let certificate = Certificate::read(&packets, now()?).with_context(|| context(&packets))?;
                keys.certificates.push(certificate);
            }
            keys.names.push(name);
        }
        Ok(keys)
    }

    /// Those certificates of an ASCII-armoured keyring that have one of these fingerprints (40 or 64 hexadecimal
    /// digits, in either case, with or without spaces). Of the others none counts, and some may be past use.
    ///
    /// # Errors
    /// If a fingerprint is none, or the keyring holds no usable certificate with any of them.
    pub fn pinned(keyring: &[u8], name: &str, fingerprints: &[String]) -> Result<Self> {
        let wanted = fingerprints.iter().map(|text| parse_fingerprint(text)).collect::<Result<Vec<_>>>()?;
        let mut certificates = Vec::new();
        let mut why = None;
        for packets in split(keyring).into_iter().flatten() {
            let Some(found) = fingerprint(&packets).ok().filter(|found| wanted.contains(found)) else { continue };
            match Certificate::read(&packets, now()?) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => why = Some(error.context(format!("reading the key {found} of {name}"))),
            }
        }
        if certificates.is_empty() {
            let missing =
                || anyhow!("{name} does not hold the key {} that this release is signed with", wanted.join(" or "));
            return Err(why.unwrap_or_else(missing));
        }
        Ok(Self { certificates, names: vec![name.into()] })
    }

    /// How many certificates there are.
    pub fn count(&self) -> usize {
        self.certificates.len()
    }

    /// Fingerprints of the certificates, sorted: all that decides what passes.
    pub fn identity(&self) -> String {
        let mut fingerprints: Vec<_> =
            self.certificates.iter().map(|certificate| certificate.fingerprint.as_str()).collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        fingerprints.join(" ")
    }

    /// Where they were read from, in words.
    pub fn names(&self) -> String {
        self.names.join(", ")
    }

    /// Checks the signatures of a package over its header; the fingerprint of the certificate behind the first good
    /// one.
    ///
    /// One good signature suffices: what others have added with keys that are not known here cannot be judged. A bad
    /// one in the name of a known key refuses the package whatever else it carries: no tool writes such a thing, so
    /// somebody has been at it.
    ///
    /// # Errors
    /// If no signature of a known key is good, or one is bad, or made by way of a digest that can be forged.
    pub fn check(&self, package: &str, header: &[u8], signatures: &[Cow<'_, [u8]>]) -> Result<String> {
        let count = signatures.len();
        ensure!(count <= MOST_SIGNATURES, "{package} carries {count} signatures, at most {MOST_SIGNATURES} are read");
        let mut good = None;
        let mut others = Vec::new();
        for bytes in signatures {
            let Some(signature) = read_signature(bytes) else {
                others.push("an unreadable signature".to_owned());
                continue;
            };
            let verdict = self
                .certificates
                .iter()
                .find_map(|certificate| Some((&certificate.fingerprint, certificate.verify(&signature, header)?)));
            match verdict {
                None => others.push(maker(&signature)),
                Some((signer, Err(_))) => bail!(
                    "{package} was tampered with: its signature in the name of {signer} does not fit its header; \
                     do not use it"
                ),
                Some((signer, Ok(()))) => {
                    check_strength(&signature).with_context(|| format!("{package} is signed by {signer}"))?;
                    good.get_or_insert_with(|| signer.clone());
                }
            }
        }
        match (good, others.is_empty()) {
            (Some(signer), _) => Ok(signer),
            (None, true) => {
                bail!("{package} is not signed; get a signed package, or type --no-signature to go without")
            }
            (None, false) => bail!(
                "{package} is signed by {}, not by a key of {}; do not use it, or add that key with --key",
                others.join(" and "),
                self.names()
            ),
        }
    }
}

/// Seconds since 1970.
fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("reading this machine's clock")?.as_secs())
}

/// A fingerprint as people copy it, in groups or in small letters, as fingerprints are written here: upper case, no
/// spaces.
///
/// # Errors
/// If it has not 40 or 64 hexadecimal digits.
pub fn parse_fingerprint(text: &str) -> Result<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    ensure!(
        matches!(digits.len(), 40 | 64) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{text:?} is no fingerprint of a key: 40 or 64 hexadecimal digits"
    );
    Ok(digits.to_ascii_uppercase())
}

/// The one signature that a package's tag holds.
fn read_signature(bytes: &[u8]) -> Option<Signature> {
    match PacketParser::new(bytes).next()?.ok()? {
        Packet::Signature(signature) => Some(signature),
        _ => None,
    }
}

/// Who says to have made a signature.
fn maker(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = || signature.issuer_key_id().first().map(|id| id.to_string().to_ascii_uppercase());
    fingerprint.or_else(id).unwrap_or_else(|| "an unnamed key".into())
}

/// Two headers with one SHA-1 or MD5 can be made, of which a signer sees one.
fn check_strength(signature: &Signature) -> Result<()> {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    let hash = signature.hash_alg();
    if !hash.is_some_and(|hash| [Sha256, Sha384, Sha512, Sha3_256, Sha3_512].contains(&hash)) {
        let name = hash.map_or_else(|| "an unknown digest".into(), |hash| format!("{hash:?}"));
        bail!("by way of {name}, which can be forged; do not use it");
    }
    ensure!(signature.typ() == Some(SignatureType::Binary), "but not as a file is signed; do not use it");
    Ok(())
}
