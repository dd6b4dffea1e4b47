//! Splits a file of OpenPGP keys, ASCII-armoured or binary (as `fedora.gpg` is), into certificates.

use std::io::{BufRead, Read};

use anyhow::{Context, Result, anyhow};
use pgp::armor::Dearmor;
use pgp::packet::PacketHeader;
use pgp::types::{PacketLength, Tag};

/// Lines around a block of public keys; what is between two blocks is a comment.
const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The certificates of a file, each as OpenPGP packets, or why one cannot be told apart. None is passed over.
pub(super) fn split(file: &[u8]) -> Vec<Result<Vec<u8>>> {
    if is_binary(file) {
        return split_packets(file);
    }
    let text = String::from_utf8_lossy(file);
    let blocks = text.split(BEGIN).skip(1);
    blocks
        .flat_map(|block| dearmour(block).map_or_else(|error| vec![Err(error)], |bytes| split_packets(&bytes)))
        .collect()
}

/// A packet's first byte has its highest bit set (RFC 9580, 4.2). Text that begins so is UTF-8, which a key is not.
fn is_binary(file: &[u8]) -> bool {
    file.first().is_some_and(|byte| byte & 0x80 != 0) && std::str::from_utf8(file).is_err()
}

/// The bytes of a block, of which the first line is missing.
fn dearmour(block: &str) -> Result<Vec<u8>> {
    let (inside, _) = block.split_once(END).context("its block has no end")?;
    let mut bytes = Vec::new();
    let text = format!("{BEGIN}{inside}{END}\n");
    Dearmor::new(text.as_bytes()).read_to_end(&mut bytes).map_err(|_| anyhow!("its armour is damaged"))?;
    Ok(bytes)
}

/// Each certificate begins with a public key and ends before the next one.
fn split_packets(bytes: &[u8]) -> Vec<Result<Vec<u8>>> {
    let mut certificates: Vec<Result<Vec<u8>>> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let start = rest;
        let Some(tag) = skip_packet(&mut rest) else {
            // Where the next packet begins is not known.
            certificates.push(Err(anyhow!("a packet is damaged, cut off, or of no stated length")));
            break;
        };
        let packet = &start[..start.len() - rest.len()];
        match (tag, certificates.last_mut()) {
            (Tag::PublicKey, _) => certificates.push(Ok(packet.to_vec())),
            (Tag::SecretKey, _) => certificates.push(Err(anyhow!("it is a secret key; export the public one"))),
            // What gpg notes in its own files, and what every reader is to pass over (RFC 9580, 4.3).
            (Tag::Trust | Tag::Marker | Tag::Padding | Tag::UnassignedNonCritical(_) | Tag::Experimental(_), _) => {}
            (_, Some(Ok(certificate))) => certificate.extend_from_slice(packet),
            (_, Some(Err(_))) => {}
            (_, None) => certificates.push(Err(anyhow!("it does not begin with a public key"))),
        }
    }
    if certificates.is_empty() {
        certificates.push(Err(anyhow!("it is empty")));
    }
    certificates
}

/// Passes over a packet. Only packets of data may be without a length, or come in parts (RFC 9580, 4.2.1.4).
fn skip_packet(rest: &mut &[u8]) -> Option<Tag> {
    let header = PacketHeader::try_from_reader(&mut *rest).ok()?;
    let PacketLength::Fixed(length) = header.packet_length() else { return None };
    let length = usize::try_from(length).ok().filter(|&length| length <= rest.len())?;
    rest.consume(length);
    Some(header.tag())
}

#[cfg(test)]
mod tests {
    use super::split;

    /// A packet in the old format, as gpg writes keys and signatures.
    fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[0x81 | tag << 2][..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    #[test]
    fn tells_binary_certificates_apart() {
        let (key, user, trust) = (packet(6, &[4; 300]), packet(13, b"a"), packet(12, &[0, 6]));
        let good = [&key[..], &user].concat();
        for (what, file, expected) in [
            ("two", [&good[..], &good].concat(), vec![Some(&good), Some(&good)]),
            ("gpg's own notes", [&key[..], &trust, &user, &trust].concat(), vec![Some(&good)]),
            ("a secret key", [&packet(5, &[4; 9])[..], &user, &good].concat(), vec![None, Some(&good)]),
            ("something before it", [&user[..], &user, &good].concat(), vec![None, Some(&good)]),
            ("cut off after it", [&good[..], &key[..100]].concat(), vec![Some(&good), None]),
            ("text after it", [&good[..], b"hello"].concat(), vec![Some(&good), None]),
            // Old format, no length.
            ("no length", [&good[..], &[0x9b, 1, 2]].concat(), vec![Some(&good), None]),
            // New format, 512 bytes of more to come.
            ("in parts", [&good[..], &[0xc6, 0xe9], &[0; 600]].concat(), vec![Some(&good), None]),
            ("nothing but notes", [&trust[..], &[0x99]].concat(), vec![None]),
        ] {
            let found = split(&file);
            assert_eq!(found.iter().map(|found| found.as_ref().ok()).collect::<Vec<_>>(), expected, "{what}");
        }
        for text in ["", "hello", "\u{fc}ber -----BEGIN PGP", "\u{feff}text"] {
            assert!(split(text.as_bytes()).is_empty(), "{text}");
        }
    }
}
