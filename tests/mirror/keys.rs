//! Whose signatures count: what a file of keys may hold, pinned keys, and keys out of a package.

use std::fs;

use pgp::composed::{Deserializable, SignedSecretKey};
use pgp::packet::{Notation, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{Duration, Password, Tag, Timestamp};
use rpm::signature::pgp::Signer;
use xtask::source::keyring_rpm;
use xtask::verify::{Keys, Trust};

use crate::command::CommandResult;
use crate::fixture::{MIRROR, key, other_key, text};
use crate::gpg::Gpg;
use crate::rpm_forge::{Built, build};
use crate::signatures::{format_6, written};

/// The mirror's key, as text.
fn good() -> String {
    let gpg = Gpg::new();
    gpg.run(&["--import", key()]);
    gpg.export(&[])
}

/// What a keyring holds besides the wanted key: old kinds, as Fedora's and others' first keys are, kinds that nobody
/// knows yet, and bytes that are no key. gpg 2.2 makes no keys of version 3.
fn old_kinds() -> Vec<u8> {
    let gpg = Gpg::new();
    let dsa = gpg.generate(&[], "dsa", "dsa2048", "sign", "never");
    gpg.run(&["--quick-add-key", &dsa, "elg2048", "encr", "never"]);
    let packet = |tag: u8, body: &[u8]| [&[0x81 | tag << 2][..], &(body.len() as u16).to_be_bytes(), body].concat();
    // Version 3, made in 1998, no expiry, RSA: a modulus of 512 bits and the exponent 17.
    let version_3 = [&[3, 0x36, 0, 0, 0, 0, 0, 1, 2, 0][..], &[0xc5; 64], &[0, 5, 17]].concat();
    [
        gpg.export_binary(&[]),
        packet(6, &version_3),
        packet(13, b"somebody of long ago"),
        // Version 4 with an algorithm of number 99, and a version that is not there.
        packet(6, &[4, 0x50, 0, 0, 0, 99, 1, 2, 3]),
        packet(6, &[9; 40]),
        packet(13, b"somebody of the future"),
        packet(6, &[]),
        packet(14, &[0xff; 9]),
    ]
    .concat()
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
fn with_key_file(content: impl AsRef<[u8]>) -> CommandResult {
    with_key_files(&[content.as_ref()])
}

/// What becomes of several files of keys.
fn with_key_files(contents: &[&[u8]]) -> CommandResult {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut arguments = vec!["--source".to_owned(), text(&MIRROR.repo()).into(), "--target".into(), "alpha".into()];
    for (index, content) in contents.iter().enumerate() {
        let file = folder.path().join(format!("{index}keys.asc"));
        fs::write(&file, content).expect("writing a file");
        arguments.extend(["--key".to_owned(), text(&file).into()]);
    }
    CommandResult::new(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
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
    assert_eq!(with_key_file(gpg.export(&[])).emulators(), ["qemu-alpha-static"], "two in one block");
    let binary = gpg.export_binary(&[]);
    assert_eq!(with_key_file(&binary).emulators(), ["qemu-alpha-static"], "two in a binary file");
    for (rest, words) in [(&[0x99, 1][..], "cut off"), (&[0x9b, 1], "no stated length"), (b"\n\n", "damaged")] {
        with_key_file([&binary, rest].concat()).assert_refused(&["keys.asc", "number 3 cannot be used", words]);
    }

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
        with_key_file(none).assert_refused(&[
            "keys.asc",
            "not an OpenPGP public key, neither ASCII-armoured",
            "binary",
        ]);
    }
    let old = old_kinds();
    with_key_file([&binary, &old[..]].concat()).assert_refused(&["keys.asc", "cannot be used; take it out"]);
    // Of the reader's own words none is of use to anybody.
    let mut spoilt = binary;
    let at = spoilt.len() - 20;
    spoilt[at] ^= 1;
    let ran = with_key_file(spoilt);
    assert!(!ran.stderr.contains("assertion") && !ran.stderr.contains("left"), "{}", ran.stderr);
    ran.assert_refused(&["cannot be used", "its own signatures do not fit it"]);
}

#[test]
fn a_secret_key_is_none_to_trust() {
    let gpg = Gpg::new();
    let fingerprint = gpg.generate(&[], "secret", "ed25519", "sign", "never");
    let file = gpg.0.path().join("secret");
    gpg.run(&["--output", text(&file), "--export-secret-keys", &fingerprint]);
    let secret = fs::read(file).expect("a secret key");
    with_key_file(secret).assert_refused(&["cannot be used", "it is a secret key; export the public one"]);
}

#[test]
fn a_key_that_is_there_twice_is_one() {
    let (armour, gpg) = (good(), Gpg::new());
    gpg.run(&["--import", key()]);
    let binary = gpg.export_binary(&[]);
    let both: [&[u8]; 2] = [armour.as_bytes(), &binary];
    let named = |index: usize, bytes: &[u8]| (format!("file {index}"), bytes.to_vec());
    for (what, files) in [
        ("two blocks", vec![[armour.as_bytes(), armour.as_bytes()].concat()]),
        ("a binary ring", vec![[&binary[..], &binary].concat()]),
        ("two files of either form", both.map(<[u8]>::to_vec).to_vec()),
    ] {
        let keys = Keys::from_bytes(files.iter().enumerate().map(|(index, file)| named(index, file))).expect(what);
        assert_eq!((keys.count(), keys.cache_key()), (1, MIRROR.key.fingerprint.clone()), "{what}");
        let pinned = Keys::pinned(&files, what, std::slice::from_ref(&MIRROR.key.fingerprint)).expect(what);
        assert_eq!((pinned.count(), pinned.cache_key()), (1, MIRROR.key.fingerprint.clone()), "{what}");
    }
    assert_eq!(with_key_files(&both).emulators(), ["qemu-alpha-static"]);
}

/// gpg makes one of all copies that it imports: a newer expiry counts, and so does a revocation.
#[test]
fn copies_of_a_key_count_together() {
    let gpg = Gpg::new();
    let past = ["--faked-system-time", "20200101T000000"];
    let renewed = gpg.generate(&past, "renewed", "ed25519", "sign", "1y");
    let expired = gpg.export(&[&renewed]);
    gpg.run(&["--quick-set-expire", &renewed, "10y"]);
    let revoked = gpg.generate(&[], "revoked", "ed25519", "sign", "never");
    let alive = gpg.export(&[&revoked]);
    let certificate = gpg.0.path().join(format!("openpgp-revocs.d/{revoked}.rev"));
    let words = fs::read_to_string(&certificate).expect("a revocation").replace(":-----BEGIN", "-----BEGIN");
    fs::write(&certificate, words).expect("a revocation");
    gpg.run(&["--import", text(&certificate)]);
    let read = |copies: [&str; 2]| {
        let [one, other] = copies.map(|copy| copy.as_bytes().to_vec());
        [[one.clone(), other.clone()], [other, one]].map(|files| {
            let named = files.into_iter().map(|file| ("a file".to_owned(), file));
            Keys::from_bytes(named).map(|keys| keys.count()).map_err(|error| format!("{error:#}"))
        })
    };
    for found in read([&expired, &gpg.export(&[&renewed])]) {
        assert_eq!(found, Ok(1));
    }
    for found in read([&alive, &gpg.export(&[&revoked])]) {
        assert!(found.as_ref().is_err_and(|error| error.contains("has been revoked")), "{found:?}");
    }
}

/// What becomes of the mirror's key when a signature of its own is made so, beside the good ones or instead of them.
fn with_own_signature(is_alone: bool, change: impl FnOnce(&mut SignatureConfig)) -> Result<usize, String> {
    let secret = SignedSecretKey::from_armor_single(fs::File::open(&MIRROR.key.secret).expect("the secret half"));
    let secret = secret.expect("the secret half").0;
    let mut whole = secret.to_public_key();
    let user = &mut whole.details.users[0];
    let own = user.signatures[0].config().expect("a signature").clone();
    let mut config = SignatureConfig::v4(SignatureType::CertPositive, own.pub_alg, own.hash_alg);
    config.hashed_subpackets = own.hashed_subpackets;
    change(&mut config);
    let key = &secret.primary_key;
    let made = config.sign_certification(key, key.public_key(), &Password::empty(), Tag::UserId, &user.id);
    let made = made.expect("a signature");
    user.signatures = if is_alone { vec![made] } else { vec![user.signatures[0].clone(), made] };
    let bytes = whole.to_bytes().expect("a key");
    Keys::from_bytes([("the file".to_owned(), bytes)]).map(|keys| keys.count()).map_err(|error| format!("{error:#}"))
}

/// gpg passes over a key's own signature that has expired or has something critical that it does not know, and goes by
/// the others; without any it does not use the key.
#[test]
fn own_signatures_past_their_time_count_for_nothing() {
    let lifetime = |seconds| SubpacketData::SignatureExpirationTime(Duration::from_secs(seconds));
    let notation = Notation { readable: true, name: "x@example.org".into(), value: "y".into() };
    let long_ago = |config: &mut SignatureConfig| {
        for subpacket in &mut config.hashed_subpackets {
            if let SubpacketData::SignatureCreationTime(time) = &mut subpacket.data {
                *time = Timestamp::from_secs(1_000_000_000);
            }
        }
    };
    for (words, data) in [
        ("it expired", lifetime(1)),
        ("the notation x@example.org, which is critical", SubpacketData::Notation(notation)),
        ("a subpacket of type 101, which is critical", SubpacketData::Experimental(101, "z".into())),
    ] {
        let subpacket = Subpacket::critical(data).expect("a subpacket");
        let add = |config: &mut SignatureConfig| config.hashed_subpackets.push(subpacket.clone());
        // The key is a second old at least, and so is its signature.
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert_eq!(with_own_signature(false, add), Ok(1), "{words}");
        let error = with_own_signature(true, add).expect_err(words);
        assert!(error.contains("its own signature does not count") && error.contains(words), "{error}");
    }
    let error = with_own_signature(true, long_ago).expect_err("older than its key");
    assert!(error.contains("does not count: it was made") && error.contains("before its key"), "{error}");
    let far = Subpacket::critical(lifetime(u32::MAX)).expect("a subpacket");
    assert_eq!(with_own_signature(true, |config| config.hashed_subpackets.push(far)), Ok(1));
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
        CommandResult::new(&["--source", text(built.source()), "--key", text(&file)])
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
    with_key_file(gpg.export(&[&expired])).assert_refused(&[&expired, "no key that may sign"]);
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
        Keys::pinned(&[&keyring], "the keyring", &fingerprints).map(Trust::Keys)
    };
    let mine = MIRROR.key.fingerprint.as_str();
    let spaced =
        mine.to_lowercase().as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four) + " ").collect::<String>();
    for (fingerprints, identity) in [
        (vec![mine], format!("keys {mine}")),
        (vec![&spaced], format!("keys {mine}")),
        (vec!["0".repeat(40).leak(), mine], format!("keys {mine}")),
    ] {
        assert_eq!(pinned(&fingerprints).expect("a key").cache_key(), identity);
    }
    let both = pinned(&[mine, &other.fingerprint]).expect("two keys").cache_key();
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
fn a_binary_keyring_with_old_and_unreadable_keys_around_the_pinned_one() {
    let gpg = Gpg::new();
    gpg.run(&["--import", key()]);
    let (mine, old) = (gpg.export_binary(&[]), old_kinds());
    let wanted = std::slice::from_ref(&MIRROR.key.fingerprint);
    for ring in [[&old[..], &mine, &old].concat(), [&mine[..], &old, b"\x99\xff\xff..."].concat(), mine.clone()] {
        let keys = Keys::pinned(&[ring], "the keyring", wanted).expect("the pinned key");
        assert_eq!((keys.count(), keys.cache_key()), (1, MIRROR.key.fingerprint.clone()));
    }
    // A damaged copy beside a good one; and it alone.
    let mut torn = mine.clone();
    // In the numbers of its last signature.
    let at = torn.len() - 100;
    torn[at..].fill(0xff);
    let both = [&torn[..], &mine].concat();
    assert_eq!(Keys::pinned(&[both], "the keyring", wanted).expect("the good copy").count(), 1);
    let error = format!("{:#}", Keys::pinned(&[torn], "the keyring", wanted).expect_err("a damaged key"));
    assert!(error.contains(&MIRROR.key.fingerprint) && error.contains("do not fit it"), "{error}");
}

