//! Where `binfmt_misc` is: a folder bound into the container, the kernel's usual place, or nowhere yet.
//!
//! Whether a mount made here outlives this process is not judged here.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{FsType, statfs};

use super::{Error, Folder, errno};

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
    if only.is_none() {
        match file_system(Path::new(BOUND)) {
            Some(BINFMTFS_MAGIC) => return Ok(Folder::found(BOUND)),
            // Somebody meant to bring the host's folder: to mount one in the container instead would help nobody.
            Some(_) => return Err(Error::Hollow { at: BOUND.into() }),
            None => {}
        }
    }
    let at = only.unwrap_or(Path::new(USUAL));
    let is_mounted = || file_system(at) == Some(BINFMTFS_MAGIC);
    if is_mounted() {
        return Ok(Folder::found(at));
    }
    if missing == Mount::Never {
        return Err(Error::NotMounted { at: at.into() });
    }
    hides_nothing(at)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some(BINFMT_MISC), at, Some(BINFMT_MISC), flags, None::<&str>) {
        Ok(()) => Ok(Folder::mounted(at)),
        // Another run was faster.
        Err(Errno::EBUSY) if is_mounted() => Ok(Folder::found(at)),
        Err(errno) => Err(Error::Mount { at: at.into(), errno }),
    }
}

/// Asks what is mounted, which triggers an automount. What cannot be asked is no place that could be used: mounting
/// there says better why.
fn file_system(path: &Path) -> Option<FsType> {
    statfs(path).ok().map(|found| found.filesystem_type())
}

/// Refuses a place with anything in it, the kernel's own apart.
fn hides_nothing(at: &Path) -> Result<(), Error> {
    if at == Path::new(USUAL) {
        return Ok(());
    }
    match fs::read_dir(at).map(|mut files| files.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Occupied { at: at.into() }),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(Error::Occupied { at: at.into() }),
        Err(error) => Err(Error::Mount { at: at.into(), errno: errno(&error) }),
    }
}
