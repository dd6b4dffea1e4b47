//! One OpenPGP certificate out of a file of armoured keys: read strictly, and judged: what cannot be read whole, has
//! been revoked, has expired or cannot sign is no certificate to trust. Which ones are wanted is decided in `keys`.

use std::io::{BufRead, Read};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pgp::armor::Dearmor;
use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{PacketHeader, PacketParser, PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{KeyDetails, KeyVersion, PacketLength, Tag};

/// Lines around a block of public keys; what is between two blocks is a comment.
const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// A certificate, and those of its keys that may sign packages.
#[derive(Debug)]
pub(super) struct Certificate {
    /// Upper-case hexadecimal digits.
    pub(super) fingerprint: String,
    primary: Option<PublicKey>,
    subkeys: Vec<PublicSubkey>,
}

/// Splits armoured text into its certificates, each as OpenPGP packets, or why they cannot be told apart. None is
/// passed over.
pub(super) fn split(text: &[u8]) -> Vec<Result<Vec<u8>>> {
    let text = String::from_utf8_lossy(text);
    let mut certificates = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        match dearmour(block).and_then(|bytes| split_packets(&bytes)) {
            Ok(more) => certificates.extend(more.into_iter().map(Ok)),
            Err(error) => certificates.push(Err(error)),
        }
    }
    certificates
}

/// The bytes of a block, of which the first line is missing.
fn dearmour(block: &str) -> Result<Vec<u8>> {
    let (inside, _) = block.split_once(END).context("a block without an end")?;
    let mut bytes = Vec::new();
    let text = format!("{BEGIN}{inside}{END}\n");
    Dearmor::new(text.as_bytes()).read_to_end(&mut bytes).context("reading its armour")?;
    Ok(bytes)
}

/// Each certificate begins with a public key and ends before the next one.
fn split_packets(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut certificates: Vec<Vec<u8>> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let start = rest;
        let header = PacketHeader::try_from_reader(&mut rest).context("reading a packet")?;
        let PacketLength::Fixed(length) = header.packet_length() else { bail!("a packet without a length") };
        let length = length as usize;
        ensure!(length <= rest.len(), "a packet that is cut off");
        rest.consume(length);
        let packet = &start[..start.len() - rest.len()];
        match certificates.last_mut().filter(|_| header.tag() != Tag::PublicKey) {
            Some(certificate) => certificate.extend_from_slice(packet),
            None if header.tag() == Tag::PublicKey => certificates.push(packet.to_vec()),
            None => bail!("it does not begin with a public key"),
        }
    }
    ensure!(!certificates.is_empty(), "it is empty");
    Ok(certificates)
}

/// The fingerprint of a certificate, whatever else is wrong with it.
pub(super) fn fingerprint(packets: &[u8]) -> Result<String> {
    let first = PacketParser::new(packets).next().context("no packet")?.context("reading its public key")?;
    let key = PublicKey::try_from(first).context("reading its public key")?;
    Ok(hex(&key))
}

fn hex(key: &impl KeyDetails) -> String {
    format!("{:X}", key.fingerprint())
}

