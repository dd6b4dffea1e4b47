//! Removal of fetched files that no run has wanted for long: whoever builds each week would keep every build of QEMU.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

pub(crate) const LONGEST_KEPT: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// Marks a file as used. If that fails, it is fetched again some day.
pub(crate) fn touch(file: &File) {
    let _ = file.set_modified(SystemTime::now());
}

/// Removes the files right in `folder` that have not been written, or [`touch`]ed, for `age`.
pub(crate) fn remove_older_than(folder: &Path, age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.ok().and_then(|time| time.elapsed().ok()).is_some_and(|elapsed| elapsed > age) {
            // Another run may have removed it; and what is left takes space, no more.
            let _ = fs::remove_file(entry.path());
        }
    }
}
