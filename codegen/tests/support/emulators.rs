//! QEMU's static emulators of this machine, by the names that distributions give them.

use std::fs::File;
use std::path::{Path, PathBuf};

use codegen::elf;
use object::ReadCache;

/// `qemu-TARGET-static` of Fedora and of Debian until 13; `qemu-TARGET` where that is static, as it is in Debian 14.
pub(crate) fn find(target: &str) -> Option<PathBuf> {
    let names = [format!("qemu-{target}-static"), format!("qemu-{target}")];
    names.map(|name| Path::new("/usr/bin").join(name)).into_iter().find(|path| {
        let facts = File::open(path).ok().and_then(|file| elf::facts(&ReadCache::new(file)).ok());
        facts.is_some_and(|facts| facts.interpreter.is_none() && facts.needed == 0)
    })
}
