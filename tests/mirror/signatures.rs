//! Packages in format 6, with several signatures, bad ones, and weak ones.

use std::fs;
use std::path::Path;
use std::process::Command;

use rpm::signature::pgp::Signer;
use rpm::{
    BuildConfig, CompressionWithLevel, FileOptions, Header, HeaderEntry, IndexData, IndexSignatureTag, IndexTag,
    Package, PackageBuilder,
};
use xtask::mirror::Key;
use xtask::system;

use crate::command::Ran;
use crate::fixture::{MIRROR, emulator, key, other_key, text};
use crate::forge::{Built, build};
use crate::gpg::Gpg;

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
        Ran::new(&arguments)
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
    let ran = Ran::new(&["--source", text(built.source()), "--key", key()]);
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
    let ran = Ran::new(&["--source", text(built.source()), "--key", key()]);
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
    let ran = Ran::new(&["--source", text(built.source()), "--key", key()]);
    ran.assert_refused(&["qemu-user-static-six", "holds no SHA-256 of its payload"]);
}
