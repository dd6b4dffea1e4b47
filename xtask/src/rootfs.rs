//! The image's root file system: emulators, `registrar`, licence texts, list of packages, and nothing else; beside it its
//! bill of materials and the list once more.
//!
//! All of them are in one folder, which is made apart and exchanged for the old one at once. So none is ever seen beside
//! another one's older version, whenever a run is killed. What is in the bill is for [`crate::sbom`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::{env, io};

use anyhow::{Context, Result, bail, ensure};
use codegen::table::Table;

use crate::digest::Sha256;
use crate::extract::Stage;
use crate::partial::{self, Partial};
use crate::progress;
use crate::sbom::{self, Contents, crates, files};
use crate::tables::workspace_root;

mod packages;
mod stamp;

/// The root file system, in the folder of a host.
pub const ROOTFS: &str = "rootfs";

/// Its bill of materials.
pub const SBOM: &str = "sbom.spdx.json";

/// Its list of packages.
pub const PACKAGES: &str = "packages";

/// The same list inside it.
pub const PACKAGES_INSIDE: &str = "usr/share/doc/registrar/packages";

/// What all that was made of.
const STAMP: &str = "rootfs.stamp";

/// All that is made here.
const NAMES: [&str; 4] = [ROOTFS, SBOM, PACKAGES, STAMP];

/// Beginning of the name of a program to try, which is put beside them.
const SAMPLE: &str = "try-";

/// Raised when the same inputs are laid out in another way.
const LAYOUT: u32 = 2;

/// Lays out `dir`, which is called [`ROOTFS`], and what belongs beside it, all or nothing. If they were made from the same
/// before, nothing is done. Waits for other runs that make something beside the folder that `dir` is in.
///
/// # Errors
/// If something cannot be written, an emulator is not what was extracted, no package has a licence text, or somebody
/// else's files are in the folder; all is then as it was.
pub fn assemble(stage: &Stage, table: &Table, registrar: &Path, dir: &Path) -> Result<bool> {
    let folder = dir.parent().context("a root file system without a parent folder")?;
    let parts = Parts::new(stage, &table.provenance.origin, registrar)?;
    let inputs = parts.identity();
    let _lock = partial::lock(folder)?;
    if stamp::is_fresh(folder, &inputs) {
        return Ok(false);
    }
    let _progress = progress::spinner("laying out the root file system");
    check_names(folder)?;
    let partial = Partial::begin(folder, |folder| folder.join(STAMP).exists())?;
    parts.lay_out(partial.path()).context("laying out the root file system")?;
    stamp::write(partial.path(), &inputs)?;
    partial.finish()?;
    Ok(true)
}

/// That a folder which is to be replaced holds nothing of anybody else's.
fn check_names(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("reading {}", folder.display()))?,
    };
    for entry in entries {
        let name = entry.with_context(|| format!("reading {}", folder.display()))?.file_name();
        let name = name.to_string_lossy();
        ensure!(
            NAMES.contains(&&*name) || name.starts_with(SAMPLE),
            "{} holds {name}, which this command has not made and would remove; move it, or name another folder with --out",
            folder.display()
        );
    }
    Ok(())
}

/// All that a root file system is made of.
struct Parts<'a> {
    stage: &'a Stage,
    origin: &'a str,
    registrar: &'a Path,
    registrar_sha256: Sha256,
    packages: String,
    crates: Vec<crates::Crate>,
    /// Texts for `usr/share/licenses`, by their paths below it.
    licences: BTreeMap<String, Vec<u8>>,
    created: u64,
}

impl<'a> Parts<'a> {
    fn new(stage: &'a Stage, origin: &'a str, registrar: &'a Path) -> Result<Self> {
        let program = File::open(registrar).and_then(Sha256::of_reader);
        Ok(Self {
            stage,
            origin,
            registrar,
            registrar_sha256: program.with_context(|| format!("reading {}", registrar.display()))?,
            packages: packages::list(&stage.record, origin),
            crates: crates::of(registrar)?,
            licences: licences(stage)?,
            created: created(stage, env::var("SOURCE_DATE_EPOCH").ok().as_deref())?,
        })
    }

