//! The SBOM, as tools read it that take none of ours for granted: the SPDX project's reader, and the checker of the minimum
//! elements that the NTIA asks for. What is in it is held against other tools by the mirror tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::tools::{passes, python, refuses};
use xtask::build::compile::build_info::BuildInfo;
use xtask::build::sbom::crates::Crate;
use xtask::build::sbom::files::Digests;
use xtask::build::sbom::{self, Contents};
use xtask::extract::EmulatorRecord;
use xtask::verify::VerifiedPackage;
use xtask::verify::digest::Sha256;

/// An SBOM of all kinds of packages and crates that there may be, changed by `change`.
fn written(change: impl FnOnce(&mut Value)) -> (TempDir, PathBuf) {
    let proof = |nevra: &str, source: &str, license: &str, vendor: &str| VerifiedPackage {
        nevra: nevra.into(),
        version: "11.1.3".into(),
        source: source.into(),
        license: license.into(),
        sha256: Sha256::of(nevra.as_bytes()),
        size: 1,
        signer: Some("4F50A6114CD5C6976A7F1179655A4B02F577861E".into()),
        vendor: vendor.into(),
        build_time: 1,
    };
    let source = "qemu-11.1.3-1.fc45.src.rpm";
    // As Fedora's spec of QEMU 11.1 states its license: a reference that is Fedora's own among those of SPDX.
    let license = "BSD-2-Clause AND GPL-2.0-or-later WITH GCC-exception-2.0 AND LicenseRef-Fedora-Public-Domain";
    let packages = [
        proof("qemu-user-static-arm-2:11.1.3-1.fc45.x86_64", source, license, "Fedora Project"),
        proof("qemu-user-static-2:11.1.3-1.fc45.x86_64", source, license, "Fedora Project"),
        // A license as packages stated it before SPDX, and a package that names no vendor.
        proof("qemu-user-static-own-11.1.3-1.x86_64", "own-11.1.3-1.src.rpm", "GPLv2+ and BSD", ""),
    ];
    let emulators = [EmulatorRecord {
        target: "arm".into(),
        path: "emulators/qemu-arm-static".into(),
        size: 1,
        sha256: Sha256::of(b"an emulator"),
        build_id: None,
        nevra: packages[0].nevra.clone(),
    }];
    let files = ["registrar", "usr/bin/binfmt", "usr/bin/qemu-arm-static", "usr/share/doc/registrar/packages"];
    let files =
        files.map(|path| Digests { path: path.into(), sha1: "0".repeat(40), sha256: Sha256::of(path.as_bytes()) });
    let one = |name: &str, license: Option<&str>, registry: &str| Crate {
        name: name.into(),
        version: "0.2.191+build.1".into(),
        license: license.map(str::to_owned),
        sha256: Some(Sha256::of(name.as_bytes())),
        registry: registry.into(),
    };
    let document = sbom::document(&Contents {
        version: "11.1.3",
        origin: "https://packages.example/fedora/45",
        packages: &packages,
        emulators: &emulators,
        files: &files,
        crates: &[one("libc", Some("MIT/Apache-2.0"), "crates.io"), one("cfg_aliases", None, "crates.example")],
        build: &BuildInfo {
            revision: Some("0123456789abcdef0123456789abcdef01234567".into()),
            rustc: "rustc 1.95.0 (59807616e 2026-04-14)".into(),
            linker: "rust-lld".into(),
        },
        created: 1_790_000_000,
    });
    let mut document = serde_json::to_value(document.expect("an SBOM")).expect("JSON");
    change(&mut document);
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("sbom.spdx.json");
    fs::write(&file, document.to_string()).expect("the file");
    (folder, file)
}

fn read(file: &Path) -> Command {
    let mut command = python("pyspdxtools");
    command.arg("--infile").arg(file);
    command
}

fn check(file: &Path) -> Command {
    let mut command = python("sbomcheck");
    command.args(["--comply", "ntia", "--sbom-spec", "spdx2", "--output", "json"]).arg(file);
    command
}

/// What the checker of minimum elements says: whether all are there, the components without a supplier, and how many no
/// relationship leads to. It passes over the latter otherwise, and would find no fault with them.
fn checked(file: &Path) -> (Value, Value, Value) {
    let output = check(file).output().expect("starting the checker");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(printed["isConformant"], output.status.success(), "{printed}");
    let without = printed["componentSuppliers"]["nonconformantComponents"].clone();
    let floating = printed["graphValidation"]["floatingComponents"]["floatingComponentCount"].clone();
    (printed["isConformant"].clone(), without, floating)
}

#[test]
fn it_is_valid_and_has_the_minimum_elements() {
    let (_folder, file) = written(|_| ());
    passes(&mut read(&file));
    assert_eq!(checked(&file), (json!(true), json!([]), json!(0)));
}

#[test]
fn faults_are_found() {
    let (_folder, file) = written(|document| {
        document["packages"][0].as_object_mut().expect("a package").remove("supplier");
    });
    assert_eq!(checked(&file), (json!(false), json!(["cfg_aliases"]), json!(0)));
    let (_folder, file) = written(|document| {
        let relationships = document["relationships"].as_array_mut().expect("relationships");
        relationships.retain(|one| one["relationshipType"] != "DEPENDS_ON");
    });
    assert_eq!(checked(&file).2, json!(3), "two source packages and Rust");
    let (_folder, file) = written(|document| document["packages"][0]["licenseDeclared"] = "GPLv2+ and BSD".into());
    refuses(&mut read(&file), "GPLv2+");
}
