//! What a root file system is made of, and the laying out of it.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use codegen::table::Provenance;

use super::{ALIAS_HARDLINKS, PACKAGES, PACKAGES_INSIDE, REGISTRAR, ROOTFS, SBOM, make_folder, packages, write};
use crate::compile::build_info::BuildInfo;
use crate::digest::Sha256;
use crate::extract::{Stage, TextRecord};
use crate::sbom::{self, Contents, crates, files};
use crate::tables::workspace_root;
use crate::verify::Proof;

/// Raised when the same parts are laid out in another way.
const LAYOUT: u32 = 4;

/// All that a root file system is made of.
pub(super) struct Parts<'a> {
    stage: &'a Stage,
    provenance: &'a Provenance,
    registrar: &'a Path,
    registrar_sha256: Sha256,
    packages: String,
    crates: Vec<crates::Crate>,
    build: BuildInfo,
    /// Texts for `usr/share/licenses`, by their paths below it.
    licences: BTreeMap<String, Vec<u8>>,
    created: u64,
}

impl<'a> Parts<'a> {
    /// Gathers them.
    pub(super) fn new(stage: &'a Stage, provenance: &'a Provenance, registrar: &'a Path) -> Result<Self> {
        let program = File::open(registrar).and_then(Sha256::of_reader);
        Ok(Self {
            stage,
            provenance,
            registrar,
            registrar_sha256: program.with_context(|| format!("reading {}", registrar.display()))?,
            packages: packages::list(&stage.record, &provenance.origin),
            crates: crates::of(registrar)?,
            build: BuildInfo::of(registrar)?,
            licences: licences(&stage.dir, &stage.record.licences)?,
            created: created(&stage.record.packages, env::var("SOURCE_DATE_EPOCH").ok().as_deref())?,
        })
    }

    /// Digest of all that decides the result.
    pub(super) fn identity(&self) -> Sha256 {
        let Self { registrar_sha256, packages, crates, build, created, .. } = self;
        let mut text = format!("{LAYOUT}\n{registrar_sha256}\n{packages}\n{crates:?}\n{build:?}\n{created}\n");
        for emulator in &self.stage.record.emulators {
            text += &format!("{} {}\n", emulator.sha256, emulator.target);
        }
        for (path, content) in &self.licences {
            text += &format!("{} {path}\n", Sha256::of(content));
        }
        Sha256::of(text.as_bytes())
    }

    /// Writes everything but the stamp.
    pub(super) fn lay_out(&self, folder: &Path) -> Result<()> {
        make_folder(folder)?;
        let root = folder.join(ROOTFS);
        self.fill(&root)?;
        // Of what is there, not of what was meant to be.
        let files = files::digests(&root, &files::list(&root)?)?;
        self.check(&files)?;
        let document = sbom::document(&Contents {
            version: &self.provenance.qemu_version,
            origin: &self.provenance.origin,
            packages: &self.stage.record.packages,
            emulators: &self.stage.record.emulators,
            files: &files,
            crates: &self.crates,
            build: &self.build,
            created: self.created,
        })?;
        let mut text = serde_json::to_vec_pretty(&document).context("writing the SBOM")?;
        text.push(b'\n');
        write(&folder.join(SBOM), &text)?;
        write(&folder.join(PACKAGES), self.packages.as_bytes())
    }

    fn fill(&self, root: &Path) -> Result<()> {
        for path in
            ["", "qus", "usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/doc/registrar", "usr/share/licenses"]
        {
            make_folder(&root.join(path))?;
        }
        copy_program(self.registrar, &root.join(REGISTRAR))?;
        for emulator in &self.stage.record.emulators {
            let name = format!("usr/bin/qemu-{}-static", emulator.target);
            copy_program(&self.stage.dir.join(&emulator.path), &root.join(name))?;
        }
        for alias in ALIAS_HARDLINKS {
            fs::hard_link(root.join(REGISTRAR), root.join(alias)).with_context(|| format!("linking {alias}"))?;
        }
        for (path, content) in &self.licences {
            let path = root.join("usr/share/licenses").join(path);
            make_folder(path.parent().context("a licence text without a folder")?)?;
            write(&path, content)?;
        }
        write(&root.join(PACKAGES_INSIDE), self.packages.as_bytes())
    }

