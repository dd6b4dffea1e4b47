//! Kernels of Debian's releases, each with a shell: downloaded and verified by apt in folders of the test's own, never
//! installed.
//!
//! What was fetched once is used from then on; where the folder is not there, the newest is fetched.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::debian::Apt;
use xtask::system;
use xtask::workspace::target_dir;

/// Depends on the release's newest kernel.
const NEWEST: &str = "linux-image-amd64";

/// A shell with all that scripts call, in one static program.
const SHELL: &str = "busybox-static";

/// What is taken out of the packages: file names without folders.
const FILES: [&str; 3] = ["vmlinuz-", "binfmt_misc.ko", "busybox"];

/// Files that a machine boots from.
pub(crate) struct Files {
    pub(crate) kernel: PathBuf,
    /// The module `binfmt_misc`, as packaged: compressed or not.
    pub(crate) module: PathBuf,
    /// A static busybox.
    pub(crate) busybox: PathBuf,
}

/// The files of one release.
///
/// # Errors
/// If apt cannot get or prove the packages, or they do not hold what they used to.
pub(crate) fn files(suite: &str) -> Result<Files> {
    let vm = target_dir().join("vm");
    fs::create_dir_all(&vm).with_context(|| format!("making {}", vm.display()))?;
    let folder = vm.join(suite);
    // Several machines may have the same release, and several runs the same folder.
    let lock = File::create(vm.join(format!("{suite}.lock"))).context("making a file to lock")?;
    lock.lock().with_context(|| format!("waiting for Debian {suite}"))?;
    if !folder.exists() {
        fetch(suite, &folder).with_context(|| format!("fetching a kernel of Debian {suite}"))?;
    }
    let mut files = Vec::new();
    for file in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        files.push(file?.path());
    }
    let [kernel, module, busybox] = FILES.map(|name| {
        let is_it = |path: &&PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
        files.iter().find(is_it).cloned().with_context(|| format!("no {name} in {}; remove it", folder.display()))
    });
    Ok(Files { kernel: kernel?, module: module?, busybox: busybox? })
}

/// Makes the folder, all of it at once.
fn fetch(suite: &str, folder: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(target_dir().join("vm")).context("making a folder for apt")?;
    let apt = Apt::new(suite, "amd64", scratch.path())?;
    apt.run("apt-get", &["update"])?;
    let said = apt.run("apt-cache", &["show", "--no-all-versions", NEWEST])?;
    let depends = said.lines().find_map(|line| line.strip_prefix("Depends: ")).context("no Depends in its entry")?;
    let kernel = depends.split([' ', ',']).next().unwrap_or_default();
    apt.run("apt-get", &["download", kernel, SHELL])?;
    let made = scratch.path().join("made");
    fs::create_dir(&made)?;
    for (package, files) in [(kernel, &["./boot/vmlinuz-*", "*/binfmt_misc.ko*"][..]), (SHELL, &["*/bin/busybox"])] {
        unpack(&apt.package(package)?, files, &made).with_context(|| format!("unpacking {package}"))?;
    }
    fs::rename(&made, folder).with_context(|| format!("making {}", folder.display()))
}

/// Takes files out of a package.
fn unpack(package: &Path, files: &[&str], to: &Path) -> Result<()> {
    let mut archive = Command::new("dpkg-deb");
    archive.arg("--fsys-tarfile").arg(package).stdout(Stdio::piped());
    let mut archive = archive.spawn().context("starting dpkg-deb")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--wildcards", "--transform=s,.*/,,"]).arg("--directory").arg(to).args(files);
    let unpacked = system::run(tar.stdin(archive.stdout.take().context("dpkg-deb has no output")?));
    let ended = archive.wait().context("waiting for dpkg-deb")?;
    unpacked?;
    ensure!(ended.success(), "dpkg-deb: {ended}");
    Ok(())
}
