//! An OpenPGP certificate: refused if it is damaged, revoked or expired, or cannot sign.

use anyhow::{Context, Result, anyhow, bail, ensure};
use pgp::composed::{Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{PacketParser, PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{KeyDetails, KeyVersion, VerifyingKey};

use super::signature::{fault, is_by, weakness};

/// A certificate, and those of its keys that may sign packages.
#[derive(Debug)]
pub(super) struct Certificate {
    /// Upper-case hexadecimal digits.
    pub(super) fingerprint: String,
    primary: Option<PublicKey>,
    subkeys: Vec<PublicSubkey>,
}

/// What is to be said of a signature in the name of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// It was made over something else, or by another key.
    DoesNotFit,
    Bad(String),
}

/// The fingerprint of a certificate, whatever else is wrong with it.
pub(super) fn fingerprint(packets: &[u8]) -> Option<String> {
    let first = PacketParser::new(packets).next()?.ok()?;
    Some(hex(&PublicKey::try_from(first).ok()?))
}

pub(super) fn hex(key: &impl KeyDetails) -> String {
    format!("{:X}", key.fingerprint())
}

/// Reads a certificate; the `pgp` crate's errors are replaced by short ones.
pub(super) fn parse(packets: &[u8]) -> Result<SignedPublicKey> {
    let packets: Result<Vec<_>, _> = PacketParser::new(packets).collect();
    let packets = packets.map_err(|_| anyhow!("one of its packets is damaged or of an unknown kind"))?;
    let whole = SignedPublicKey::from_packets(packets.into_iter().map(Ok).peekable()).next();
    whole.context("it holds no public key")?.map_err(|_| anyhow!("its packets do not make up a public key"))
}

/// That a certificate's own signatures fit it, those of them that count.
pub(super) fn check_own_signatures(whole: &SignedPublicKey, now: u64) -> Result<()> {
    let mut whole = whole.clone();
    drop_what_does_not_count(&mut whole, now);
    whole.verify_bindings().map_err(|_| anyhow!("its own signatures do not fit it"))
}

/// Adds what a further copy of a certificate holds, as gpg does: a revocation or a newer expiry in one of them counts.
pub(super) fn merge(whole: &mut SignedPublicKey, copy: SignedPublicKey) {
    fn add(known: &mut Vec<Signature>, more: Vec<Signature>) {
        for signature in more {
            if !known.contains(&signature) {
                known.push(signature);
            }
        }
    }
    add(&mut whole.details.revocation_signatures, copy.details.revocation_signatures);
    add(&mut whole.details.direct_signatures, copy.details.direct_signatures);
    for user in copy.details.users {
        match whole.details.users.iter_mut().find(|known| known.id.id() == user.id.id()) {
            Some(known) => add(&mut known.signatures, user.signatures),
            None => whole.details.users.push(user),
        }
    }
    for subkey in copy.public_subkeys {
        match whole.public_subkeys.iter_mut().find(|known| known.key.fingerprint() == subkey.key.fingerprint()) {
            Some(known) => add(&mut known.signatures, subkey.signatures),
            None => whole.public_subkeys.push(subkey),
        }
    }
}

/// Keeps of a certificate's signatures its own without a fault, and every revocation.
fn drop_what_does_not_count(whole: &mut SignedPublicKey, now: u64) -> Option<String> {
    let primary = &whole.primary_key;
    let mut first_fault = None;
    let mut counts = |signature: &Signature| {
        use SignatureType::{CertRevocation, SubkeyRevocation};
        if is_by(signature, primary) == Some(false) {
            return false;
        }
        if matches!(signature.typ(), Some(CertRevocation | SubkeyRevocation)) {
            return true;
        }
        let fault = fault(signature, primary, now);
        let counts = fault.is_none();
        first_fault = first_fault.take().or(fault);
        counts
    };
    whole.details.direct_signatures.retain(&mut counts);
    for user in &mut whole.details.users {
        user.signatures.retain(&mut counts);
    }
    // A picture of its owner decides nothing.
    whole.details.user_attributes.clear();
    whole.details.users.retain(|user| !user.signatures.is_empty());
    for SignedPublicSubKey { key, signatures } in &mut whole.public_subkeys {
        signatures.retain(|signature| {
            let back = signature.embedded_signature();
            counts(signature) && back.is_none_or(|back| fault(back, key, now).is_none())
        });
    }
    whole.public_subkeys.retain(|subkey| !subkey.signatures.is_empty());
    first_fault
}

impl Certificate {
    /// Judges one, as of `now` in seconds since 1970.
    pub(super) fn of(mut whole: SignedPublicKey, now: u64) -> Result<Self> {
        let fault = drop_what_does_not_count(&mut whole, now);
        whole.verify_bindings().map_err(|_| anyhow!("its own signatures do not fit it"))?;
        ensure!(whole.details.revocation_signatures.is_empty(), "it has been revoked");

        let primary = whole.primary_key;
        let own: Vec<_> = whole.details.users.iter().flat_map(|user| &user.signatures).collect();
        let own = own.into_iter().chain(&whole.details.direct_signatures);
        let newest = newest(own.filter(|signature| signature.typ() != Some(SignatureType::CertRevocation)));
        let Some(newest) = newest else {
            bail!(match fault {
                Some(fault) => format!("its own signature does not count: {fault}"),
                None => "it holds no signature of its own".into(),
            });
        };
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

    /// Judges a signature over `data` at `now`; `None` if it names another key.
    pub(super) fn verify(&self, signature: &Signature, data: &[u8], now: u64) -> Option<Verdict> {
        if let Some(key) = self.primary.as_ref().filter(|&key| is_by(signature, key) == Some(true)) {
            return Some(judge(signature, key, data, now));
        }
        let key = self.subkeys.iter().find(|&key| is_by(signature, key) == Some(true))?;
        Some(judge(signature, key, data, now))
    }
}

fn judge(signature: &Signature, key: &impl VerifyingKey, data: &[u8], now: u64) -> Verdict {
    match fault(signature, key, now) {
        Some(fault) => Verdict::Bad(fault),
        None if signature.verify(key, data).is_err() => Verdict::DoesNotFit,
        None => weakness(signature).map_or(Verdict::Good, Verdict::Bad),
    }
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
