//! Where `binfmt_misc` is: a folder bound into the container, the kernel's usual place, or nowhere yet; and the lock
//! that all runs of this program share, in whatever containers they are.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::mount;
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, statfs};
use rustix::fs::{CWD, OFlags};

use super::lifetime::{self, InstanceAge};
use super::mount::{DEFAULT_MOUNT, FILE_SYSTEM, MOUNT_FLAGS, before_all};
use super::userns::{self, BIND_MOUNT};
use super::{BinfmtMount, Error, RegisterFile, UserNamespace, helper};
use crate::sys::{self, TimeLimit, errno};

const BINFMTFS_MAGIC: FsType = FsType(0x4249_4e4d);

/// How long another run may take. A run takes milliseconds, one that looks at emulators tens of them.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is asked whether the other run is done.
const RETRY_DELAY: Duration = Duration::from_millis(2);

/// How long to leave an instance to who made it, before looking whether it is still there.
const RELEASE_DELAY: Duration = Duration::from_millis(20);

/// What to do where it is not mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MountPolicy {
    /// Mount it.
    IfMissing,
    /// Mount the instance of this user namespace, also over that of another one, which shows in a new mount namespace
    /// too. What is there will do where that is not permitted.
    PreferOwn,
    /// The same at the usual place, or fail, in a namespace just made.
    RequireOwn,
    /// Only look.
    Lookup,
    /// Only look; what is certainly of another user namespace does not count, unless it was bound on purpose.
    LookupOwn,
}

impl MountPolicy {
    /// To look for what serves the programs of this user namespace alone, or those of all.
    pub(crate) fn never_in_scope(is_namespace: bool) -> Self {
        if is_namespace { Self::LookupOwn } else { Self::Lookup }
    }
}

/// Finds the folder: `only` if it is given, else the bind mount, else the usual place.
pub(crate) fn find(only: Option<&Path>, missing: MountPolicy) -> Result<BinfmtMount, Error> {
    // What an engine has bound into a container says nothing of a namespace made in there.
    if only.is_none() && missing != MountPolicy::RequireOwn {
        match file_system(Path::new(BIND_MOUNT)) {
            Some(BINFMTFS_MAGIC) => return Ok(BinfmtMount::found(BIND_MOUNT)),
            Some(PROC_SUPER_MAGIC) => return Err(Error::BoundProc { at: BIND_MOUNT.into() }),
            // Somebody meant to bring the host's folder: to mount one in the container instead would help nobody.
            Some(_) => return Err(Error::StaleBindMount { at: BIND_MOUNT.into() }),
            None => {}
        }
    }
    let at = only.unwrap_or(Path::new(DEFAULT_MOUNT));
    let is_mounted = || file_system(at) == Some(BINFMTFS_MAGIC);
    let was_mounted = is_mounted();
    let not_mounted = Err(Error::NotMounted { at: at.into() });
    match missing {
        MountPolicy::IfMissing | MountPolicy::Lookup if was_mounted => return Ok(BinfmtMount::found(at)),
        MountPolicy::LookupOwn if was_mounted => {
            return if userns::is_own(at) == Some(false) { not_mounted } else { Ok(BinfmtMount::found(at)) };
        }
        MountPolicy::Lookup | MountPolicy::LookupOwn => return not_mounted,
        MountPolicy::IfMissing | MountPolicy::PreferOwn | MountPolicy::RequireOwn => {}
    }
    check_mount_point_empty(at)?;
    let before = before_all();
    match mount(Some(FILE_SYSTEM), at, Some(FILE_SYSTEM), MOUNT_FLAGS, None::<&str>) {
        Ok(()) => {
            let needs_it = lifetime::needs_its_mount(at, InstanceAge::of(at, before));
            Ok(BinfmtMount::mounted(at, before, needs_it))
        }
        // It is there already, or another run was faster. Over another instance than its own the kernel would mount.
        Err(Errno::EBUSY) if was_mounted || is_mounted() => Ok(BinfmtMount::own(at)),
        // Without the capability to mount. On a kernel with but one instance, that one is not what is asked for.
        Err(Errno::EPERM | Errno::EACCES)
            if missing == MountPolicy::PreferOwn && was_mounted && userns::has_instances() =>
        {
            Ok(BinfmtMount::found(at))
        }
        Err(errno) => Err(Error::Mount { at: at.into(), errno }),
    }
}

