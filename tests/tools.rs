//! Tools of files that deploy: of Python's packages those that `deploy/requirements.txt` names, and of Debian's newest
//! release those that this machine has too old or not at all. Fetched once, below `target/deploy`; nothing is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::system;
use xtask::system::host::Host;
use xtask::verify::digest::Sha256;
use xtask::workspace::atomic_dir::{self, StagedDir};
use xtask::workspace::{target_dir, workspace_root};

use crate::debian::Apt;

/// Python's packages, each in one version.
const REQUIREMENTS: &str = include_str!("deploy/requirements.txt");

/// Debian's release whose tools are used, and of these the ones that are.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 3] = ["docker-compose", "kustomize", "podman"];

/// What only Debian's next release has. They need no library but libc 2.34, which Debian 12 has.
const SID_PACKAGES: [&str; 3] = ["cosign", "docker-registry", "oras"];

/// A program of Python's packages.
///
/// # Panics
/// If they cannot be fetched.
pub fn python(program: &str) -> Command {
    let made = made(&format!("python-{}", Sha256::of(REQUIREMENTS.as_bytes())), |folder| {
        let mut pip = system::command("pip3");
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--no-deps"]);
        // What is built here could be anything: packages whose files are ready alone.
        pip.args(["--only-binary=:all:", "--requirement"]).arg(workspace_root().join("tests/deploy/requirements.txt"));
        system::run(pip.arg("--target").arg(folder)).map(drop)
    });
    let mut command = Command::new(made.join("bin").join(program));
    command.env("PYTHONPATH", made);
    command
}

/// A program of Debian's packages.
///
/// # Panics
/// If they cannot be fetched.
pub fn debian(program: &str) -> Command {
    Command::new(unpacked(SUITE, &PACKAGES).join(program))
}

/// A program of [`SID_PACKAGES`].
///
/// # Panics
/// If they cannot be fetched.
pub fn sid(program: &str) -> Command {
    Command::new(sid_root().join(program))
}

/// Where [`SID_PACKAGES`] are unpacked.
///
/// # Panics
/// If they cannot be fetched.
pub fn sid_root() -> PathBuf {
    unpacked("sid", &SID_PACKAGES)
}

/// The folder in which packages of a release are unpacked.
fn unpacked(suite: &str, packages: &[&str]) -> PathBuf {
    made(suite, |folder| {
        let scratch = tempfile::tempdir_in(folder)?;
        let apt = Apt::new(suite, Host::named(None)?.debian, scratch.path())?;
        // A mirror's copy of sid may be older than its lists are valid.
        apt.run("apt-get", &["-o", "Acquire::Check-Valid-Until=false", "update"])?;
        apt.run("apt-get", &[&["download"], packages].concat())?;
        for package in packages {
            system::run(Command::new("dpkg-deb").arg("--extract").arg(apt.package(package)?).arg(folder))?;
        }
        Ok(())
    })
}

/// Runs a tool that is to find no fault; gives its standard output.
///
/// # Panics
/// If it finds one.
#[track_caller]
pub fn passes(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// Runs a tool that is to find this fault.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn refuses(command: &mut Command, fault: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(
        !output.status.success() && printed.contains(fault),
        "{command:?}: {}, no {fault:?} in:\n{printed}",
        output.status
    );
}

/// A folder that `make` fills, whole or not at all, the first time that it is asked for.
fn made(name: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> PathBuf {
    let folder = target_dir().join("deploy").join(name);
    let fetch = || {
        let _lock = atomic_dir::lock(&folder)?;
        if folder.exists() {
            return Ok(());
        }
        let staged = StagedDir::create(&folder, |_| false)?;
        make(staged.path())?;
        staged.commit()
    };
    fetch().unwrap_or_else(|error| panic!("fetching the tools {name}: {error:#}"));
    folder
}
