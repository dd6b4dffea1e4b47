//! What a root file system is made of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use codegen::table::Provenance;

use crate::build::compile::build_info::BuildInfo;
use crate::build::sbom::crates::{self, Crate};
use crate::build::sbom::names::source_address;
use crate::extract::{Record, Stage, TextRecord};
use crate::verify::VerifiedPackage;
use crate::verify::digest::Sha256;
use crate::workspace::{source_date_epoch, workspace_root};

pub(crate) struct RootfsInputs<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) provenance: &'a Provenance,
    pub(super) registrar: &'a Path,
    pub(super) registrar_sha256: Sha256,
    pub(super) packages: String,
    pub(crate) crates: Vec<Crate>,
    pub(crate) build: BuildInfo,
    /// License files by their paths below `usr/share/licenses`.
    pub(super) licenses: BTreeMap<String, Vec<u8>>,
    pub(crate) created: u64,
}

impl<'a> RootfsInputs<'a> {
    pub(crate) fn gather(stage: &'a Stage, provenance: &'a Provenance, registrar: &'a Path) -> Result<Self> {
        let program = File::open(registrar).and_then(Sha256::of_reader);
        Ok(Self {
            stage,
            provenance,
            registrar,
            registrar_sha256: program.with_context(|| format!("reading {}", registrar.display()))?,
            packages: list(&stage.record, &provenance.origin),
            crates: crates::of(registrar)?,
            build: BuildInfo::of(registrar)?,
            licenses: licenses(&stage.dir, &stage.record.licenses)?,
            created: created(&stage.record.packages, source_date_epoch()?),
        })
    }
}

fn licenses(stage: &Path, licenses: &[TextRecord]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut texts = BTreeMap::new();
    for license in licenses {
        let below = license.path.strip_prefix("licenses/").unwrap_or(&license.path);
        texts.insert(below.to_owned(), license.read(stage)?);
    }
    if texts.values().all(Vec::is_empty) {
        bail!(
            "no package holds a license file, and QEMU's license (the GPL) wants it beside the emulators; \
             add the package qemu-user-static, which has it"
        );
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let path = workspace_root().join(name);
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        texts.insert(format!("registrar/{name}"), text);
    }
    Ok(texts)
}

/// The list of packages for people: tabs between columns, a line for each package.
fn list(record: &Record, origin: &str) -> String {
    let mut text = format!("# Origin: {origin}\n");
    text += "# package, license, source package, its address, SHA-256, signed by, emulators\n";
    for package in &record.packages {
        let emulators: Vec<_> = record
            .emulators
            .iter()
            .filter(|emulator| emulator.nevra == package.nevra)
            .map(|emulator| emulator.target.as_str())
            .collect();
        let emulators = if emulators.is_empty() { "-".to_owned() } else { emulators.join(",") };
        let signer = package.signer.as_deref().unwrap_or("-");
        let address = source_address(package, origin).unwrap_or_else(|| "-".into());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{address}\t{}\t{signer}\t{emulators}",
            package.nevra, package.license, package.source, package.sha256
        );
    }
    text
}

/// Timestamps are the newest package's build time, or `SOURCE_DATE_EPOCH`; never the clock.
fn created(packages: &[VerifiedPackage], epoch: Option<u64>) -> u64 {
    let newest = packages.iter().map(|package| package.build_time).max();
    epoch.or(newest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of extracted files with these license files.
    fn stage(texts: &[(&str, &str)]) -> (tempfile::TempDir, Vec<TextRecord>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("licenses/qemu-user")).expect("a folder");
        let write = |&(name, text): &(&str, &str)| {
            let path = format!("licenses/qemu-user/{name}");
            fs::write(folder.path().join(&path), text).expect("a text");
            TextRecord { path, size: text.len() as u64, sha256: Sha256::of(text.as_bytes()) }
        };
        let records = texts.iter().map(write).collect();
        (folder, records)
    }

    #[test]
    fn a_build_without_a_license_text_fails() {
        let (folder, records) = stage(&[("COPYING", "GPL"), ("EMPTY", "")]);
        let texts = licenses(folder.path(), &records).expect("a text");
        let names: Vec<_> = texts.keys().map(String::as_str).collect();
        let own = ["registrar/LICENSE-APACHE", "registrar/LICENSE-MIT"];
        assert_eq!(names, [&["qemu-user/COPYING", "qemu-user/EMPTY"][..], &own[..]].concat());
        for without in [&[], &records[1..]] {
            let error = licenses(folder.path(), without).expect_err("no text").to_string();
            assert!(error.starts_with("no package holds a license file"), "{error}");
        }
    }

    #[test]
    fn a_license_text_that_has_changed_is_not_used() {
        let (folder, records) = stage(&[("COPYING", "GPL")]);
        fs::write(folder.path().join(&records[0].path), "MIT").expect("another text");
        let error = licenses(folder.path(), &records).expect_err("a changed text").to_string();
        assert!(error.ends_with("COPYING has changed since it was extracted; run again"), "{error}");
    }

    #[test]
    fn the_time_is_the_users_or_the_newest_packages() {
        let verified = |build_time| VerifiedPackage {
            nevra: String::new(),
            version: String::new(),
            source: String::new(),
            license: String::new(),
            sha256: Sha256::of(b""),
            size: 0,
            signer: None,
            vendor: String::new(),
            build_time,
        };
        let packages = [5, 7, 6].map(verified);
        assert_eq!(created(&packages, None), 7);
        assert_eq!(created(&packages, Some(3)), 3);
        assert_eq!(created(&[], None), 0);
    }
}
