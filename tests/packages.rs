//! Programs of Debian's packages that are read or run here, and must not be installed: downloaded and verified by apt,
//! unpacked in a folder of the build's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use xtask::system;
use xtask::tables::target_dir;

/// Where Debian is, for a machine that has another distribution.
const DEBIAN: &str = "http://deb.debian.org/debian/";

/// The place that this machine gets Debian from.
pub fn debian() -> String {
    let places = Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]).output();
    let places = places.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    places.lines().find(|place| place.ends_with("/debian/")).unwrap_or(DEBIAN).to_owned()
}

/// The folder in which these packages are unpacked, as if it were the root. What was fetched once is used from then on.
///
/// # Errors
/// What stood in the way, with the last lines of what apt said.
pub fn unpacked(packages: &[&str]) -> Result<PathBuf, String> {
    let all = target_dir().join("packages");
    let folder = all.join(packages.join("+"));
    if folder.exists() {
        return Ok(folder);
    }
    let fetch = || -> anyhow::Result<()> {
        fs::create_dir_all(&all)?;
        let scratch = tempfile::tempdir_in(&all)?;
        let mut apt = Command::new("apt-get");
        // In a user namespace there is no other user that apt could become.
        apt.args(["-o", "APT::Sandbox::User=root", "download"]).args(packages).current_dir(scratch.path());
        system::run(&mut apt)?;
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
