//! Plain reading and writing of `binfmt_misc`, independent of how `registrar` does it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The kernel's own mount point.
pub const DEFAULT_MOUNT_POINT: &str = "/proc/sys/fs/binfmt_misc";

/// Where it is mounted in this process's mount namespace.
///
/// # Errors
/// If the kernel does not say.
pub fn mounts() -> io::Result<Vec<String>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let mounts = table.lines().filter(|line| line.contains(" - binfmt_misc "));
    Ok(mounts.filter_map(|line| line.split(' ').nth(4)).map(String::from).collect())
}

/// Name and text of every entry.
///
/// # Errors
/// What cannot be read.
pub fn entries(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut entries = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name != "register" && name != "status" {
            entries.insert(name, fs::read_to_string(file.path())?);
        }
    }
    Ok(entries)
}

/// Removes every entry.
///
/// # Errors
/// What cannot be removed.
pub fn clear(folder: &Path) -> io::Result<()> {
    entries(folder)?.keys().try_for_each(|name| fs::write(folder.join(name), "-1"))
}
