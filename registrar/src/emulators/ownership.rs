//! Files and folders that another user may change: as root, none of them is used, replaced or waited for.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use rustix::fs::getxattr;

use super::error::{Cause, Error, Exposure};
use crate::binfmt_misc::UserNamespace;

const OTHERS_MAY_WRITE: u32 = 0o002;
const GROUP_MAY_WRITE: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Refuses what is at `path` if another user can change it.
pub(super) fn check(path: &Path, found: &Metadata, shown: impl Into<PathBuf>) -> Result<(), Error> {
    exposure(path, found).map_or(Ok(()), |exposure| Err(Cause::Exposed(exposure).at(shown)))
}

/// What lets a user other than root and the caller change what is at `path`. A folder with the sticky bit is good:
/// what is in there stays its owner's.
pub(super) fn exposure(path: &Path, found: &Metadata) -> Option<Exposure> {
    // The owner of `/` in a user namespace is the host's root, which has no id there.
    let above = UserNamespace::current().and_then(|_| fs::metadata("/").ok());
    let is_trusted = |id: u32, own: u32, above: Option<u32>| id == 0 || id == own || above == Some(id);
    if !is_trusted(found.uid(), geteuid().as_raw(), above.as_ref().map(Metadata::uid)) {
        return Some(Exposure::Owner(found.uid()));
    }
    let mode = found.mode();
    let is_safe = found.is_symlink() || found.is_dir() && mode & STICKY != 0;
    let by_group = mode & GROUP_MAY_WRITE != 0
        && (!is_trusted(found.gid(), getegid().as_raw(), above.as_ref().map(Metadata::gid)) || has_acl(path));
    (!is_safe && (mode & OTHERS_MAY_WRITE != 0 || by_group)).then_some(Exposure::Writable)
}

/// Whether users beside the owner and the group have rights of their own; the group's bits are then their limit.
fn has_acl(path: &Path) -> bool {
    getxattr(path, "system.posix_acl_access", &mut [0; 0]).is_ok()
}
