//! The image's root file system: emulators, `registrar`, licence texts, list of packages, and nothing else.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use codegen::table::Table;

use crate::digest::Sha256;
use crate::extract::{Stage, replace};
use crate::tables::workspace_root;

/// Lays out `dir`, all or nothing. If it was made from the same before, nothing is done.
///
/// # Errors
/// If something cannot be written; `dir` is then as it was.
pub fn assemble(stage: &Stage, table: &Table, registrar: &Path, dir: &Path) -> Result<bool> {
    let parent = dir.parent().context("a root file system without a parent folder")?;
    let packages = packages(stage, table);
    let program = fs::read(registrar).with_context(|| format!("reading {}", registrar.display()))?;
    let key = format!("{} {}\n{packages}", Sha256::of(&program), dir.display());
    let stamp = parent.join("rootfs.stamp");
    if dir.exists() && fs::read_to_string(&stamp).is_ok_and(|known| known == key) {
        return Ok(false);
    }
    fs::create_dir_all(parent).with_context(|| format!("making the folder {}", parent.display()))?;
    let temporary = tempfile::Builder::new()
        .prefix(".rootfs-")
        .tempdir_in(parent)
        .with_context(|| format!("making a folder in {}", parent.display()))?;
    fill(temporary.path(), stage, &packages, registrar).context("laying out the root file system")?;
    // Gone first: a run that is cut off between the two must not leave a stamp that speaks of another folder.
    let _ = fs::remove_file(&stamp);
    replace(temporary, dir)?;
    fs::write(&stamp, key).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(true)
}

fn fill(root: &Path, stage: &Stage, packages: &str, registrar: &Path) -> Result<()> {
    for folder in ["usr/bin", "usr/share/doc/registrar", "usr/share/licenses/registrar"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    install(registrar, &root.join("registrar"), 0o755)?;
    symlink("/registrar", root.join("usr/bin/binfmt"))?;
    for emulator in &stage.record.emulators {
        let name = format!("qemu-{}-static", emulator.target);
        install(&stage.dir.join(&emulator.path), &root.join("usr/bin").join(&name), 0o755)?;
        symlink(&name, root.join("usr/bin").join(format!("qemu-{}", emulator.target)))?;
    }
    for licence in &stage.record.licences {
        let to = root.join("usr/share").join(licence);
        fs::create_dir_all(to.parent().context("a licence text without a folder")?)?;
        install(&stage.dir.join(licence), &to, 0o644)?;
    }
    for text in ["LICENSE-APACHE", "LICENSE-MIT"] {
        install(&workspace_root().join(text), &root.join("usr/share/licenses/registrar").join(text), 0o644)?;
    }
    fs::write(root.join("usr/share/doc/registrar/packages"), packages)?;
    Ok(())
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting modes of {}", to.display()))
}

/// The list that the image carries: what each package is, where it comes from, and which emulators it gave.
fn packages(stage: &Stage, table: &Table) -> String {
    let mut text = format!("# Origin: {}\n", table.provenance.origin);
    text += "# package, licence, source package, SHA-256, signed by, emulators\n";
    for proof in &stage.record.packages {
        let emulators: Vec<_> = stage
            .record
            .emulators
            .iter()
            .filter(|emulator| emulator.nevra == proof.nevra)
            .map(|emulator| emulator.target.as_str())
            .collect();
        let emulators = if emulators.is_empty() { "-".to_owned() } else { emulators.join(",") };
        let signer = proof.signer.as_deref().unwrap_or("-");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{}\t{signer}\t{emulators}",
            proof.nevra, proof.licence, proof.source, proof.sha256
        );
    }
    text
}
