//! Whose programs the handlers serve: the host's, or only those of the user namespace that this process is in.
//!
//! From Linux 6.7 on each user namespace may have an instance of `binfmt_misc`, which says nothing to the host's. A new
//! mount namespace shows the instance above it; which one it is must be told without mounting: once a namespace has had an
//! instance, the kernel looks no more for its programs' handlers above, whether it is mounted or not.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fmt, fs, process};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;

use super::helper;
use crate::sys::{self, INITIAL_USER_NAMESPACE, IdRange};

/// Gives a container the host's folder: the cure for most errors.
pub(crate) const BIND: &str = "-v /proc/sys/fs/binfmt_misc:/binfmt_misc";

/// A bind mount of the kernel's folder: container engines refuse one inside the container's own `/proc`.
pub(super) const BIND_MOUNT: &str = "/binfmt_misc";

/// Major and minor version of the first Linux whose entries need a mount, whatever its distribution, and whose user
/// namespaces have instances of their own.
const SINCE: (u32, u32) = (6, 7);

/// Files by which container engines mark the inside of a container.
const CONTAINER_MARKERS: [&str; 2] = ["/run/.containerenv", DOCKER_MARKER];
const DOCKER_MARKER: &str = "/.dockerenv";

/// Who is who in the first one, and in those that are given all users.
const ALL: IdRange = IdRange { inside: 0, outside: 0, count: u32::MAX };

/// Where ranges of ids begin that are lent to user namespaces, or above: below are people and services, in a container too.
const SUBUID_MIN: u32 = 1 << 16;

/// Where a namespace's name cannot be read.
const NAMELESS: &str = "this user namespace";

/// A user namespace that is not the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserNamespace {
    /// As `/proc` names it: `user:[4026532189]`.
    pub(crate) name: String,
}

impl UserNamespace {
    /// The one that this process is in, unless it is the first.
    pub(crate) fn current() -> Option<Self> {
        match sys::namespace("self", "user") {
            Some(name) if name == INITIAL_USER_NAMESPACE => None,
            Some(name) => Some(Self { name }),
            None => (*sys::uid_map().first()? != ALL).then(|| Self { name: NAMELESS.into() }),
        }
    }

    /// Whether this process is certainly in the first one.
    pub(crate) fn is_first() -> bool {
        sys::namespace("self", "user").as_deref() == Some(INITIAL_USER_NAMESPACE)
    }

    /// Who is root here, as the namespace above numbers its users; nothing if that cannot be told, or nobody is.
    pub(crate) fn root_seen_from_above() -> Option<u32> {
        sys::uid_map().first().filter(|range| range.inside == 0).map(|range| range.outside)
    }

    /// The one whose root this process is: it may be refused what the host's root is not.
    pub(super) fn of_root() -> Option<Self> {
        Self::current().filter(|_| geteuid().is_root())
    }

    /// What to do instead of, or so that, registering here.
    pub(crate) fn advice(&self) -> String {
        let instead = match CreatedBy::of_this() {
            CreatedBy::UsersEngine if is_engines_mount_namespace() && Path::new(DOCKER_MARKER).exists() => {
                "or enter rootlesskit's namespace (docs/rootless.md)"
            }
            CreatedBy::UsersEngine => "or: podman unshare registrar register --scope userns",
            CreatedBy::Anybody | CreatedBy::RootsEngine => "or if that is wanted add --scope userns",
        };
        format!("{}, {instead}", self.way_out())
    }

    /// Whether a container engine that root runs has made this container, be it in a system container.
    pub(crate) fn is_of_roots_engine(&self) -> bool {
        CreatedBy::of_this() == CreatedBy::RootsEngine
    }

    /// What to do to be where the host's handlers may be changed.
    pub(super) fn way_out(&self) -> &'static str {
        match CreatedBy::of_this() {
            CreatedBy::Anybody => "run as the host's root",
            CreatedBy::UsersEngine => "run the container as the host's root",
            CreatedBy::RootsEngine => "run the container with --userns=host",
        }
    }
}

/// Who has made a user namespace, as far as it shows from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CreatedBy {
    /// `podman unshare`, rootlesskit, unshare(1).
    Anybody,
    /// A container engine of an ordinary user, who can leave his namespace with no option of it.
    UsersEngine,
    /// A container engine that root runs: Docker's userns-remap, podman's `--userns=auto`.
    RootsEngine,
}

