//! Whether a mounted `binfmt_misc` is the instance of this process's user namespace, or that of one above it, which a new
//! mount namespace shows too. To be told without mounting: once a namespace has had an instance, the kernel asks the
//! handlers of those above no more for its programs, whether it is mounted or not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::{UserNamespace, lifetime};

/// Whether what is mounted at a place is this user namespace's own; nothing if that cannot be told. Only of interest
/// where the namespace is not the first.
pub(super) fn is_own(at: &Path) -> Option<bool> {
    if !lifetime::has_instances() {
        return Some(false);
    }
    // An instance belongs to the root of its namespace.
    let is_of_our_root = fs::metadata(at.join("status")).ok()?.uid() == 0;
    let root = UserNamespace::root_seen_from_above();
    if root.is_some() && !is_of_our_root {
        return Some(false);
    }
    // Where the root is the same user above, one that may change the instance's options tells; else the owner.
    may_change(at).or_else(|| root.filter(|root| *root != 0).map(|_| true))
}

/// Whether the kernel lets this process change the instance, which takes the capability in the instance's own user
/// namespace. It is asked to leave all as it is, in a mount namespace that goes at once; nothing if it cannot be asked.
fn may_change(at: &Path) -> Option<bool> {
    let options = statvfs(at).ok()?.flags();
    // Then it does not show whether the instance is read-only or this mount of it, and the one would become the other.
    if options.contains(FsFlags::ST_RDONLY) {
        return None;
    }
    let kept = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_SYNCHRONOUS, MsFlags::MS_SYNCHRONOUS),
    ];
    let flags = kept.into_iter().filter(|(option, _)| options.contains(*option)).map(|(_, flag)| flag);
    let flags = flags.fold(MsFlags::MS_REMOUNT, MsFlags::union);
    let at = PathBuf::from(at);
    // A thread of its own has a mount namespace of its own.
    let asking = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        match mount(None::<&str>, &at, None::<&str>, flags, None::<&str>) {
            Ok(()) => Some(true),
            Err(Errno::EPERM) => Some(false),
            Err(_) => None,
        }
    });
    asking.join().ok().flatten()
}