    /// Digest of all that decides the result.
    fn identity(&self) -> Sha256 {
        let Self { registrar_sha256, packages, crates, created, .. } = self;
        let mut text = format!("{LAYOUT}\n{registrar_sha256}\n{packages}\n{crates:?}\n{created}\n");
        for emulator in &self.stage.record.emulators {
            text += &format!("{} {}\n", emulator.sha256, emulator.target);
        }
        for (path, content) in &self.licences {
            text += &format!("{} {path}\n", Sha256::of(content));
        }
        Sha256::of(text.as_bytes())
    }

    /// Writes everything but the stamp.
    fn lay_out(&self, folder: &Path) -> Result<()> {
        make_folder(folder)?;
        let root = folder.join(ROOTFS);
        self.fill(&root)?;
        // Of what is there, not of what was meant to be.
        let files = files::digests(&root, &files::list(&root)?)?;
        self.check(&files)?;
        let document = sbom::document(&Contents {
            origin: self.origin,
            packages: &self.stage.record.packages,
            emulators: &self.stage.record.emulators,
            files: &files,
            crates: &self.crates,
            created: self.created,
        })?;
        let mut text = serde_json::to_vec_pretty(&document).context("writing the bill of materials")?;
        text.push(b'\n');
        write(&folder.join(SBOM), &text)?;
        write(&folder.join(PACKAGES), self.packages.as_bytes())
    }

    fn fill(&self, root: &Path) -> Result<()> {
        for path in
            ["", "usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/doc/registrar", "usr/share/licenses"]
        {
            make_folder(&root.join(path))?;
        }
        copy_program(self.registrar, &root.join("registrar"))?;
        for emulator in &self.stage.record.emulators {
            let name = format!("usr/bin/qemu-{}-static", emulator.target);
            copy_program(&self.stage.dir.join(&emulator.path), &root.join(name))?;
        }
        for (path, target) in links(self.stage.record.emulators.iter().map(|emulator| emulator.target.as_str())) {
            symlink(&target, root.join(&path)).with_context(|| format!("linking {path}"))?;
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
                "{} has changed since it was extracted; remove {} and run again",
                self.stage.dir.join(&emulator.path).display(),
                self.stage.dir.display()
            );
        }
        ensure!(
            found("registrar") == Some(&self.registrar_sha256),
            "{} has changed meanwhile; run again",
            self.registrar.display()
        );
        Ok(())
    }
}

/// The symbolic links of a root file system with these targets' emulators: where they are, and where they lead.
pub fn links<'a>(targets: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let emulators = targets.map(|target| (format!("usr/bin/qemu-{target}"), format!("qemu-{target}-static")));
    emulators.chain([("usr/bin/binfmt".to_owned(), "/registrar".to_owned())]).collect()
}

/// The licence texts of packages, and this project's.
fn licences(stage: &Stage) -> Result<BTreeMap<String, Vec<u8>>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let mut texts = BTreeMap::new();
    for path in &stage.record.licences {
        let below = path.strip_prefix("licenses/").unwrap_or(path);
        texts.insert(below.to_owned(), read(&stage.dir.join(path))?);
    }
    if texts.values().all(Vec::is_empty) {
        bail!(
            "no package holds a licence text, and QEMU's licence (the GPL) wants it beside the emulators; \
             add the package qemu-user-static, which has it"
        );
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        texts.insert(format!("registrar/{name}"), read(&workspace_root().join(name))?);
    }
    Ok(texts)
}

/// What is given as the time of making: what the user says, else when the newest package was built. Never the clock: the
/// same inputs are to give the same bytes.
fn created(stage: &Stage, epoch: Option<&str>) -> Result<u64> {
    match epoch {
        Some(text) => text.parse().with_context(|| format!("SOURCE_DATE_EPOCH={text:?} is not a number of seconds")),
        None => Ok(stage.record.packages.iter().map(|proof| proof.build_time).max().unwrap_or_default()),
    }
}

/// Modes are set, so that they do not depend on the user's umask.
fn make_folder(path: &Path) -> Result<()> {
    let context = || format!("making the folder {}", path.display());
    fs::create_dir_all(path).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(context)
}

fn copy_program(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).with_context(|| format!("writing {}", to.display()))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let mut file = File::create(path).with_context(context)?;
    file.write_all(content).with_context(context)?;
    file.set_permissions(fs::Permissions::from_mode(0o644)).with_context(context)
}
