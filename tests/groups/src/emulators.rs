//! QEMU's static emulators of this machine.

use std::fs::File;
use std::path::{Path, PathBuf};

use codegen::elf;
use object::read::ReadCache;

/// This machine's static emulator of a target: `qemu-TARGET-static`, or `qemu-TARGET` where that is static.
pub fn emulator(target: &str) -> Option<PathBuf> {
    emulator_in(Path::new("/usr/bin"), target)
}

/// The same in another folder.
pub fn emulator_in(folder: &Path, target: &str) -> Option<PathBuf> {
    // Debian 12 and Fedora have both, and only the first is static; Debian 14 has the second alone.
    let names = [format!("qemu-{target}-static"), format!("qemu-{target}")];
    names.map(|name| folder.join(name)).into_iter().find(|path| is_static(path))
}

fn is_static(program: &Path) -> bool {
    let facts = File::open(program).ok().and_then(|file| elf::facts(&ReadCache::new(file)).ok());
    facts.is_some_and(|facts| facts.interpreter.is_none() && facts.needed == 0)
}
