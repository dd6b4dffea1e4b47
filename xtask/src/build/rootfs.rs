//! The image's root file system: emulators, `registrar`, license files, list of packages, and nothing else. The SBOM and the
//! list of packages lie beside it.
//!
//! All of them are in one folder, which replaces the old one in one `renameat2`: a killed run leaves no mixture of versions.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use codegen::targets::by_qemu_name;

use super::sbom::files::{self, Digests};
use crate::output::progress;
use crate::workspace::atomic_dir::{self, StagedDir};

pub(crate) use inputs::RootfsInputs;

mod inputs;

pub const ROOTFS: &str = "rootfs";

pub const SBOM: &str = "sbom.spdx.json";

pub const PACKAGES: &str = "packages";

pub(crate) const PACKAGES_INSIDE: &str = "usr/share/doc/registrar/packages";

/// Names in the folder of a host; the last is one that earlier versions made.
const NAMES: [&str; 4] = [ROOTFS, SBOM, PACKAGES, "rootfs.stamp"];

/// Prefix of the name of a foreign program to try the handlers with.
pub(crate) const SAMPLE: &str = "try-";

pub const REGISTRAR: &str = "registrar";

/// Entry points of other images, as manifests name them in `command:`; `registrar` tells them apart by argv[0]. They are
/// hard links: no layer holds the file twice, and a copy of one (`COPY --from`) is a program. Emulators have one name
/// each, since a wildcard in COPY copies a file once for each of its names.
///
/// nalind/fedora-qemu-user-static, dbhi/qus, multiarch/qemu-user-static, tonistiigi/binfmt.
pub const ALIAS_HARDLINKS: [&str; 4] = ["entrypoint.sh", "qus/register", "register", "usr/bin/binfmt"];

/// The target of an emulator, by its path in the root file system.
pub(crate) fn target(path: &str) -> Option<&str> {
    path.strip_prefix("usr/bin/qemu-")?.strip_suffix("-static")
}

pub(crate) fn is_program(path: &str) -> bool {
    path == REGISTRAR || ALIAS_HARDLINKS.contains(&path) || path.starts_with("usr/bin/")
}

/// Starts the folder that is to replace `folder`. The caller holds the [`lock`](crate::workspace::atomic_dir::lock).
pub(crate) fn create(folder: &Path) -> Result<StagedDir<'_>> {
    atomic_dir::clear(folder)?;
    check_names(folder)?;
    StagedDir::create(folder, |folder| folder.join(SBOM).exists())
}

/// Writes the root file system and the list of packages; gives the digests of its files, read back.
pub(crate) fn write(inputs: &RootfsInputs<'_>, folder: &Path) -> Result<Vec<Digests>> {
    let _progress = progress::spinner("writing the root file system");
    make_folder(folder)?;
    let root = folder.join(ROOTFS);
    write_tree(inputs, &root).context("writing the root file system")?;
    write_file(&folder.join(PACKAGES), inputs.packages.as_bytes())?;
    let files = files::digests(&root, &files::list(&root)?)?;
    check(inputs, &files)?;
    Ok(files)
}

/// A folder that is to be replaced holds only names of ours.
fn check_names(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("reading {}", folder.display()))?,
    };
    for entry in entries {
        let name = entry.with_context(|| format!("reading {}", folder.display()))?.file_name();
        ensure!(
            is_ours(&name),
            "{} holds {}, which this command has not made and would remove; move it, or name another folder with --out",
            folder.display(),
            name.display()
        );
    }
    Ok(())
}

pub(crate) fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    NAMES.contains(&&*name) || name.strip_prefix(SAMPLE).is_some_and(|target| by_qemu_name(target).is_some())
}

fn write_tree(inputs: &RootfsInputs<'_>, root: &Path) -> Result<()> {
    for path in
        ["", "qus", "usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/doc/registrar", "usr/share/licenses"]
    {
        make_folder(&root.join(path))?;
    }
    copy_program(inputs.registrar, &root.join(REGISTRAR))?;
    for emulator in &inputs.stage.record.emulators {
        let name = format!("usr/bin/qemu-{}-static", emulator.target);
        copy_program(&inputs.stage.dir.join(&emulator.path), &root.join(name))?;
    }
    for alias in ALIAS_HARDLINKS {
        fs::hard_link(root.join(REGISTRAR), root.join(alias)).with_context(|| format!("linking {alias}"))?;
    }
    for (path, content) in &inputs.licenses {
        let path = root.join("usr/share/licenses").join(path);
        make_folder(path.parent().context("a license file without a folder")?)?;
        write_file(&path, content)?;
    }
    write_file(&root.join(PACKAGES_INSIDE), inputs.packages.as_bytes())
}

/// The copies are what was extracted and compiled.
fn check(inputs: &RootfsInputs<'_>, files: &[Digests]) -> Result<()> {
    let found = |path: &str| files.iter().find(|file| file.path == path).map(|file| &file.sha256);
    for emulator in &inputs.stage.record.emulators {
        ensure!(
            found(&format!("usr/bin/qemu-{}-static", emulator.target)) == Some(&emulator.sha256),
            "{} has changed since it was extracted; run again",
            inputs.stage.dir.join(&emulator.path).display()
        );
    }
    let registrar = inputs.registrar.display();
    ensure!(found(REGISTRAR) == Some(&inputs.registrar_sha256), "{registrar} has changed meanwhile; run again");
    Ok(())
}

fn copy_program(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).with_context(|| format!("writing {}", to.display()))
}

fn make_folder(path: &Path) -> Result<()> {
    let context = || format!("making the folder {}", path.display());
    fs::create_dir_all(path).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(context)
}

pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let mut file = File::create(path).with_context(context)?;
    file.write_all(content).with_context(context)?;
    file.set_permissions(fs::Permissions::from_mode(0o644)).with_context(context)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::check_names;

    #[test]
    fn only_what_is_made_here_may_be_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, is_ours) in [
            ("rootfs", true),
            ("sbom.spdx.json", true),
            ("packages", true),
            ("rootfs.stamp", true),
            ("try-aarch64", true),
            ("try-arm", true),
            ("try-", false),
            ("try-my-notes.txt", false),
            ("try-arm.bak", false),
            ("thesis.txt", false),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, "").expect("a file");
            assert_eq!(check_names(folder.path()).is_ok(), is_ours, "{name}");
            fs::remove_file(&path).expect("removing it");
        }
    }
}
