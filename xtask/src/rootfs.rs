//! The image's root file system: emulators, `registrar`, licence texts, list of packages, and nothing else.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use codegen::table::Table;

use crate::digest::Sha256;
use crate::extract::Stage;
use crate::partial::Partial;
use crate::progress;
use crate::tables::workspace_root;

/// Lays out `dir`, all or nothing. If it was made from the same before, nothing is done.
///
/// # Errors
/// If something cannot be written, or an emulator is not what was extracted; `dir` is then as it was.
pub fn assemble(stage: &Stage, table: &Table, registrar: &Path, dir: &Path) -> Result<bool> {
    let parent = dir.parent().context("a root file system without a parent folder")?;
    let packages = packages(stage, table);
    let program = fs::read(registrar).with_context(|| format!("reading {}", registrar.display()))?;
    let stamp = parent.join("rootfs.stamp");
    let inputs = format!("{}\n{packages}", Sha256::of(&program));
    if dir.is_dir() && fs::read_to_string(&stamp).is_ok_and(|known| known == format!("{inputs}{}", listing(dir))) {
        return Ok(false);
    }
    fs::create_dir_all(parent).with_context(|| format!("making the folder {}", parent.display()))?;
    let _progress = progress::spinner("laying out the root file system");
    let partial = Partial::begin(dir, |_| stamp.exists())?;
    fill(partial.path(), stage, &packages, &program).context("laying out the root file system")?;
    let made_of = format!("{inputs}{}", listing(partial.path()));
    partial.finish()?;
    fs::write(&stamp, made_of).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(true)
}

/// Paths and sizes of all that is in a folder, as text.
fn listing(dir: &Path) -> String {
    let mut names: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort();
    let mut text = String::new();
    for path in names {
        let metadata = path.symlink_metadata();
        let size = metadata.as_ref().map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 });
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        text += &format!("{name} {size}\n");
        if metadata.is_ok_and(|metadata| metadata.is_dir()) {
            text += &listing(&path);
        }
    }
    text
}

fn fill(root: &Path, stage: &Stage, packages: &str, program: &[u8]) -> Result<()> {
    let folders = ["", "usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/doc/registrar", "usr/share/licenses"];
    for folder in folders {
        make_folder(&root.join(folder))?;
    }
    write(&root.join("registrar"), program, 0o755)?;
    symlink("/registrar", root.join("usr/bin/binfmt"))?;
    for emulator in &stage.record.emulators {
        let name = format!("qemu-{}-static", emulator.target);
        let from = stage.dir.join(&emulator.path);
        let bytes = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        ensure!(
            Sha256::of(&bytes) == emulator.sha256,
            "{} has changed since it was extracted; remove {} and run again",
            from.display(),
            stage.dir.display()
        );
        write(&root.join("usr/bin").join(&name), &bytes, 0o755)?;
        symlink(&name, root.join("usr/bin").join(format!("qemu-{}", emulator.target)))?;
    }
    let texts = stage.record.licences.iter().map(|path| (stage.dir.join(path), path.clone()));
    let own = ["LICENSE-APACHE", "LICENSE-MIT"]
        .map(|name| (workspace_root().join(name), format!("licenses/registrar/{name}")));
    for (from, to) in texts.chain(own) {
        let to = root.join("usr/share").join(to);
        make_folder(to.parent().context("a licence text without a folder")?)?;
        write(&to, &fs::read(&from).with_context(|| format!("reading {}", from.display()))?, 0o644)?;
    }
    write(&root.join("usr/share/doc/registrar/packages"), packages.as_bytes(), 0o644)
}

/// Modes are set, so that they do not depend on the user's umask.
fn make_folder(path: &Path) -> Result<()> {
    let context = || format!("making the folder {}", path.display());
    fs::create_dir_all(path).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(context)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let context = || format!("writing {}", path.display());
    fs::write(path, content).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(context)
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
