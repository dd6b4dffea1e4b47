//! Packages: lays out the files that the spec names, and runs `rpmbuild` over them. Signing is `key`'s, the index
//! `index`'s.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Rpm;
use crate::emulators::Emulator;
use crate::spec::{self, BIN, BINFMT, BUILD_ID, LICENSE_FILES, LICENSES, Spec, TAPSET};
use xtask::system;

/// Where a repository keeps packages whose names begin with `q`.
const PACKAGES: &str = "Packages/q";

/// Makes the packages of `spec` in a repository.
pub(crate) fn packages_into(repo: &Path, spec: &Spec<'_>, number: u32, rpm: &Rpm) -> Result<()> {
    let packages = repo.join(PACKAGES);
    fs::create_dir_all(&packages).with_context(|| format!("making {}", packages.display()))?;
    // Below the mirror in the making, so that files are moved within one file system, and all goes if this fails.
    let top = tempfile::Builder::new().prefix(".rpmbuild-").tempdir_in(repo).context("making a folder for rpmbuild")?;
    let stage = top.path().join("stage");
    lay_out(&stage, spec).context("laying out the packages' files")?;
    rpmbuild(&packages, top.path(), &spec.text(number, &stage), spec.host, rpm)
}

/// Makes the package that carries the release's key in a repository; gives its file.
pub(crate) fn gpg_keys_into(repo: &Path, spec: &str, rpm: &Rpm) -> Result<PathBuf> {
    let packages = repo.join("Packages/f");
    fs::create_dir_all(&packages).with_context(|| format!("making {}", packages.display()))?;
    let top = tempfile::Builder::new().prefix(".rpmbuild-").tempdir_in(repo).context("making a folder for rpmbuild")?;
    rpmbuild(&packages, top.path(), spec, "noarch", rpm)?;
    list(&packages)?.pop().context("rpmbuild has made no package of the key")
}

/// Builds what a spec file says, in the folder `top`, into the folder `packages`.
fn rpmbuild(packages: &Path, top: &Path, spec: &str, arch: &str, rpm: &Rpm) -> Result<()> {
    let file = top.join("package.spec");
    fs::write(&file, spec).context("writing the spec file")?;
    let definitions = [
        format!("_topdir {}", top.display()),
        format!("_tmppath {}", top.display()),
        format!("_rpmdir {}", packages.display()),
        "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm".into(),
    ];
    let mut rpmbuild = rpm.command("rpmbuild")?;
    rpmbuild.arg("-bb").args(["--target", &format!("{arch}-linux")]).arg("--nodeps");
    for definition in &definitions {
        rpmbuild.args(["--define", definition]);
    }
    // A user's own macros would change what is built.
    system::run(rpmbuild.arg(&file).env("HOME", top).current_dir(top)).map(drop)
}

/// The emulators' packages of a repository, sorted.
pub(crate) fn packages(repo: &Path) -> Result<Vec<PathBuf>> {
    list(&repo.join(PACKAGES))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut packages: Vec<PathBuf> = entries.with_context(|| format!("listing {}", folder.display()))?;
    packages.sort();
    Ok(packages)
}

/// Lays out all files below `stage`, as they are to be installed below `/`.
fn lay_out(stage: &Path, spec: &Spec<'_>) -> Result<()> {
    let below = |path: &str| stage.join(path.trim_start_matches('/'));
    for folder in [BIN, BINFMT, TAPSET, BUILD_ID] {
        fs::create_dir_all(below(folder))?;
    }
    for end in std::iter::once(String::new()).chain(spec.families.iter().map(|family| format!("-{}", family.name))) {
        let folder = below(&format!("{LICENSES}{end}"));
        fs::create_dir_all(&folder)?;
        for name in LICENSE_FILES {
            fs::write(folder.join(name), license(name))?;
        }
    }
    for emulator in spec.families.iter().flat_map(|family| &family.emulators) {
        let target = &emulator.target;
        let binary = below(BIN).join(format!("qemu-{target}-static"));
        fs::copy(&emulator.path, &binary).with_context(|| format!("copying {}", emulator.path.display()))?;
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))?;
        for (name, text) in spec::confs(target, spec.host) {
            fs::write(below(BINFMT).join(name), text)?;
        }
        for (kind, name) in spec::tapsets(target).iter().enumerate() {
            fs::write(below(TAPSET).join(name), spec::tapset(target, kind))?;
        }
        link_build_id(&below(BUILD_ID), emulator)?;
    }
    Ok(())
}

fn link_build_id(folder: &Path, emulator: &Emulator) -> Result<()> {
    let Some((first, rest)) = spec::build_id_link(emulator) else { return Ok(()) };
    let folder = folder.join(first);
    fs::create_dir_all(&folder)?;
    let binary = format!("../../../../usr/bin/qemu-{}-static", emulator.target);
    symlink(binary, folder.join(rest)).context("linking a build id")
}

/// A license file, from where Debian and Fedora keep it; one line in its place on a machine without.
fn license(name: &str) -> Vec<u8> {
    let elsewhere = match name {
        "COPYING" => "/usr/share/common-licenses/GPL-2",
        "COPYING.LIB" => "/usr/share/common-licenses/LGPL-2.1",
        _ => "/usr/share/doc/qemu-user-static/copyright",
    };
    let paths = [format!("{LICENSES}/{name}"), elsewhere.into()];
    paths.iter().find_map(|path| fs::read(path).ok()).unwrap_or_else(|| {
        format!("{name} of QEMU: not on the machine that made this test mirror; see https://www.qemu.org/\n").into()
    })
}