impl Certificate {
    /// Reads and judges it, as of `now` in seconds since 1970.
    pub(super) fn read(packets: &[u8], now: u64) -> Result<Self> {
        let packets: Vec<_> = PacketParser::new(packets).collect::<Result<_, _>>().context("reading its packets")?;
        let mut whole = SignedPublicKey::from_packets(packets.into_iter().map(Ok).peekable());
        let mut whole = whole.next().context("no public key")?.context("reading its packets")?;

        // Others' words about its owner are of no use here, and cannot be checked.
        let primary = whole.primary_key.clone();
        for user in &mut whole.details.users {
            user.signatures.retain(|signature| is_by(signature, &primary) != Some(false));
        }
        whole.details.users.retain(|user| !user.signatures.is_empty());
        whole.verify_bindings().context("its own signatures do not fit")?;
        ensure!(whole.details.revocation_signatures.is_empty(), "it has been revoked");

        let own: Vec<_> = whole.details.users.iter().flat_map(|user| &user.signatures).collect();
        let own = own.into_iter().chain(&whole.details.direct_signatures);
        let newest = newest(own.filter(|signature| signature.typ() != Some(SignatureType::CertRevocation)));
        let newest = newest.context("it holds no signature of its own")?;
        if let Some(days) = expired(newest, &primary, now) {
            bail!("it expired {days} days ago");
        }
        let mut usable = Self { fingerprint: hex(&primary), primary: None, subkeys: Vec::new() };
        let mut unsupported = None;
        for subkey in whole.public_subkeys {
            let revoked = subkey.signatures.iter().any(|one| one.typ() == Some(SignatureType::SubkeyRevocation));
            let Some(binding) = self::newest(&subkey.signatures).filter(|_| !revoked) else { continue };
            if binding.key_flags().sign() && expired(binding, &subkey.key, now).is_none() {
                match check_algorithm(&subkey.key) {
                    Ok(()) => usable.subkeys.push(subkey.key),
                    Err(error) => unsupported = Some(error),
                }
            }
        }
        if may_sign(newest) {
            match check_algorithm(&primary) {
                Ok(()) => usable.primary = Some(primary),
                Err(error) => unsupported = Some(error),
            }
        }
        if usable.primary.is_none() && usable.subkeys.is_empty() {
            return Err(unsupported.unwrap_or_else(|| anyhow!("it holds no key that may sign")));
        }
        Ok(usable)
    }

    /// Whether a signature over `data` is good; `None` if it says that somebody else made it.
    pub(super) fn verify(&self, signature: &Signature, data: &[u8]) -> Option<Result<(), pgp::errors::Error>> {
        if let Some(key) = self.primary.as_ref().filter(|&key| is_by(signature, key) == Some(true)) {
            return Some(signature.verify(key, data));
        }
        let key = self.subkeys.iter().find(|&key| is_by(signature, key) == Some(true))?;
        Some(signature.verify(key, data))
    }
}

/// Whether a signature says that `key` made it; `None` if it says nothing of its maker.
fn is_by(signature: &Signature, key: &impl KeyDetails) -> Option<bool> {
    let (fingerprints, ids) = (signature.issuer_fingerprint(), signature.issuer_key_id());
    if !fingerprints.is_empty() {
        return Some(fingerprints.contains(&&key.fingerprint()));
    }
    (!ids.is_empty()).then(|| ids.contains(&&key.legacy_key_id()))
}

fn newest<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.into_iter().max_by_key(|signature| signature.created().map(|time| time.as_secs()))
}

/// For how many days a key has been out of use, by its newest binding.
fn expired(binding: &Signature, key: &impl KeyDetails, now: u64) -> Option<u64> {
    let lifetime = binding.key_expiration_time().map(|time| u64::from(time.as_secs())).filter(|&time| time != 0)?;
    let end = u64::from(key.created_at().as_secs()) + lifetime;
    (end <= now).then(|| (now - end) / (24 * 60 * 60))
}

/// A key without flags serves every purpose (RFC 9580, 5.2.3.29).
fn may_sign(binding: &Signature) -> bool {
    let flags = binding.key_flags();
    let none = !(flags.certify() || flags.encrypt_comms() || flags.encrypt_storage() || flags.authentication());
    flags.sign() || none
}

/// What Fedora signs with, has signed with, or is going to. DSA and keys of version 3 need broken digests.
fn check_algorithm(key: &impl KeyDetails) -> Result<()> {
    use PublicKeyAlgorithm::{ECDSA, Ed448, Ed25519, EdDSALegacy, RSA};
    let algorithm = key.algorithm();
    let known = [RSA, ECDSA, EdDSALegacy, Ed25519, Ed448].contains(&algorithm);
    let modern = matches!(key.version(), KeyVersion::V4 | KeyVersion::V6);
    ensure!(known && modern, "it signs with {algorithm:?} (version {:?}), which is not supported", key.version());
    Ok(())
}
