//! Whose signatures count: what a file of keys may hold, formats and numbers of signatures, and pinned keys.

use std::fs;
use std::path::Path;
use std::process::Command;

use rpm::signature::pgp::Signer;
use rpm::{
    BuildConfig, CompressionWithLevel, FileOptions, Header, HeaderEntry, IndexData, IndexSignatureTag, IndexTag,
    Package, PackageBuilder,
};
use tempfile::TempDir;
use xtask::key_package;
use xtask::mirror::Key;
use xtask::system;
use xtask::verify::{Keys, Trust};

use crate::command::Ran;
use crate::fixture::{MIRROR, key, other_key, text};
use crate::forge::{Built, build};

/// A `GNUPGHOME` for keys that are past use.
struct Gpg(TempDir);

impl Gpg {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--homedir"]);
        let output = system::run(gpg.arg(self.0.path()).args(arguments)).expect("running gpg");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Makes a key; its fingerprint.
    fn generate(&self, options: &[&str], name: &str, kind: &str, usage: &str, expiry: &str) -> String {
        self.run(&[options, &["--quick-generate-key", name, kind, usage, expiry]].concat());
        let listed = self.run(&["--with-colons", "--list-keys", name]);
        let line = listed.lines().find_map(|line| line.strip_prefix("fpr:")).expect("a fingerprint");
        line.trim_matches(':').to_owned()
    }

    /// One armoured block with all the named keys.
    fn export(&self, names: &[&str]) -> String {
        self.run(&[&["--armor", "--export"], names].concat())
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.0.path()).args(["--kill", "all"]).output();
    }
}

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

/// A package in format 6 with one emulator, not signed.
fn format_6() -> Package {
    let mut builder = PackageBuilder::new("qemu-user-static-six", "1", "MIT", MIRROR.host, "Format 6");
    builder.using_config(BuildConfig::v6().compression(CompressionWithLevel::Zstd(1)));
    let emulator = fs::read("/usr/bin/qemu-alpha-static").expect("an emulator");
    builder.with_file_contents(emulator, FileOptions::new("/usr/bin/qemu-alpha-static")).expect("a file");
    builder.build().expect("a package")
}

fn signer(key: &Key) -> Signer {
    Signer::from_asc_file(&key.secret).expect("a secret key")
}

fn written(package: &Package) -> Built {
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
    let emulator = fs::read("/usr/bin/qemu-alpha-static").expect("an emulator");
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
