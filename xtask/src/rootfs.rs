//! The image's root file system: emulators, `registrar`, licence texts, list of packages, and nothing else; beside it its
//! SBOM and the list once more.
//!
//! All of them are in one folder, which is made apart and exchanged for the old one at once. So none is ever seen beside
//! another one's older version, whenever a run is killed. What is in the SBOM is for [`crate::sbom`].

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use codegen::table::Table;
use codegen::targets::by_qemu_name;

use crate::extract::Stage;
use crate::partial::{self, Partial};
use crate::progress;

use parts::Parts;

mod packages;
mod parts;
mod stamp;

/// The root file system, in the folder of a host.
pub const ROOTFS: &str = "rootfs";

/// Its SBOM.
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

/// Lays out `dir`, which is called [`ROOTFS`], and what belongs beside it, all or nothing. If they were made from the same
/// before, nothing is done. Waits for other runs that make something beside the folder that `dir` is in.
///
/// # Errors
/// If something cannot be written, an emulator is not what was extracted, no package has a licence text, or somebody
/// else's files are in the folder; all is then as it was.
pub fn assemble(stage: &Stage, table: &Table, registrar: &Path, dir: &Path) -> Result<bool> {
    let folder = dir.parent().context("a root file system without a parent folder")?;
    let parts = Parts::new(stage, &table.provenance, registrar)?;
    let inputs = parts.identity();
    let _lock = partial::lock(folder)?;
    partial::clear(folder)?;
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
            NAMES.contains(&&*name) || name.strip_prefix(SAMPLE).is_some_and(|target| by_qemu_name(target).is_some()),
            "{} holds {name}, which this command has not made and would remove; move it, or name another folder with --out",
            folder.display()
        );
    }
    Ok(())
}

/// The program that registers.
pub const REGISTRAR: &str = "registrar";

/// Entry points of other images, as manifests name them in `command:`; `registrar` tells them apart by argv[0]. They are
/// hard links: no layer holds the file twice, and a copy of one (`COPY --from`) is a program. Emulators have one name
/// each, since a wildcard in COPY copies a file once for each of its names.
///
/// nalind/fedora-qemu-user-static, dbhi/qus, multiarch/qemu-user-static, tonistiigi/binfmt.
pub const ALIAS_HARDLINKS: [&str; 4] = ["entrypoint.sh", "qus/register", "register", "usr/bin/binfmt"];

/// Whether a file of the root file system is executable.
pub fn is_program(path: &str) -> bool {
    path == REGISTRAR || ALIAS_HARDLINKS.contains(&path) || path.starts_with("usr/bin/")
}

/// Modes are set, so that they do not depend on the user's umask.
fn make_folder(path: &Path) -> Result<()> {
    let context = || format!("making the folder {}", path.display());
    fs::create_dir_all(path).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(context)
}

/// A text that everybody may read.
fn write(path: &Path, content: &[u8]) -> Result<()> {
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
