//! A private user and mount namespace, where `binfmt_misc` has an instance of its own (Linux 6.7 or later) and nobody
//! needs to be root on the host.

use std::fs;
use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// Enters new namespaces as the user `uid` of theirs, with all capabilities until the next exec by a user other than 0.
///
/// # Errors
/// What the kernel refuses; with several threads running, it refuses all.
pub fn enter(uid: u32) -> io::Result<()> {
    let (outer_uid, outer_gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {outer_uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{uid} {outer_gid} 1"))?;
    // Nothing that is mounted from here on shows anywhere else.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    Ok(())
}

/// Mounts this namespace's instance.
///
/// # Errors
/// What the kernel refuses, or an instance with entries: then it is somebody else's.
pub fn mount_binfmt_misc(at: &Path) -> io::Result<()> {
    mount(Some("binfmt_misc"), at, Some("binfmt_misc"), MsFlags::empty(), None::<&str>)?;
    let mut files: Vec<_> = fs::read_dir(at)?.map(|file| Ok(file?.file_name())).collect::<io::Result<_>>()?;
    files.sort();
    if files != ["register", "status"] {
        return Err(io::Error::other(format!("{} is not a new instance: {files:?}", at.display())));
    }
    Ok(())
}
