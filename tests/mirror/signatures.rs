//! Packages in format 6, with several signatures, bad ones, and weak ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use fedora_mirror::Key;
use pgp::composed::{Deserializable, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{PacketTrait, SecretKey, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{Duration, KeyDetails, Password, SigningKey, Timestamp};
use rpm::signature::pgp::Signer;
use rpm::{
    BuildConfig, CompressionWithLevel, FileOptions, Header, HeaderEntry, IndexData, IndexSignatureTag, IndexTag,
    Package, PackageBuilder,
};
use xtask::system;

use crate::command::CommandResult;
use crate::fixture::{MIRROR, emulator, key, other_key, text};
use crate::gpg::Gpg;
use crate::rpm_forge::{Built, build};

/// A package in format 6 with one emulator, not signed.
pub(crate) fn format_6() -> Package {
    let mut builder = PackageBuilder::new("qemu-user-static-six", "1", "MIT", MIRROR.host, "Format 6");
    builder.using_config(BuildConfig::v6().compression(CompressionWithLevel::Zstd(1)));
    let emulator = fs::read(emulator("alpha")).expect("an emulator");
    builder.with_file_contents(emulator, FileOptions::new("/usr/bin/qemu-alpha-static")).expect("a file");
    builder.build().expect("a package")
}

fn signer(key: &Key) -> Signer {
    Signer::from_asc_file(&key.secret).expect("a secret key")
}

pub(crate) fn written(package: &Package) -> Built {
    let mut bytes = Vec::new();
    package.write(&mut bytes).expect("a package");
    Built::of("qemu-user-static-six", &bytes)
}

#[test]
fn format_6_and_several_signatures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = other_key(folder.path());
    let mut package = format_6();
    for tag in [IndexTag::RPMTAG_PAYLOAD_SHA512, IndexTag::RPMTAG_PAYLOAD_SHA3_256] {
        assert!(package.metadata.header.entry_is_present(tag as u32), "a further digest of the payload");
    }
    let extract = |package: &Package, keys: &[&Path]| {
        let built = written(package);
        let mut arguments = vec!["--source", text(built.source())];
        arguments.extend(keys.iter().flat_map(|path| ["--key", text(path)]));
        if keys.is_empty() {
            arguments.push("--no-signature");
        }
        CommandResult::new(&arguments)
    };
    let (mine, others) = (Path::new(key()), other.public.as_path());
    assert_eq!(extract(&package, &[]).emulators(), ["qemu-alpha-static"]);
    extract(&package, &[mine]).assert_refused(&["is not signed"]);

    package.sign(signer(&other)).expect("a signature");
    extract(&package, &[mine]).assert_refused(&["is signed by", &other.fingerprint, "not by a key of"]);
    let stray = package.raw_signatures().expect("signatures")[0].to_vec();
    package.sign(signer(&MIRROR.key)).expect("a second signature");
    for keys in [vec![mine], vec![others], vec![others, mine]] {
        let ran = extract(&package, &keys);
        assert_eq!(ran.emulators(), ["qemu-alpha-static"]);
        let record = fs::read_to_string(ran.out().join("record.json")).expect("the record");
        let signer = if keys == [mine] { &MIRROR.key.fingerprint } else { &other.fingerprint };
        assert!(record.contains(signer), "{record}");
    }

    // One that was made over another package: nobody who does not know its key can tell, whoever does refuses.
    let mut second = PackageBuilder::new("qemu-user-static-six", "2", "MIT", MIRROR.host, "Format 6");
    second.using_config(BuildConfig::v6().compression(CompressionWithLevel::Zstd(1)));
    let emulator = fs::read(emulator("alpha")).expect("an emulator");
    second.with_file_contents(emulator, FileOptions::new("/usr/bin/qemu-alpha-static")).expect("a file");
    let mut second = second.build().expect("a package");
    second.apply_signature(stray).expect("a signature of something else");
    second.sign(signer(&MIRROR.key)).expect("a good signature");
    assert_eq!(extract(&second, &[mine]).emulators(), ["qemu-alpha-static"]);
    let words = ["was tampered with", "its signature in the name of", &other.fingerprint, "does not fit"];
    extract(&second, &[mine, others]).assert_refused(&words);
    extract(&second, &[others]).assert_refused(&words);
}

/// A package in format 6 with a signature that gpg makes with these options, by a key of its own; the key's file.
fn signed_by_gpg(gpg: &Gpg, options: &[&str]) -> (Built, PathBuf) {
    let mut package = format_6();
    package.apply_signature(gpg.sign(&package.header_bytes().expect("a header"), options)).expect("a signature");
    let file = gpg.0.path().join("public.asc");
    fs::write(&file, gpg.export(&[])).expect("writing a key");
    (written(&package), file)
}

/// What gpg 2.2.40 and rpmkeys 6.1 said of packages with these signatures: past its own expiry, "Expired signature" and
/// `BAD`; with a critical notation, "BAD signature" and `NOTTRUSTED`; older than its key, "Time conflict" and `BAD`; ten
/// minutes ahead, good and `BAD` ("not alive"); not critical, or not expired yet, good and `OK`. rpmkeys 4.18 refuses
/// critical ones of all kinds, and takes those of any time.
#[test]
fn signatures_past_their_time_or_with_something_unknown() {
    for (options, words) in [
        (vec!["--default-sig-expire", "3d"], None),
        (vec!["--set-notation", "x@example.org=y"], None),
        (vec!["--faked-system-time", "20200201T000000", "--default-sig-expire", "1d"], Some("it expired")),
        (vec!["--set-notation", "!x@example.org=y"], Some("the notation x@example.org, which is critical")),
        (vec!["--faked-system-time", "20190201T000000", "--ignore-time-conflict"], Some("days before its key")),
        // Seconds from now.
        (vec!["--faked-system-time", "+60"], None),
        (vec!["--faked-system-time", "+900"], Some("in the future; is this machine's clock right?")),
    ] {
        let gpg = Gpg::new();
        let signer = gpg.generate(&["--faked-system-time", "20200101T000000"], "signer", "rsa2048", "sign", "never");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the time").as_secs();
        let from_now = |option: &str| option.strip_prefix('+').map(|more| now + more.parse::<u64>().expect("seconds"));
        let options: Vec<_> = options
            .into_iter()
            .map(|option| from_now(option).map_or_else(|| option.to_owned(), |time| time.to_string()))
            .collect();
        let (built, file) = signed_by_gpg(&gpg, &options.iter().map(String::as_str).collect::<Vec<_>>());
        let ran = CommandResult::new(&["--source", text(built.source()), "--key", text(&file)]);
        match words {
            None => assert_eq!(ran.emulators(), ["qemu-alpha-static"], "{options:?}"),
            Some(words) => ran.assert_refused(&["qemu-user-static-six", "is signed by", &signer, "is bad", words]),
        }
    }
}

/// gpg cannot be made to write these. It looks for critical subpackets in both areas, and calls a signature bad that has
/// one of a kind that it does not know ("due to an unknown critical bit").
#[test]
fn signatures_with_subpackets_of_unknown_kinds() {
    let secret = SignedSecretKey::from_armor_single(fs::File::open(&MIRROR.key.secret).expect("the secret half"));
    let secret = secret.expect("the secret half").0.primary_key;
    type Change = fn(&mut SignatureConfig);
    let cases: [(&str, Change, Option<&str>); 6] = [
        ("not critical", |config| config.hashed_subpackets.push(plain(SubpacketData::Other(99, "z".into()))), None),
        (
            "critical",
            |config| config.hashed_subpackets.push(critical(SubpacketData::Other(99, "z".into()))),
            Some("a subpacket of type 99, which is critical"),
        ),
        (
            "critical, for experiments",
            |config| config.hashed_subpackets.push(critical(SubpacketData::Experimental(101, "z".into()))),
            Some("a subpacket of type 101, which is critical"),
        ),
        (
            "critical, not signed",
            |config| config.unhashed_subpackets.push(critical(SubpacketData::Other(99, "z".into()))),
            Some("a subpacket of type 99, which is critical"),
        ),
        (
            "of no time",
            |config| {
                let is_time = |one: &Subpacket| matches!(one.data, SubpacketData::SignatureCreationTime(_));
                config.hashed_subpackets.retain(|one| !is_time(one));
            },
            Some("does not say when it was made"),
        ),
        (
            "two lifetimes",
            |config| {
                for seconds in [0, u32::MAX, 1] {
                    let lifetime = SubpacketData::SignatureExpirationTime(Duration::from_secs(seconds));
                    config.hashed_subpackets.push(critical(lifetime));
                }
            },
            Some("it expired"),
        ),
    ];
    for (what, change, words) in cases {
        let mut package = format_6();
        let mut config = SignatureConfig::v4(SignatureType::Binary, secret.algorithm(), HashAlgorithm::Sha256);
        let now = Timestamp::from_secs(Timestamp::now().as_secs() - 2);
        // The key may be younger than two seconds.
        let now = now.max(secret.created_at());
        config.hashed_subpackets.push(plain(SubpacketData::SignatureCreationTime(now)));
        config.hashed_subpackets.push(plain(SubpacketData::IssuerFingerprint(secret.fingerprint())));
        change(&mut config);
        std::thread::sleep(std::time::Duration::from_secs(if what == "two lifetimes" { 2 } else { 0 }));
        let header = package.header_bytes().expect("a header");
        let signature = signature(&secret, config, &header);
        let mut bytes = Vec::new();
        signature.to_writer_with_header(&mut bytes).expect("a signature");
        package.apply_signature(bytes).expect("a signature");
        let built = written(&package);
        let ran = CommandResult::new(&["--source", text(built.source()), "--key", key()]);
        match words {
            None => assert_eq!(ran.emulators(), ["qemu-alpha-static"], "{what}"),
            Some(words) => ran.assert_refused(&["is signed by", &MIRROR.key.fingerprint, "is bad", words]),
        }
    }
}

/// A signature as RFC 9580, 5.2.4 has it. The `pgp` crate makes none with a critical subpacket of an unknown type.
fn signature(key: &SecretKey, config: SignatureConfig, data: &[u8]) -> Signature {
    let mut hashed = Vec::new();
    config.hashed_subpackets.iter().for_each(|one| one.to_writer(&mut hashed).expect("a subpacket"));
    let mut signed = vec![4, config.typ.into(), config.pub_alg.into(), config.hash_alg.into()];
    signed.extend(u16::try_from(hashed.len()).expect("a few subpackets").to_be_bytes());
    signed.extend(hashed);
    let end = u32::try_from(signed.len()).expect("a few subpackets").to_be_bytes();
    let all = [data, &signed, &[4, 0xff], &end].concat();
    let digest = ring::digest::digest(&ring::digest::SHA256, &all);
    let digest = digest.as_ref();
    let made = key.sign(&Password::empty(), config.hash_alg, digest).expect("a signature");
    Signature::from_config(config, [digest[0], digest[1]], made).expect("a signature")
}

fn plain(data: SubpacketData) -> Subpacket {
    Subpacket::regular(data).expect("a subpacket")
}

fn critical(data: SubpacketData) -> Subpacket {
    Subpacket::critical(data).expect("a subpacket")
}

#[test]
fn more_signatures_than_a_package_has() {
    let mut package = format_6();
    package.sign(signer(&MIRROR.key)).expect("a signature");
    let signature = package.metadata.signature.get_all_entries().expect("a header").into_iter();
    let signature =
        signature.filter(|&(tag, _)| tag != IndexSignatureTag::HEADER_SIGNATURES as u32).map(|(tag, data)| {
            let data = match data {
                IndexData::StringArray(one) => IndexData::StringArray(vec![one[0].clone(); 17]),
                other => other,
            };
            HeaderEntry { tag, data }
        });
    package.metadata.signature = Header::from_entries(signature, IndexSignatureTag::HEADER_SIGNATURES);
    let built = written(&package);
    let ran = CommandResult::new(&["--source", text(built.source()), "--key", key()]);
    ran.assert_refused(&["qemu-user-static-six", "carries 17 signatures, at most 16"]);
}

#[test]
fn a_signature_by_way_of_sha_1() {
    let built = build("qemu-user-static-old", &[], "mkdir -p %{buildroot}/usr/x", "/usr/x");
    let home = Gpg::new();
    home.run(&["--import", text(&MIRROR.key.secret)]);
    let mut sign = Command::new("rpmsign");
    for definition in [
        format!("_gpg_name {}", MIRROR.key.fingerprint),
        format!("_gpg_path {}", home.0.path().display()),
        "_gpg_digest_algo sha1".to_owned(),
        format!("__gpg {}", system::find("gpg").expect("gpg").display()),
    ] {
        sign.arg("--define").arg(definition);
    }
    system::run(sign.arg("--addsign").arg(&built.path)).expect("signing a package");
    let ran = CommandResult::new(&["--source", text(built.source()), "--key", key()]);
    ran.assert_refused(&["qemu-user-static-old", "is signed by", &MIRROR.key.fingerprint, "can be forged"]);
}

#[test]
fn a_payload_without_the_digest_that_a_signature_covers() {
    let mut package = format_6();
    let entries = package.metadata.header.get_all_entries().expect("a header").into_iter();
    let gone = [IndexTag::RPMTAG_PAYLOADSHA256 as u32, IndexTag::RPMTAG_HEADERIMMUTABLE as u32];
    let entries = entries.filter(|(tag, _)| !gone.contains(tag)).map(|(tag, data)| HeaderEntry { tag, data });
    package.metadata.header = Header::from_entries(entries, IndexTag::RPMTAG_HEADERIMMUTABLE);
    package.clear_signatures().expect("new digests");
    package.sign(signer(&MIRROR.key)).expect("a signature");
    let built = written(&package);
    let ran = CommandResult::new(&["--source", text(built.source()), "--key", key()]);
    ran.assert_refused(&["qemu-user-static-six", "holds no SHA-256 of its payload"]);
}
