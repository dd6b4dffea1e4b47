//! Where `binfmt_misc` is: a folder bound into the container, the kernel's usual place, or nowhere yet.
//!
//! Whether a mount made here outlives this process is not judged here.

use std::mem::ManuallyDrop;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::{Errno, read};
use rustix::mount::{MountFlags, mount};

use super::{Error, Folder};

/// A bind mount of the kernel's folder: container engines refuse one inside the container's own `/proc`.
const BOUND: &str = "/binfmt_misc";

/// The kernel's own mount point.
const USUAL: &str = "/proc/sys/fs/binfmt_misc";

const BINFMT_MISC: &str = "binfmt_misc";

/// A folder that proved to be `binfmt_misc`.
pub(super) struct Opened {
    pub(super) folder: OwnedFd,
    pub(super) is_switched_on: bool,
}

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
    let bound = Path::new(BOUND);
    if only.is_none()
        && let Ok(Some(folder)) = open_at(bound)
    {
        return Ok(Folder::new(folder, bound, false));
    }
    let at = only.unwrap_or(Path::new(USUAL));
    if let Some(folder) = open_at(at).or_else(|errno| unopened(at, errno))? {
        return Ok(Folder::new(folder, at, false));
    }
    if missing == Mount::Never {
        return Err(Error::NotMounted { at: at.into() });
    }
    let failed = |errno| Error::Mount { at: at.into(), errno };
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(BINFMT_MISC, at, BINFMT_MISC, flags, None).map_err(failed)?;
    match open_at(at).map_err(failed)? {
        Some(folder) => Ok(Folder::new(folder, at, true)),
        None => Err(failed(Errno::NODEV)),
    }
}

/// Opens a folder, which triggers an automount; `None` if it is something else.
fn open_at(path: &Path) -> Result<Option<Opened>, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = open(path, flags | OFlags::DIRECTORY, Mode::empty())?;
    // That it is `binfmt_misc`, and whether that is switched on, is one question to its `status`.
    let status = match openat(&folder, "status", flags, Mode::empty()) {
        Ok(status) => ManuallyDrop::new(status),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut text = [0; 16];
    let length = read(&*status, &mut text)?;
    Ok(match &text[..length] {
        b"enabled\n" => Some(Opened { folder, is_switched_on: true }),
        b"disabled\n" => Some(Opened { folder, is_switched_on: false }),
        _ => None,
    })
}

/// A folder that is not there can be no mount; mount(2) says better what is wrong. Another failure is the answer.
fn unopened(at: &Path, errno: Errno) -> Result<Option<Opened>, Error> {
    match errno {
        Errno::NOENT | Errno::NOTDIR => Ok(None),
        errno => Err(Error::Read { path: at.into(), errno }),
    }
}