#[test]
fn keys_out_of_the_distributions_package() {
    let install = format!(
        "mkdir -p %{{buildroot}}/etc/pki/rpm-gpg; cd %{{buildroot}}/etc/pki/rpm-gpg; cp {} RPM-GPG-KEY-fedora-45-primary; \
         ln -s RPM-GPG-KEY-fedora-45-primary RPM-GPG-KEY-fedora-45-x86_64; echo other >RPM-GPG-KEY-other",
        key()
    );
    let arguments = ["--target", "noarch"];
    let built = build(keyring_rpm::NAME, &arguments, &install, "/etc/pki");
    let keyring = |built: &Built| keyring_rpm::keyrings(built.bytes().as_slice(), built.bytes().len() as u64);
    let found = keyring(&built).expect("a keyring");
    assert_eq!(found, [fs::read(key()).expect("the mirror's key")]);
    Keys::pinned(&found, keyring_rpm::NAME, std::slice::from_ref(&MIRROR.key.fingerprint)).expect("the pinned key");

    // A file of either form, and an old one before it.
    let gpg = Gpg::new();
    gpg.run(&["--import", key()]);
    let (old, binary) = (gpg.0.path().join("old"), gpg.0.path().join("binary"));
    fs::write(&old, old_kinds()).expect("writing keys");
    fs::write(&binary, gpg.export_binary(&[])).expect("writing a key");
    let install = format!(
        "mkdir -p %{{buildroot}}/etc/pki/rpm-gpg; cd %{{buildroot}}/etc/pki/rpm-gpg; \
         cp {} RPM-GPG-KEY-fedora-1-primary; cp {} RPM-GPG-KEY-fedora-2-primary",
        old.display(),
        binary.display()
    );
    let found = keyring(&build(keyring_rpm::NAME, &arguments, &install, "/etc/pki")).expect("keyrings");
    assert_eq!(found.len(), 2);
    Keys::pinned(&found, keyring_rpm::NAME, std::slice::from_ref(&MIRROR.key.fingerprint)).expect("the pinned key");

    let error = keyring(&build(keyring_rpm::NAME, &arguments, "mkdir -p %{buildroot}/etc/pki", "/etc/pki"));
    assert!(error.expect_err("no keys").to_string().contains("holds no keys"));
    let large = "truncate -s 70000 %{buildroot}/etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-1";
    let error = keyring(&build(
        keyring_rpm::NAME,
        &arguments,
        &format!("mkdir -p %{{buildroot}}/etc/pki/rpm-gpg; {large}"),
        "/etc/pki",
    ));
    assert!(error.expect_err("a large key").to_string().contains("which no key has"));
    let damaged = Built::of("x", b"hello");
    assert!(keyring(&damaged).expect_err("no package").to_string().contains("not an RPM package"));
}
