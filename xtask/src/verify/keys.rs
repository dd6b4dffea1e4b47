//! The keys whose signatures count: those in the user's files, or those of a keyring that have a pinned fingerprint.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pgp::composed::SignedPublicKey;
use pgp::types::KeyDetails;

use super::certificate::{Certificate, Verdict, check_own_signatures, fingerprint, hex, merge, parse};
use super::keyring::split;
use super::signature::{self, maker};

/// Most signatures that a package may carry: each is checked, and named if none is good. rpm 6 writes one or two.
const MOST_SIGNATURES: usize = 16;

#[derive(Debug)]
pub struct Keys {
    certificates: Vec<Certificate>,
    names: Vec<String>,
}

impl Keys {
    /// Reads files of public keys. Each certificate in them must be usable.
    pub fn from_files(paths: &[PathBuf]) -> Result<Self> {
        let read = |path: &PathBuf| {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).with_context(|| format!("reading the key {name}"))?;
            Ok((name, bytes))
        };
        Self::from_bytes(paths.iter().map(read).collect::<Result<Vec<_>>>()?)
    }

    /// The same for files that are in memory: their names and contents.
    pub fn from_bytes(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        let mut found = Found::default();
        let mut names = Vec::new();
        for (name, bytes) in files {
            let certificates = split(&bytes);
            ensure!(
                !certificates.is_empty(),
                "reading the key {name}: not an OpenPGP public key, neither ASCII-armoured (-----BEGIN PGP PUBLIC KEY \
                 BLOCK-----) nor binary (gpg --export)"
            );
            for (index, packets) in certificates.into_iter().enumerate() {
                let which = |packets: &[u8]| fingerprint(packets).unwrap_or_else(|| format!("number {}", index + 1));
                let packets = packets.with_context(|| cannot_be_used(&name, &which(&[])))?;
                found.add(parse(&packets).with_context(|| cannot_be_used(&name, &which(&packets)))?, &name);
            }
            names.push(name);
        }
        let now = now()?;
        let judge = |(key, name): (SignedPublicKey, String)| {
            let fingerprint = hex(&key);
            Certificate::of(key, now).with_context(|| cannot_be_used(&name, &fingerprint))
        };
        Ok(Self { certificates: found.0.into_iter().map(judge).collect::<Result<_>>()?, names })
    }

    /// The certificates of keyrings that have one of these fingerprints. Others are ignored, damaged ones too.
    pub fn pinned(keyrings: &[impl AsRef<[u8]>], name: &str, fingerprints: &[String]) -> Result<Self> {
        let wanted = fingerprints.iter().map(|text| parse_fingerprint(text)).collect::<Result<Vec<_>>>()?;
        let mut found = Found::default();
        let now = now()?;
        let mut certificates = Vec::new();
        let mut why = None;
        for packets in keyrings.iter().flat_map(|keyring| split(keyring.as_ref())).flatten() {
            let Some(fingerprint) = fingerprint(&packets).filter(|found| wanted.contains(found)) else { continue };
            // A damaged copy takes nothing from a good one.
            match parse(&packets).and_then(|key| check_own_signatures(&key, now).map(|()| key)) {
                Ok(key) => found.add(key, name),
                Err(error) => why = Some(error.context(format!("reading the key {fingerprint} of {name}"))),
            }
        }
        for (key, _) in found.0 {
            let fingerprint = hex(&key);
            match Certificate::of(key, now) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => why = Some(error.context(format!("reading the key {fingerprint} of {name}"))),
            }
        }
        if certificates.is_empty() {
            let missing =
                || anyhow!("{name} does not hold the key {} that this release is signed with", wanted.join(" or "));
            return Err(why.unwrap_or_else(missing));
        }
        Ok(Self { certificates, names: vec![name.into()] })
    }

    pub fn count(&self) -> usize {
        self.certificates.len()
    }

    /// Fingerprints of the certificates, sorted: all that decides what passes.
    pub fn cache_key(&self) -> String {
        let mut fingerprints: Vec<_> =
            self.certificates.iter().map(|certificate| certificate.fingerprint.as_str()).collect();
        fingerprints.sort_unstable();
        fingerprints.join(" ")
    }

    pub(crate) fn names(&self) -> String {
        self.names.join(", ")
    }

    /// The fingerprint of the certificate behind the first good signature of a package's header.
    ///
    /// Signatures of unknown keys are ignored. A bad one in the name of a known key refuses the package: over other
    /// bytes, expired, older than its key, from the future, with an unknown critical subpacket, or with a digest that
    /// can be forged.
    pub fn check(&self, package: &str, header: &[u8], signatures: &[Cow<'_, [u8]>]) -> Result<String> {
        let count = signatures.len();
        ensure!(count <= MOST_SIGNATURES, "{package} carries {count} signatures, at most {MOST_SIGNATURES} are read");
        let now = now()?;
        let mut good = None;
        let mut others = Vec::new();
        for bytes in signatures {
            let Some(signature) = signature::read(bytes) else {
                others.push("an unreadable signature".to_owned());
                continue;
            };
            let verdict = self
                .certificates
                .iter()
                .find_map(|certificate| Some((&certificate.fingerprint, certificate.verify(&signature, header, now)?)));
            match verdict {
                None => others.push(maker(&signature)),
                Some((signer, Verdict::DoesNotFit)) => bail!(
                    "{package} was tampered with: its signature in the name of {signer} does not fit its header; \
                     do not use it"
                ),
                Some((signer, Verdict::Bad(reason))) => {
                    bail!("{package} is signed by {signer}, but the signature is bad: {reason}; do not use it")
                }
                Some((signer, Verdict::Good)) => {
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

/// Keys in the order in which they were found, each once, with the name of the first file that holds it.
#[derive(Default)]
struct Found(Vec<(SignedPublicKey, String)>);

impl Found {
    fn add(&mut self, key: SignedPublicKey, name: &str) {
        match self.0.iter_mut().find(|(known, _)| known.fingerprint() == key.fingerprint()) {
            Some((known, _)) => merge(known, key),
            None => self.0.push((key, name.into())),
        }
    }
}

fn cannot_be_used(name: &str, which: &str) -> String {
    format!("reading the key {name}: certificate {which} cannot be used; take it out of the file")
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("reading this machine's clock")?.as_secs())
}

/// A fingerprint in groups or small letters, as 40 or 64 upper-case digits.
pub fn parse_fingerprint(text: &str) -> Result<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    ensure!(
        matches!(digits.len(), 40 | 64) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{text:?} is no fingerprint of a key: 40 or 64 hexadecimal digits"
    );
    Ok(digits.to_ascii_uppercase())
}