impl CreatedBy {
    fn of_this() -> Self {
        Self::told_by(is_container(), sys::uid_map().first())
    }

    /// An ordinary user may map nobody but himself without help, and so is the first line of the helped ones. Where
    /// podman puts a namespace of its own into that one (`--userns=keep-id`), the ids above are those of a container. An
    /// engine that root runs maps a range of ids that nobody has.
    fn told_by(is_container: bool, map: Option<&IdRange>) -> Self {
        match map {
            _ if !is_container => Self::Anybody,
            Some(IdRange { count: 1, .. } | IdRange { outside: 1..SUBUID_MIN, .. }) => Self::UsersEngine,
            _ => Self::RootsEngine,
        }
    }
}

/// Whether a container engine has mounted what shows here.
pub(super) fn is_engines_mount_namespace() -> bool {
    let namespace = sys::namespace("self", "mnt");
    is_container() && namespace.is_some() && namespace == sys::namespace("1", "mnt")
}

/// Whether this process is in a container.
fn is_container() -> bool {
    process::id() == 1 || CONTAINER_MARKERS.iter().any(|mark| Path::new(mark).exists())
}

impl fmt::Display for UserNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Whether what is mounted at a place is this user namespace's own; nothing if that cannot be told. Only of interest
/// where the namespace is not the first.
pub(super) fn is_own(at: &Path) -> Option<bool> {
    if !has_instances() {
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
/// namespace; nothing if it cannot be asked.
fn may_change(at: &Path) -> Option<bool> {
    // EPERM may be about the mount namespace, which belongs to another user namespace until this process makes one.
    let changed = remount(at)
        .or_else(|errno| if errno == Errno::EPERM { helper::start(helper::REMOUNT, at) } else { Err(errno) });
    match changed {
        Ok(()) => Some(true),
        Err(Errno::EPERM) => Some(false),
        Err(_) => None,
    }
}

/// Mounts the instance again with the options that it has.
///
/// # Errors
/// `EROFS` of a read-only mount: it does not show whether the instance is read-only too, and would become so.
pub(super) fn remount(at: &Path) -> Result<(), Errno> {
    let options = statvfs(at)?.flags();
    if options.contains(FsFlags::ST_RDONLY) {
        return Err(Errno::EROFS);
    }
    let kept = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_SYNCHRONOUS, MsFlags::MS_SYNCHRONOUS),
    ];
    let flags = kept.into_iter().filter(|(option, _)| options.contains(*option)).map(|(_, flag)| flag);
    mount(None::<&str>, at, None::<&str>, flags.fold(MsFlags::MS_REMOUNT, MsFlags::union), None::<&str>)
}

/// Whether the kernel has more than one instance, or is of a version that tells nothing.
pub(super) fn has_instances() -> bool {
    sys::linux_version().is_none_or(|version| version >= SINCE)
}

#[cfg(test)]
mod tests {
    use super::CreatedBy::{self, Anybody, RootsEngine, UsersEngine};
    use super::IdRange;

    /// As seen with podman 4.3 and Docker 20.10.
    #[test]
    fn who_has_made_a_namespace_shows_in_its_map() {
        let cases = [
            ("podman unshare", false, "         0       1001          1\n", Anybody),
            ("podman run", true, "         0       1001          1\n", UsersEngine),
            ("the same of a user of a directory service", true, "0 1200001 1", UsersEngine),
            ("podman run --userns=keep-id", true, "0 1 1001", UsersEngine),
            ("podman run --userns=auto", true, "0 1 1024", UsersEngine),
            ("podman run --userns=nomap", true, "0 1 65536", UsersEngine),
            ("podman run --uidmap=0:0:1 --uidmap=1:1:100", true, "0 0 1", UsersEngine),
            ("podman run --userns=auto by root", true, "0 100000 1024", RootsEngine),
            ("podman run --uidmap=0:200000:1000 by root", true, "0 200000 1000", RootsEngine),
            ("dockerd --userns-remap", true, "0 100000 65536", RootsEngine),
            ("all users", true, "0 0 4294967295", RootsEngine),
        ];
        for (what, is_container, map, maker) in cases {
            assert_eq!(CreatedBy::told_by(is_container, IdRange::parse(map).first()), maker, "{what}");
        }
    }
}
