//! Where `binfmt_misc` is: a folder bound into the container, the kernel's usual place, or nowhere yet.
//!
//! Whether a mount made here outlives this process is not judged here.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{FsType, statfs};

use super::{Error, Folder};

/// A bind mount of the kernel's folder: container engines refuse one inside the container's own `/proc`.
const BOUND: &str = "/binfmt_misc";

/// The kernel's own mount point.
const USUAL: &str = "/proc/sys/fs/binfmt_misc";

const BINFMT_MISC: &str = "binfmt_misc";
const BINFMTFS_MAGIC: FsType = FsType(0x4249_4e4d);

/// What to do where it is not mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// Mount it.
    Allowed,
    /// Only look.
    Never,
}

/// Finds the folder: `only` if it is given, else the bind mount, else the usual place.
pub(crate) fn find(only: Option<&Path>, missing: Mount) -> Result<Folder, Error> {
    if only.is_none() && is_binfmt_misc(Path::new(BOUND)) {
        return Ok(Folder::new(BOUND, false));
    }
    let at = only.unwrap_or(Path::new(USUAL));
    if is_binfmt_misc(at) {
        return Ok(Folder::new(at, false));
    }
    if missing == Mount::Never {
        return Err(Error::NotMounted { at: at.into() });
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some(BINFMT_MISC), at, Some(BINFMT_MISC), flags, None::<&str>)
        .map_err(|errno| Error::Mount { at: at.into(), errno })?;
    Ok(Folder::new(at, true))
}

/// Asks the file system, which triggers an automount. What cannot be asked is no place that could be used: mounting
/// there says better why.
fn is_binfmt_misc(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.filesystem_type() == BINFMTFS_MAGIC)
}