/// Finds the folder for a command that only reads: where none shows, in a private mount namespace. An instance that this
/// mount makes is none that is mounted, unless `may_be_new`.
pub(crate) fn look(only: Option<&Path>, may_be_new: bool, is_lasting: &dyn Fn() -> bool) -> Result<BinfmtMount, Error> {
    let at = match find(only, MountPolicy::Lookup) {
        // The first mount in a user namespace permanently disables its parent's handlers.
        Err(Error::NotMounted { at })
            if check_mount_point_empty(&at).is_ok() && (UserNamespace::current().is_none() || is_lasting()) =>
        {
            at
        }
        found => return found,
    };
    let before = before_all();
    let is_mounted = lifetime::mount_privately(&at).is_ok();
    if is_mounted && (may_be_new || InstanceAge::of(&at, before) != InstanceAge::New) {
        return Ok(BinfmtMount::found(at));
    }
    Err(Error::NotMounted { at })
}

/// Whether this user namespace has an instance that others hold, and that is older than this run, as the init of a system
/// container (Incus, LXD, Sysbox) mounts it. Where none shows, only a mount tells; it would put a new instance before the
/// handlers of the namespace above, and is tried if `is_harmless`.
pub(crate) fn has_lasting_instance(only: Option<&Path>, is_harmless: impl FnOnce() -> bool) -> bool {
    match find(only, MountPolicy::LookupOwn) {
        Ok(folder) => folder.is_own() == Some(true) && lifetime::is_of_others(),
        // An engine that root runs, in whose containers nobody else's programs are.
        Err(Error::NotMounted { at }) => {
            UserNamespace::current().is_some_and(|namespace| namespace.is_of_roots_engine())
                && is_harmless()
                && helper::start(helper::FIND_HELD, &at).is_ok()
        }
        Err(_) => false,
    }
}

/// Finds the folder, mounting it if need be, and locks `register` as long as the returned file is open. Without write
/// permission on `register` there is no lock, and nothing can be changed.
pub(crate) fn find_and_lock(only: Option<&Path>, missing: MountPolicy) -> Result<(BinfmtMount, RegisterFile), Error> {
    let mut limit = TimeLimit::new(LOCK_TIMEOUT);
    loop {
        let folder = find(only, missing)?;
        let path = folder.path().join("register");
        let (seen, pause) = match sys::open(CWD, &path, OFlags::WRONLY) {
            Ok(file) => {
                sys::lock(&file, LOCK_TIMEOUT, RETRY_DELAY)
                    .map_err(|errno| Error::Lock { path: path.clone(), errno })?;
                if folder.age_in_need() == Some(InstanceAge::Young) {
                    // Its creator may still unmount it. Without this run's mount it shows whether there is another.
                    folder.unmount();
                    ("given up by others, time and again", RELEASE_DELAY)
                } else if sys::is_same_file(file.metadata(), fs::metadata(&path)) == Some(true) {
                    return Ok((folder, RegisterFile(Ok(file))));
                } else {
                    // Who had the lock has taken the mount back.
                    ("another one, time and again", RETRY_DELAY)
                }
            }
            // Unmounted since it was found.
            Err(Errno::ENOENT) => ("not there", RETRY_DELAY),
            Err(errno @ (Errno::EACCES | Errno::EPERM | Errno::EROFS)) => {
                return Ok((folder, RegisterFile(Err(Error::Register { path, errno }))));
            }
            Err(errno) => return Err(Error::Register { path, errno }),
        };
        if limit.is_over() {
            return Err(Error::RegisterUnstable { path, seen });
        }
        thread::sleep(pause);
    }
}

/// Asks what is mounted, which triggers an automount. What cannot be asked is no place that could be used: mounting
/// there says better why.
fn file_system(path: &Path) -> Option<FsType> {
    statfs(path).ok().map(|found| found.filesystem_type())
}

/// Refuses a place with anything in it, the kernel's own apart, and another `binfmt_misc`.
pub(crate) fn check_mount_point_empty(at: &Path) -> Result<(), Error> {
    if at == Path::new(DEFAULT_MOUNT) || file_system(at) == Some(BINFMTFS_MAGIC) {
        return Ok(());
    }
    match fs::read_dir(at).map(|mut files| files.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::MountPointNotEmpty { at: at.into() }),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(Error::MountPointNotEmpty { at: at.into() }),
        Err(error) => Err(Error::Mount { at: at.into(), errno: errno(&error) }),
    }
}
