//! Whose signatures count: what a file of keys may hold, pinned keys, and keys out of a package.

use std::fs;

use rpm::signature::pgp::Signer;
use xtask::key_package;
use xtask::verify::{Keys, Trust};

use crate::command::Ran;
use crate::fixture::{MIRROR, key, other_key, text};
use crate::forge::{Built, build};
use crate::gpg::Gpg;
use crate::signatures::{format_6, written};

/// The mirror's key, as text.
fn good() -> String {
    fs::read_to_string(&MIRROR.key.public).expect("the mirror's key")
}

/// Keys that are no use: fingerprint, what is said of it, armour.
fn useless() -> Vec<(String, &'static str, String)> {
    let gpg = Gpg::new();
    let old = ["--faked-system-time", "20200101T000000"];
    let expired = gpg.generate(&old, "expired", "ed25519", "sign", "1y");
    let certifier = gpg.generate(&[], "certifier", "rsa2048", "cert", "never");
    let dsa = gpg.generate(&[], "dsa", "dsa2048", "sign", "never");
    let revoked = gpg.generate(&[], "revoked", "ed25519", "sign", "never");
    let certificate = gpg.0.path().join(format!("openpgp-revocs.d/{revoked}.rev"));
    let words = fs::read_to_string(&certificate).expect("a revocation").replace(":-----BEGIN", "-----BEGIN");
    fs::write(&certificate, words).expect("a revocation");
    gpg.run(&["--import", text(&certificate)]);
    [(expired, "it expired"), (certifier, "no key that may sign"), (dsa, "DSA"), (revoked, "has been revoked")]
        .into_iter()
        .map(|(fingerprint, words)| {
            let armour = gpg.export(&[&fingerprint]);
            (fingerprint, words, armour)
        })
        .collect()
}

/// What becomes of a file with these keys.
fn with_key_file(content: &str) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("keys.asc");
    fs::write(&file, content).expect("writing a file");
    Ran::new(&["--source", text(&MIRROR.repo()), "--target", "alpha", "--key", text(&file)])
}

#[test]
fn every_key_of_a_file_must_be_of_use() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = fs::read_to_string(other_key(folder.path()).public).expect("another key");
    let both = format!("Two keys.\n{other}\nand\n{}\nthat is all\n", good());
    assert_eq!(with_key_file(&both).emulators(), ["qemu-alpha-static"]);
    let gpg = Gpg::new();
    for (name, armour) in [("one", &other), ("two", &good())] {
        let file = gpg.0.path().join(name);
        fs::write(&file, armour).expect("writing a key");
        gpg.run(&["--import", text(&file)]);
    }
    assert_eq!(with_key_file(&gpg.export(&[])).emulators(), ["qemu-alpha-static"], "two in one block");

    for (fingerprint, words, armour) in useless() {
        for content in [good() + &armour, armour.clone() + &good(), armour.clone()] {
            with_key_file(&content).assert_refused(&["keys.asc", &fingerprint, words]);
        }
    }
    let torn = good().replacen('A', "!", 3);
    let short = other.split_once("-----END").map_or("", |(start, _)| start);
    let lines: Vec<_> = other.lines().collect();
    let few = [&lines[..4], &lines[lines.len() - 1..]].concat().join("\n");
    for (content, which) in [(good() + &torn, 2), (torn + &other, 1), (good() + short, 2), (good() + &few, 2)] {
        let which = format!("certificate number {which} cannot be used");
        let ran = with_key_file(&content);
        assert!(ran.stderr.contains(&which) || ran.stderr.contains("cannot be used"), "{}", ran.stderr);
        ran.assert_refused(&["keys.asc", "cannot be used"]);
    }
    for none in ["", "hello", &fs::read_to_string(&MIRROR.key.secret).expect("the secret half")] {
        with_key_file(none).assert_refused(&["keys.asc", "not an ASCII-armoured OpenPGP public key"]);
    }
}

