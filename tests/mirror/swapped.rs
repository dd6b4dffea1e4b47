//! A package that is changed between its verification and its extraction, by whoever can write to its folder. The two
//! stages are called one after the other, as a run does, with the change in between.

use std::fs;
use std::path::Path;
use std::process::Command;

use rpm::signature::pgp::Signer;
use tempfile::TempDir;
use xtask::extract::{self, ExtractRequest};
use xtask::system;
use xtask::system::host::Host;
use xtask::verify::digest::ExpectedDigest;
use xtask::verify::digest::Sha256;
use xtask::verify::package::{Package, Stated};
use xtask::verify::{self, Keys, Trust};

use crate::command::names;
use crate::fixture::{MIRROR, key};
use crate::rpm_forge::{Built, build};
use crate::signatures::{format_6, written};

/// A signed package with an emulator, whose payload stands in the file as it is: a byte of it is a byte of a file.
fn genuine(options: &[&str], emulator: &str) -> Built {
    let emulator = crate::fixture::emulator(emulator);
    let install =
        format!("mkdir -p %{{buildroot}}/usr/bin; cp {} %{{buildroot}}/usr/bin/qemu-alpha-static", emulator.display());
    let options = [&["--define", "_binary_payload w.ufdio"], options].concat();
    let built = build("qemu-user-static-genuine", &options, &install, "/usr");
    MIRROR.key.sign(&[&built.path]).expect("signing the package");
    built
}

/// Verifies a package, changes its file, and extracts it: the folder and what came out.
fn with_a_change(built: &Built, change: impl FnOnce(&Path)) -> (TempDir, Result<Vec<String>, String>) {
    let package = Package {
        name: "qemu-user-static-genuine".into(),
        nevra: None,
        expected: None,
        path: built.path.clone(),
        stated: None,
    };
    let trust = Trust::Keys(Keys::from_files(&[key().into()]).expect("the mirror's key"));
    let host = Host::named(Some(MIRROR.host)).expect("the mirror's host");
    let verified = verify::rpm(&package, &trust, host).expect("a genuine package");
    change(&built.path);
    let dir = tempfile::tempdir().expect("a temporary folder");
    for folder in ["emulators", "binfmt.d", "licenses"] {
        fs::create_dir(dir.path().join(folder)).expect("a folder");
    }
    let wanted = ExtractRequest { host, targets: &[], trust: &trust };
    let extracted = extract::unpack_rpm(verified, &package, &wanted, dir.path());
    let extracted = extracted.map(|_| names(&dir.path().join("emulators"))).map_err(|error| format!("{error:#}"));
    (dir, extracted)
}

/// Writes into the file that is there, as the one who extracts has it open.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("overwriting a package");
}

#[test]
fn what_was_verified_is_what_is_extracted() {
    let alpha = fs::read(crate::fixture::emulator("alpha")).expect("an emulator");
    let (_, extracted) = with_a_change(&genuine(&[], "alpha"), |_| ());
    assert_eq!(extracted.expect("a genuine package"), ["qemu-alpha-static"]);
    // Another file under its name: what is open is what was verified.
    let (folder, extracted) = with_a_change(&genuine(&[], "alpha"), |path| {
        fs::remove_file(path).expect("removing a package");
        fs::copy(genuine(&[], "m68k").path, path).expect("another package");
    });
    assert_eq!(extracted.expect("a genuine package"), ["qemu-alpha-static"]);
    assert!(fs::read(folder.path().join("emulators/qemu-alpha-static")).expect("an emulator") == alpha);
}

/// Another genuine package, with another emulator under the same name, as an older build of it would be.
#[test]
fn a_package_swapped_for_another_genuine_one() {
    for options in [&["--define", "_binary_filedigest_algorithm 8"], &["--define", "_binary_filedigest_algorithm 10"]] {
        let other = genuine(options, "m68k").bytes();
        let (_, extracted) = with_a_change(&genuine(options, "alpha"), |path| overwrite(path, &other));
        let error = extracted.expect_err("another package");
        assert!(error.contains("qemu-user-static-genuine"), "{error}");
    }
    // Of the same length, so that nothing but the digest tells.
    let (one, other) = (genuine(&[], "alpha"), genuine(&[], "alpha").bytes());
    let (mut changed, at) = (other, one.bytes().len() - 100_000);
    changed[at..at + 8].copy_from_slice(b"tampered");
    let (_, extracted) = with_a_change(&one, |path| overwrite(path, &changed));
    let error = extracted.expect_err("another content");
    assert!(error.contains("qemu-alpha-static has SHA-256") && error.contains("verified"), "{error}");
}

#[test]
fn one_byte_of_one_file_changed() {
    let mut package = format_6();
    package.sign(Signer::from_asc_file(&MIRROR.key.secret).expect("a secret key")).expect("a signature");
    for built in [genuine(&[], "alpha"), written(&package)] {
        let good = built.bytes();
        let mut changed = good.clone();
        changed[good.len() / 2] ^= 1;
        for bytes in [&changed[..], &good[..good.len() / 2]] {
            overwrite(&built.path, &good);
            let (_, extracted) = with_a_change(&built, |path| overwrite(path, bytes));
            let error = extracted.expect_err("a changed file");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

/// apt's lists vouch for the whole file of a Debian package, so what dpkg opens is a copy that nobody can write to.
#[test]
fn a_debian_package_swapped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tree, path) = (folder.path().join("tree"), folder.path().join("good.deb"));
    fs::create_dir_all(tree.join("DEBIAN")).expect("a folder");
    let control = "Package: qemu-user-static\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n";
    fs::write(tree.join("DEBIAN/control"), control).expect("a control file");
    system::run(Command::new("dpkg-deb").arg("--build").arg(&tree).arg(&path)).expect("a Debian package");
    let bytes = fs::read(&path).expect("a package");
    let package = Package {
        name: "qemu-user-static".into(),
        nevra: None,
        expected: Some(ExpectedDigest { size: bytes.len() as u64, digest: Sha256::of(&bytes).into() }),
        path: path.clone(),
        stated: Some(Stated { nevra: "x".into(), version: "1".into(), source: "x".into() }),
    };
    let (file, proof) = verify::deb(&package, folder.path()).expect("a good package");
    overwrite(&path, b"!<arch>\nsomething else");
    assert_eq!((proof.size, &proof.sha256), (bytes.len() as u64, &Sha256::of(&bytes)));
    assert_eq!(Sha256::of_reader(file).expect("the copy"), Sha256::of(&bytes));
    let error = format!("{:#}", verify::deb(&package, folder.path()).expect_err("another package"));
    assert!(error.contains("qemu-user-static is truncated"), "{error}");
    assert_eq!(names(folder.path()), ["good.deb", "tree"], "the copy has no name");
}
