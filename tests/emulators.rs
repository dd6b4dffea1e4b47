//! QEMU's emulators of this machine: which targets they are of differs by QEMU's version (7.2 has cris and nios2, 10.0
//! has not), and their names by the distribution.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use codegen::targets::{self, Target};
use nix::mount::{MsFlags, mount};
use test_groups::emulators;

/// Where the packages put them.
const FOLDER: &str = "/usr/bin";

/// The targets whose emulators are here, sorted as all are.
pub static TARGETS: LazyLock<Vec<Target>> = LazyLock::new(|| {
    let are_here: Vec<_> =
        targets::TARGETS.iter().filter(|target| emulators::emulator(target.qemu).is_some()).copied().collect();
    assert!(!are_here.is_empty(), "no static emulators of QEMU in {FOLDER}; install them by cargo xtask test");
    are_here
});

/// A target's emulator.
///
/// # Panics
/// If it is not here.
pub fn path(target: &str) -> PathBuf {
    emulators::emulator(target)
        .unwrap_or_else(|| panic!("no static qemu-{target} in {FOLDER}; cargo xtask test installs it"))
}

/// How `registrar --version` counts the handlers of these targets.
pub fn counted(targets: &[Target]) -> String {
    let handlers: usize = targets.iter().map(|target| target.machines.len()).sum();
    format!("{handlers} handlers of {} targets", targets.len())
}

/// Shows the emulators in this mount namespace by the names that Fedora's and older packages of Debian give them,
/// `qemu-TARGET-static`, where this machine has only `qemu-TARGET`. `scratch` is to outlive the namespace.
///
/// # Errors
/// What the kernel refuses.
pub fn mount_static_names(scratch: &Path) -> io::Result<()> {
    let links = scratch.join("static-names");
    for target in TARGETS.iter() {
        let name = format!("qemu-{}-static", target.qemu);
        if !Path::new(FOLDER).join(&name).exists() {
            fs::create_dir_all(&links)?;
            symlink(format!("qemu-{}", target.qemu), links.join(name))?;
        }
    }
    if !links.exists() {
        return Ok(());
    }
    // Without a layer to write to, it is read-only.
    let layers = format!("lowerdir={}:{FOLDER}", links.display());
    mount(Some("overlay"), FOLDER, Some("overlay"), MsFlags::empty(), Some(layers.as_str()))?;
    Ok(())
}
