//! Programs of Debian's packages that are read or run here, and must not be installed: downloaded and verified by apt,
//! unpacked in a folder of the build's. They are of one release, whatever this machine has.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use xtask::system;
use xtask::system::host::Host;
use xtask::workspace::target_dir;

use crate::debian::Apt;

/// Programs of Debian 12 run with the C library of every newer release, and its openrc still has `binfmt.sh`, which sid's
/// (0.64) has not.
const SUITE: &str = "bookworm";

/// The folder in which these packages are unpacked, as if it were the root. What was fetched once is used from then on.
///
/// # Errors
/// What stood in the way, with the last lines of what apt said.
pub fn unpacked(packages: &[&str]) -> Result<PathBuf, String> {
    let all = target_dir().join("packages").join(SUITE);
    let folder = all.join(packages.join("+"));
    if folder.exists() {
        return Ok(folder);
    }
    let fetch = || -> anyhow::Result<()> {
        fs::create_dir_all(&all)?;
        let scratch = tempfile::tempdir_in(&all)?;
        let apt = Apt::new(SUITE, Host::named(None)?.debian, scratch.path())?;
        apt.run("apt-get", &["update"])?;
        apt.run("apt-get", &[&["download"], packages].concat())?;
        let made = scratch.path().join("made");
        for file in fs::read_dir(scratch.path())? {
            let package = file?.path();
            if package.extension().is_some_and(|name| name == "deb") {
                system::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&made))?;
            }
        }
        match fs::rename(&made, &folder) {
            // Another test was faster.
            Err(_) if folder.exists() => Ok(()),
            renamed => Ok(renamed?),
        }
    };
    fetch().map(|()| folder).map_err(|error| format!("fetching {}: {error:#}", packages.join(", ")))
}