    /// That what was copied is what was extracted and compiled.
    fn check(&self, files: &[files::Digests]) -> Result<()> {
        let found = |path: &str| files.iter().find(|file| file.path == path).map(|file| &file.sha256);
        for emulator in &self.stage.record.emulators {
            ensure!(
                found(&format!("usr/bin/qemu-{}-static", emulator.target)) == Some(&emulator.sha256),
                "{} has changed since it was extracted; run again",
                self.stage.dir.join(&emulator.path).display()
            );
        }
        ensure!(
            found(REGISTRAR) == Some(&self.registrar_sha256),
            "{} has changed meanwhile; run again",
            self.registrar.display()
        );
        Ok(())
    }
}

/// The licence texts of packages, which are in the folder of extracted files, and this project's.
fn licences(stage: &Path, licences: &[TextRecord]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut texts = BTreeMap::new();
    for licence in licences {
        let below = licence.path.strip_prefix("licenses/").unwrap_or(&licence.path);
        texts.insert(below.to_owned(), licence.read(stage)?);
    }
    if texts.values().all(Vec::is_empty) {
        bail!(
            "no package holds a licence text, and QEMU's licence (the GPL) wants it beside the emulators; \
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

/// What is given as the time of making: what the user says, else when the newest package was built. Never the clock: the
/// same inputs are to give the same bytes.
fn created(packages: &[Proof], epoch: Option<&str>) -> Result<u64> {
    match epoch {
        Some(text) => text.parse().with_context(|| format!("SOURCE_DATE_EPOCH={text:?} is not a number of seconds")),
        None => Ok(packages.iter().map(|proof| proof.build_time).max().unwrap_or_default()),
    }
}

fn copy_program(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).with_context(|| format!("writing {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of extracted files with these licence texts.
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
    fn a_build_without_a_licence_text_fails() {
        let (folder, records) = stage(&[("COPYING", "GPL"), ("EMPTY", "")]);
        let texts = licences(folder.path(), &records).expect("a text");
        let names: Vec<_> = texts.keys().map(String::as_str).collect();
        let own = ["registrar/LICENSE-APACHE", "registrar/LICENSE-MIT"];
        assert_eq!(names, [&["qemu-user/COPYING", "qemu-user/EMPTY"][..], &own[..]].concat());
        for without in [&[], &records[1..]] {
            let error = licences(folder.path(), without).expect_err("no text").to_string();
            assert!(error.starts_with("no package holds a licence text"), "{error}");
        }
    }

    #[test]
    fn a_licence_text_that_has_changed_is_not_used() {
        let (folder, records) = stage(&[("COPYING", "GPL")]);
        fs::write(folder.path().join(&records[0].path), "MIT").expect("another text");
        let error = licences(folder.path(), &records).expect_err("a changed text").to_string();
        assert!(error.ends_with("COPYING has changed since it was extracted; run again"), "{error}");
    }

    #[test]
    fn the_time_is_the_users_or_the_newest_packages() {
        let proof = |build_time| Proof {
            nevra: String::new(),
            version: String::new(),
            source: String::new(),
            licence: String::new(),
            sha256: Sha256::of(b""),
            size: 0,
            signer: None,
            vendor: String::new(),
            build_time,
        };
        let packages = [5, 7, 6].map(proof);
        assert_eq!(created(&packages, None).expect("a time"), 7);
        assert_eq!(created(&packages, Some("3")).expect("a time"), 3);
        assert_eq!(created(&[], None).expect("a time"), 0);
        let error = created(&packages, Some("today")).expect_err("no number").to_string();
        assert!(error.contains("SOURCE_DATE_EPOCH"), "{error}");
    }
}