#[test]
fn subkeys_sign_while_they_are_of_use() {
    let gpg = Gpg::new();
    let primary = gpg.generate(&[], "subkey", "rsa2048", "cert", "never");
    gpg.run(&["--quick-add-key", &primary, "rsa2048", "sign", "never"]);
    let secret = gpg.run(&["--armor", "--export-secret-keys", &primary]);
    let mut package = format_6();
    package.sign(Signer::from_asc(&secret).expect("a key")).expect("a signature");
    let built = written(&package);
    let file = gpg.0.path().join("public.asc");
    let run = || {
        fs::write(&file, gpg.export(&[&primary])).expect("writing a key");
        Ran::new(&["--source", text(built.source()), "--key", text(&file)])
    };
    let good = run();
    assert_eq!(good.emulators(), ["qemu-alpha-static"]);
    let record = fs::read_to_string(good.out().join("record.json")).expect("the record");
    assert!(record.contains(&primary), "the signer is the certificate: {record}");

    gpg.edit(&primary, "key 1\nrevkey\ny\n0\n\ny\nsave\n");
    run().assert_refused(&["public.asc", &primary, "no key that may sign"]);
    let old = ["--faked-system-time", "20200101T000000"];
    let expired = gpg.generate(&old, "old", "rsa2048", "cert", "never");
    gpg.run(&[&old[..], &["--quick-add-key", &expired, "rsa2048", "sign", "1y"]].concat());
    with_key_file(&gpg.export(&[&expired])).assert_refused(&[&expired, "no key that may sign"]);
}

#[test]
fn of_a_keyring_only_the_pinned_keys_count() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = other_key(folder.path());
    let useless = useless();
    let mut keyring = String::from("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!\n-----END PGP PUBLIC KEY BLOCK-----\n");
    keyring.extend(useless.iter().map(|(_, _, armour)| armour.as_str()));
    keyring += &fs::read_to_string(&other.public).expect("another key");
    keyring += &good();
    let pinned = |fingerprints: &[&str]| {
        let fingerprints: Vec<_> = fingerprints.iter().map(|&text| text.to_owned()).collect();
        Keys::pinned(keyring.as_bytes(), "the keyring", &fingerprints).map(Trust::Keys)
    };
    let mine = MIRROR.key.fingerprint.as_str();
    let spaced =
        mine.to_lowercase().as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four) + " ").collect::<String>();
    for (fingerprints, identity) in [
        (vec![mine], format!("keys {mine}")),
        (vec![&spaced], format!("keys {mine}")),
        (vec!["0".repeat(40).leak(), mine], format!("keys {mine}")),
    ] {
        assert_eq!(pinned(&fingerprints).expect("a key").identity(), identity);
    }
    let both = pinned(&[mine, &other.fingerprint]).expect("two keys").identity();
    assert!(both.contains(mine) && both.contains(&other.fingerprint), "{both}");
    let zeros = "0".repeat(40);
    let (expired, why, _) = &useless[0];
    for (fingerprints, words) in [
        (vec![zeros.as_str()], vec!["the keyring does not hold the key", &zeros]),
        (vec![&zeros, "F".repeat(64).leak()], vec!["does not hold the key", &zeros, " or FFFF"]),
        (vec![expired.as_str()], vec!["the keyring", expired, why]),
        (vec![&mine[..39]], vec!["no fingerprint of a key"]),
        (vec!["0x"], vec!["no fingerprint of a key"]),
        (vec![], vec!["the keyring"]),
    ] {
        let error = format!("{:#}", pinned(&fingerprints).expect_err("no key"));
        assert!(words.iter().all(|word| error.contains(*word)), "{error}");
    }
}

#[test]
fn keys_out_of_the_distributions_package() {
    let install = format!(
        "mkdir -p %{{buildroot}}/etc/pki/rpm-gpg; cd %{{buildroot}}/etc/pki/rpm-gpg; cp {} RPM-GPG-KEY-fedora-45-primary; \
         ln -s RPM-GPG-KEY-fedora-45-primary RPM-GPG-KEY-fedora-45-x86_64; echo other >RPM-GPG-KEY-other",
        key()
    );
    let arguments = ["--target", "noarch"];
    let built = build(key_package::NAME, &arguments, &install, "/etc/pki");
    let keyring = |built: &Built| key_package::keyring(fs::File::open(&built.path).expect("the package"));
    let found = keyring(&built).expect("a keyring");
    assert_eq!(String::from_utf8_lossy(&found), good() + "\n");
    Keys::pinned(&found, key_package::NAME, std::slice::from_ref(&MIRROR.key.fingerprint)).expect("the pinned key");

    let error = keyring(&build(key_package::NAME, &arguments, "mkdir -p %{buildroot}/etc/pki", "/etc/pki"));
    assert!(error.expect_err("no keys").to_string().contains("holds no keys"));
    let large = "truncate -s 70000 %{buildroot}/etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-1";
    let error = keyring(&build(
        key_package::NAME,
        &arguments,
        &format!("mkdir -p %{{buildroot}}/etc/pki/rpm-gpg; {large}"),
        "/etc/pki",
    ));
    assert!(error.expect_err("a large key").to_string().contains("which no key has"));
    let damaged = Built::of("x", b"hello");
    assert!(keyring(&damaged).expect_err("no package").to_string().contains("not an RPM package"));
}
