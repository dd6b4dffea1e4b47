//! Kernels of Debian's releases, each with a shell, and emulators for machines of another architecture than this one:
//! downloaded and verified by apt in folders of the test's own, never installed.
//!
//! What was fetched once is used from then on; where the folder is not there, the newest is fetched.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::debian::Apt;
use xtask::system;
use xtask::workspace::target_dir;

/// A shell with all that scripts call, in one static program.
const SHELL: &str = "busybox-static";

/// QEMU's static emulators, since Debian 13.
const EMULATORS: &str = "qemu-user";

/// The beginnings of file names, without folders, of what a machine boots from.
const FILES: [&str; 3] = ["vmlinuz-", "binfmt_misc.ko", "busybox"];

/// A kernel of Debian's.
pub(crate) struct Release {
    /// The folder that keeps its files.
    pub(crate) name: &'static str,
    /// Debian's suites: the first that has the kernel serves for that, the last for all else.
    pub(crate) suites: &'static [&'static str],
    /// Debian's name.
    pub(crate) architecture: &'static str,
    /// Depends on the release's newest kernel.
    pub(crate) newest: &'static str,
    /// Targets whose emulators, of the same architecture and release, are fetched too.
    pub(crate) emulators: &'static [&'static str],
}

/// Files that a machine boots from.
pub(crate) struct Files {
    pub(crate) kernel: PathBuf,
    /// The module `binfmt_misc`, as packaged: compressed or not.
    pub(crate) module: PathBuf,
    /// A static busybox.
    pub(crate) busybox: PathBuf,
    /// Emulators, by target.
    pub(crate) emulators: BTreeMap<&'static str, PathBuf>,
}

impl Release {
    /// Its files.
    ///
    /// # Errors
    /// If apt cannot get or prove the packages, or they do not hold what they used to.
    pub(crate) fn files(&self) -> Result<Files> {
        let folder = once(self.name, |made| {
            self.fetch(made).with_context(|| format!("fetching a kernel of Debian {}", self.name))
        })?;
        let mut files = Vec::new();
        for file in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            files.push(file?.path());
        }
        let file = |name: &str| {
            let is_it = |path: &&PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
            files.iter().find(is_it).cloned().with_context(|| format!("no {name} in {}; remove it", folder.display()))
        };
        let [kernel, module, busybox] = FILES.map(file);
        let emulators = self.emulators.iter().map(|&target| Ok((target, file(&emulator(target))?)));
        let emulators = emulators.collect::<Result<_>>()?;
        Ok(Files { kernel: kernel?, module: module?, busybox: busybox?, emulators })
    }

    /// Downloads and unpacks all of it.
    fn fetch(&self, made: &Path) -> Result<()> {
        let scratch = scratch()?;
        let folders: Vec<_> = self.suites.iter().map(|suite| scratch.path().join(suite)).collect();
        let mut suites = Vec::new();
        for (suite, folder) in self.suites.iter().zip(&folders) {
            let apt = Apt::new(suite, self.architecture, folder)?;
            // Lists of a suite without releases are valid for a week, and a mirror may be older.
            let update = apt.run("apt-get", &["-o", "Acquire::Check-Valid-Until=false", "update"]);
            update.with_context(|| format!("reading the lists of {suite}"))?;
            suites.push(apt);
        }
        let complete = suites.last().context("no suite is named")?;
        let kernel = suites.iter().map(|apt| Ok((apt, kernel_packages(apt, self.newest)?)));
        let (apt, kernel) = kernel.reduce(Result::<_, anyhow::Error>::or).context("no suite is named")??;
        let mut packages: Vec<_> = kernel.into_iter().map(|(package, files)| (apt, package, files)).collect();
        packages.push((complete, SHELL.into(), vec!["*/bin/busybox".into()]));
        if !self.emulators.is_empty() {
            let files = self.emulators.iter().map(|target| format!("*/bin/{}", emulator(target))).collect();
            packages.push((complete, EMULATORS.into(), files));
        }
        for (apt, package, files) in packages {
            apt.run("apt-get", &["download", &package])?;
            unpack(&apt.package(&package)?, &files, made).with_context(|| format!("unpacking {package}"))?;
        }
        Ok(())
    }
}

/// Makes a folder below `target/vm`, all of it at once, unless it is there.
///
/// # Errors
/// What `make` says; then nothing is left.
pub(crate) fn once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let vm = target_dir().join("vm");
    fs::create_dir_all(&vm).with_context(|| format!("making {}", vm.display()))?;
    let folder = vm.join(name);
    // Several machines may have the same release, and several runs the same folder.
    let lock = File::create(vm.join(format!("{name}.lock"))).context("making a file to lock")?;
    lock.lock().with_context(|| format!("waiting for {}", folder.display()))?;
    if !folder.exists() {
        let scratch = scratch()?;
        let made = scratch.path().join("made");
        fs::create_dir(&made).context("making a folder")?;
        make(&made)?;
        fs::rename(&made, &folder).with_context(|| format!("making {}", folder.display()))?;
    }
    Ok(folder)
}

fn scratch() -> Result<tempfile::TempDir> {
    tempfile::tempdir_in(target_dir().join("vm")).context("making a folder for packages")
}

/// How a package names the emulator of a target.
fn emulator(target: &str) -> String {
    format!("qemu-{target}")
}

/// The packages that hold the kernel and its modules, and what to take out of each. Up to Debian 13 it is one,
/// `linux-image-VERSION`; in later ones that depends on `linux-binary-VERSION` and `linux-modules-VERSION`.
fn kernel_packages(apt: &Apt, newest: &str) -> Result<Vec<(String, Vec<String>)>> {
    let [kernel, module] = ["*/vmlinuz*", "*/binfmt_misc.ko*"].map(str::to_owned);
    let image = dependency(apt, newest, "linux-image-")?.with_context(|| format!("{newest} depends on no kernel"))?;
    let parts = (dependency(apt, &image, "linux-binary-")?, dependency(apt, &image, "linux-modules-")?);
    Ok(match parts {
        (Some(binary), Some(modules)) => vec![(binary, vec![kernel]), (modules, vec![module])],
        _ => vec![(image, vec![kernel, module])],
    })
}

/// The first package that a package depends on and whose name begins so.
fn dependency(apt: &Apt, package: &str, beginning: &str) -> Result<Option<String>> {
    let printed = apt.run("apt-cache", &["show", "--no-all-versions", package])?;
    let mut names =
        printed.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default().split([' ', ',']);
    Ok(names.find(|name| name.starts_with(beginning)).map(str::to_owned))
}

/// Takes files out of a package, without their folders.
fn unpack(package: &Path, files: &[String], to: &Path) -> Result<()> {
    let mut archive = Command::new("dpkg-deb");
    archive.arg("--fsys-tarfile").arg(package).stdout(Stdio::piped());
    let mut archive = archive.spawn().context("starting dpkg-deb")?;
    let mut tar = Command::new("tar");
    // In `linux-binary`, the folder has the version, not the file.
    let names = r"--transform=s,.*/\([^/]*\)/vmlinuz$,vmlinuz-\1,;s,.*/,,";
    tar.args(["--extract", "--wildcards", names]).arg("--directory").arg(to).args(files);
    let unpacked = system::run(tar.stdin(archive.stdout.take().context("dpkg-deb has no output")?));
    let ended = archive.wait().context("waiting for dpkg-deb")?;
    unpacked?;
    ensure!(ended.success(), "dpkg-deb: {ended}");
    Ok(())
}
