//! A root file system of Debian 13 with SELinux's policy and AppArmor's tools, made by debootstrap in a folder of the
//! test's own, as an initramfs has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;
use tests::cpio;
use tests::debian::{KEYS, mirror};
use xtask::system;

use crate::debian::once;
use crate::machine::ROOT;

const SUITE: &str = "trixie";

const PACKAGES: &str = "--include=selinux-policy-default,policycoreutils,selinux-utils,semodule-utils,apparmor";

/// What Debian's policy lacks for processes whose ancestors are the machine's first process.
const POLICY: &str = include_str!("selinux.cil");

/// Folders that nothing in the machine needs.
const LEFT_OUT: [&str; 9] = [
    "dev",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/zoneinfo",
    "usr/lib/x86_64-linux-gnu/perl-base",
    "var/cache",
    "var/lib/apt",
    "var/lib/selinux",
];

/// Adds it below [`ROOT`].
///
/// # Errors
/// If it cannot be made, which takes root.
pub(crate) fn add(all: &mut cpio::Writer) -> Result<()> {
    let folder = once("root", make).context("making a root file system of Debian's")?;
    all.folder(ROOT.trim_end_matches('/'));
    add_folder(all, &folder, "")
}

fn make(folder: &Path) -> Result<()> {
    ensure!(geteuid().is_root(), "debootstrap needs root");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--keyring={KEYS}"), PACKAGES, SUITE]);
    system::run(debootstrap.arg(folder).arg(mirror()))?;
    fs::write(folder.join("root/test.cil"), POLICY).context("writing a policy")?;
    system::run(Command::new("chroot").arg(folder).args(["semodule", "--noreload", "--install=/root/test.cil"]))?;
    Ok(())
}

/// Adds what is in a folder, and in those in it; `path` is the folder's in the machine.
fn add_folder(all: &mut cpio::Writer, folder: &Path, path: &str) -> Result<()> {
    for file in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let file = file?;
        let path = format!("{path}{}", file.file_name().to_string_lossy());
        let (kind, name) = (file.file_type()?, format!("{ROOT}{path}"));
        if kind.is_dir() {
            all.folder(&name);
            if !LEFT_OUT.contains(&path.as_str()) {
                add_folder(all, &file.path(), &format!("{path}/"))?;
            }
        } else if kind.is_symlink() {
            all.link(&name, &fs::read_link(file.path())?.to_string_lossy());
        } else if kind.is_file() {
            let content = fs::read(file.path()).with_context(|| format!("reading {}", file.path().display()))?;
            all.program(&name, &content);
        }
    }
    Ok(())
}
