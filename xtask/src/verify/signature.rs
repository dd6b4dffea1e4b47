//! One signature: what makes it bad although it fits what it signs, as gpg and rpm say too.

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Packet, PacketParser, Signature, SignatureType, Subpacket, SubpacketData};
use pgp::types::KeyDetails;

/// How much later than this machine's clock a signature may have been made, in seconds: what rpm 6 (Sequoia) allows.
const CLOCK_SKEW: u64 = 5 * 60;

const DAY: u64 = 24 * 60 * 60;

pub(super) fn read(bytes: &[u8]) -> Option<Signature> {
    match PacketParser::new(bytes).next()?.ok()? {
        Packet::Signature(signature) => Some(signature),
        _ => None,
    }
}

/// Who says to have made a signature.
pub(super) fn maker(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = || signature.issuer_key_id().first().map(|id| id.to_string().to_ascii_uppercase());
    fingerprint.or_else(id).unwrap_or_else(|| "an unnamed key".into())
}

/// Whether a signature says that `key` made it; `None` if it says nothing of its maker.
pub(super) fn is_by(signature: &Signature, key: &impl KeyDetails) -> Option<bool> {
    let (fingerprints, ids) = (signature.issuer_fingerprint(), signature.issuer_key_id());
    if !fingerprints.is_empty() {
        return Some(fingerprints.contains(&&key.fingerprint()));
    }
    (!ids.is_empty()).then(|| ids.contains(&&key.legacy_key_id()))
}

/// Why a good signature must not be relied on: SHA-1 and MD5 can be forged.
pub(super) fn weakness(signature: &Signature) -> Option<String> {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    let hash = signature.hash_alg();
    if !hash.is_some_and(|hash| [Sha256, Sha384, Sha512, Sha3_256, Sha3_512].contains(&hash)) {
        let name = hash.map_or_else(|| "an unknown digest".into(), |hash| format!("{hash:?}"));
        return Some(format!("it is made by way of {name}, which can be forged"));
    }
    (signature.typ() != Some(SignatureType::Binary)).then(|| "it is not made as a file is signed".into())
}

/// What makes a signature by `key` bad at `now`, in seconds since 1970, whatever it signs: what gpg 2.2.40 or rpmkeys
/// 6.1 calls bad. One from the future is bad for rpm alone.
pub(super) fn fault(signature: &Signature, key: &impl KeyDetails, now: u64) -> Option<String> {
    let Some(config) = signature.config() else { return Some("it is of an unknown version".into()) };
    // gpg looks for critical ones in both areas.
    let unknown = config.hashed_subpackets().chain(config.unhashed_subpackets()).find_map(unknown_critical);
    if let Some(unknown) = unknown {
        return Some(format!("it has {unknown}, which is critical and unknown here"));
    }
    let Some(created) = config.created().map(|time| u64::from(time.as_secs())) else {
        return Some("it does not say when it was made".into());
    };
    let key_created = u64::from(key.created_at().as_secs());
    if created < key_created {
        return Some(format!("it was made {} before its key", days(key_created - created)));
    }
    if created > now + CLOCK_SKEW {
        let ahead = days(created - now);
        return Some(format!("it was made {ahead} in the future; is this machine's clock right?"));
    }
    let lifetimes = config.hashed_subpackets().filter_map(|subpacket| match subpacket.data {
        SubpacketData::SignatureExpirationTime(lifetime) => Some(u64::from(lifetime.as_secs())),
        _ => None,
    });
    // 0 stands for no end.
    let end = created + lifetimes.filter(|&lifetime| lifetime != 0).min()?;
    (end <= now).then(|| format!("it expired {} ago", days(now - end)))
}

fn days(seconds: u64) -> String {
    match (seconds / DAY, seconds) {
        (0, 1) => "1 second".into(),
        (0, seconds) => format!("{seconds} seconds"),
        (1, _) => "1 day".into(),
        (days, _) => format!("{days} days"),
    }
}

/// Types of subpackets that gpg 2.2 can handle where they are critical (RFC 9580, 5.2.3.7), but for notations, of which none
/// is known here.
const KNOWN: [u8; 22] = [2, 3, 4, 5, 6, 7, 9, 11, 12, 16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33];

/// What a subpacket is, if it is critical and unknown.
fn unknown_critical(subpacket: &Subpacket) -> Option<String> {
    let number = subpacket.typ().as_u8(false);
    match &subpacket.data {
        _ if !subpacket.is_critical || KNOWN.contains(&number) => None,
        SubpacketData::Notation(notation) => {
            let name = String::from_utf8_lossy(&notation.name);
            Some(format!("the notation {}", name.escape_debug()))
        }
        _ => Some(format!("a subpacket of type {number}")),
    }
}
