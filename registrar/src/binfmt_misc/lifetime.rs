//! How long entries live: whether an instance is new, so that nothing but this process's mount holds it, and whether
//! that mount outlives this process.
//!
//! Entries used to keep their file system alive. Since Linux 6.7 they vanish with its last mount, and so with a container
//! that has mounted it for itself.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{self, ExitCode};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::mount::{DEFAULT_MOUNT, FILE_SYSTEM, MOUNT_FLAGS, Mounted, before_all};
use super::userns::{self, has_instances};
use super::{BinfmtMount, UserNamespace, helper};
use crate::sys::{self, errno};
use crate::table::{NAME_SUFFIXES, TABLE};

/// How long a run may take to decide whether the instance that it has made is to stay, and to end after that: until
/// then its mount, or the lock, a file there, keeps it.
const DECIDING: TimeSpec = TimeSpec::new(1, 0);

/// How old an instance was when this run mounted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceAge {
    /// Nobody else holds it: it was not there, or who made it has given it up since.
    New,
    /// Who made it may be about to give it up, or to end after that.
    Young,
    Old,
}

impl InstanceAge {
    /// Of the instance at `folder`, mounted after `before`. Its `status` is as old as itself; the folder is younger where
    /// a kernel notes there that entries came and went.
    pub(super) fn of(folder: &Path, before: Option<TimeSpec>) -> Self {
        // Reading it will say better why.
        let Ok(status) = fs::metadata(folder.join("status")) else { return Self::Old };
        // This clock is after all that has been stamped.
        let (Some(before), Ok(now)) = (before, clock_gettime(ClockId::CLOCK_REALTIME)) else { return Self::New };
        Self::between(TimeSpec::new(status.ctime(), status.ctime_nsec()), before, now)
    }

    /// Of an instance made at that time, mounted after `before`, and looked at `now`.
    fn between(made: TimeSpec, before: TimeSpec, now: TimeSpec) -> Self {
        // Nothing is made in the future: the clock has been set back since.
        if made > now {
            Self::Old
        } else if made >= before {
            Self::New
        } else if made + DECIDING >= before {
            Self::Young
        } else {
            Self::Old
        }
    }
}

impl BinfmtMount {
    /// How old the instance was, if this run mounted it and entries need a mount: they would vanish with that of a new one.
    /// To be called with the lock: its last owner may have held the instance, and released it since.
    pub(super) fn age_in_need(&self) -> Option<InstanceAge> {
        let mounted = self.mounted.as_ref().filter(|mounted| mounted.needs_a_mount)?;
        Some(InstanceAge::of(self.path(), mounted.before))
    }

    /// Takes back the mount if this run made it and nothing has been registered since. Whoever calls this has the lock,
    /// so that nothing can be registered meanwhile by another run.
    ///
    /// Entries may go with the last mount. Those that were there at once have another mount, or a kernel
    /// that needs none; those that came since may have only this one.
    pub(crate) fn unmount_if_unused(&self) {
        let Some(Mounted { entries: found, .. }) = &self.mounted else { return };
        if self.entries().is_ok_and(|entries| entries.names().all(|name| found.get(name).is_some())) {
            let is_ours = self.age_in_need() == Some(InstanceAge::New);
            let status = File::open(self.path().join("status")).ok().filter(|_| is_ours);
            self.unmount();
            // Now it looks new to all who have mounted it while this run held it, and are waiting for the lock.
            let _ = status.map(|status| status.set_permissions(status.metadata()?.permissions()));
        }
    }
}

/// Whether entries of the instance just mounted at `folder` vanish with its last mount.
///
/// The change has come to older kernels too, as a correction (5.10.262 and 6.1.176 have it), so that only a trial tells,
/// and only of an instance that is new. It is made with an entry that no program matches, under a name that the next run
/// would clear up.
pub(super) fn needs_its_mount(folder: &Path, age: InstanceAge) -> bool {
    if has_instances() || age != InstanceAge::New {
        return has_instances();
    }
    let Some(handler) = TABLE.handlers.first() else { return true };
    let name = handler.name_with(NAME_SUFFIXES[0]);
    let entry = folder.join(&*name);
    let line = format!(":{name}:M::trial of registrar::/nonexistent/{}:", handler.emulator);
    let trial = || {
        fs::write(folder.join("register"), line)?;
        umount(folder)?;
        mount(Some(FILE_SYSTEM), folder, Some(FILE_SYSTEM), MOUNT_FLAGS, None::<&str>)?;
        io::Result::Ok(entry.exists())
    };
    let is_there = trial().unwrap_or(false);
    if is_there {
        // It is the next run's if that fails.
        let _ = fs::write(&entry, "-1");
    }
    !is_there
}

/// How long what is registered now will be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Until somebody removes it.
    Permanent,
    /// As long as this process's mount namespace: in `podman unshare` that of podman's pause process, in a container
    /// that runs something else that of its PID 1.
    MountNamespace,
    /// Not longer than this process.
    Process,
}

/// How long entries in the folder will be there; without one, those of an instance that is not mounted yet, and that nobody
/// else is known to hold. If they need it, and the host's first process can be seen from here, mounts `binfmt_misc` for
/// that one too; starts no process without a folder.
pub(crate) fn lifetime(folder: Option<&BinfmtMount>) -> Lifetime {
    let is_dry_run = folder.is_none();
    if !folder.map_or_else(has_instances, |folder| folder.age_in_need() == Some(InstanceAge::New)) {
        return Lifetime::Permanent;
    }
    let mount_namespace = |process| sys::namespace(process, "mnt");
    let (ours, firsts) = (mount_namespace("self"), mount_namespace("1"));
    // PID 1 of a container is not the host's.
    let is_host_in_sight = sys::namespace("self", "pid").as_deref() == Some(sys::INITIAL_PID_NAMESPACE);
    if is_host_in_sight
        && firsts.is_some()
        && (ours == firsts
            || is_dry_run && UserNamespace::is_first()
            || !is_dry_run && helper::start(helper::MOUNT_FOR_FIRST, Path::new(DEFAULT_MOUNT)).is_ok())
    {
        Lifetime::Permanent
    } else if is_kept() {
        Lifetime::MountNamespace
    } else {
        Lifetime::Process
    }
}

/// What a helper process does, if this is one.
pub(crate) fn run_if_helper(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let (task, at) = (arguments.nth(1)?, arguments.next());
    let at = Path::new(at.as_ref()?);
    let done = match task.to_str()? {
        // Without a mount namespace the kernel cannot be asked, which EPERM would hide.
        helper::REMOUNT => {
            unshare(CloneFlags::CLONE_NEWNS).map_err(|_| Errno::ECANCELED).and_then(|()| userns::remount(at))
        }
        helper::MOUNT_FOR_FIRST => mount_for_first_process(at),
        helper::FIND_HELD => find_held(at),
        _ => return None,
    };
    let status = done.err().map_or(Ok(0), |errno| u8::try_from(errno as i32));
    Some(status.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Whether the instance that a mount in a private mount namespace shows is held by others.
///
/// # Errors
/// `ENOENT` if it is new, or so young that its creator may still unmount it.
fn find_held(at: &Path) -> Result<(), Errno> {
    let before = before_all();
    mount_privately(at)?;
    if InstanceAge::of(at, before) == InstanceAge::Old { Ok(()) } else { Err(Errno::ENOENT) }
}

/// Mounts `binfmt_misc` in a new mount namespace, which ends with this process.
pub(super) fn mount_privately(at: &Path) -> Result<(), Errno> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some(FILE_SYSTEM), at, Some(FILE_SYSTEM), MOUNT_FLAGS, none)
}

/// Mounts `binfmt_misc` in PID 1's mount namespace.
fn mount_for_first_process(at: &Path) -> Result<(), Errno> {
    let namespace = File::open("/proc/1/ns/mnt").map_err(|error| errno(&error))?;
    setns(namespace, CloneFlags::CLONE_NEWNS)?;
    match mount(Some(FILE_SYSTEM), at, Some(FILE_SYSTEM), MOUNT_FLAGS, None::<&str>) {
        // An automount was faster.
        Err(Errno::EBUSY) => Ok(()),
        mounted => mounted,
    }
}

/// Whether something that does not wait for this process lives in its mount namespace, and keeps what is mounted there.
/// Who only started this process, or was started beside it by the same shell, is above it or in its session.
fn is_kept() -> bool {
    let (above, namespace) = (ancestors(), sys::namespace("self", "mnt"));
    let Some(session) = Stat::of(process::id()).map(|stat| stat.session) else { return false };
    let is_keeper = |id: &u32| {
        !above.contains(id)
            && sys::namespace(&id.to_string(), "mnt") == namespace
            && Stat::of(*id).is_some_and(|stat| stat.session != session && stat.is_alive)
    };
    namespace.is_some() && processes().any(|id| is_keeper(&id))
}

/// Whether others hold what is mounted here: an engine that has bound it into its container, or processes that stay.
pub(super) fn is_of_others() -> bool {
    userns::is_engines_mount_namespace() || is_kept()
}

fn processes() -> impl Iterator<Item = u32> {
    let numbers = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(numbers)
}

/// This process, its parent, and so on.
fn ancestors() -> Vec<u32> {
    let mut above = vec![process::id()];
    while let Some(stat) = above.last().and_then(|&id| Stat::of(id)) {
        if stat.parent == 0 || above.contains(&stat.parent) {
            break;
        }
        above.push(stat.parent);
    }
    above
}

/// Of a process.
struct Stat {
    is_alive: bool,
    parent: u32,
    session: u32,
}

impl Stat {
    fn of(process: u32) -> Option<Self> {
        Self::parse(&sys::text(format!("/proc/{process}/stat")))
    }

    /// Number, name in parentheses (of any characters), state, parent, process group, session.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let [state, parent, _, session, ..] = fields[..] else { return None };
        Some(Self {
            is_alive: !matches!(state, "Z" | "X"),
            parent: parent.parse().ok()?,
            session: session.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let at = TimeSpec::new;
        let (before, now) = (at(100, 500), at(100, 900));
        let cases = [
            (at(100, 500), InstanceAge::New),
            (at(100, 900), InstanceAge::New),
            (at(100, 901), InstanceAge::Old),
            (at(5_000, 0), InstanceAge::Old),
            (at(100, 499), InstanceAge::Young),
            (at(99, 500), InstanceAge::Young),
            (at(99, 499), InstanceAge::Old),
        ];
        for (made, age) in cases {
            assert_eq!(InstanceAge::between(made, before, now), age, "{made:?}");
        }
    }

    #[test]
    fn names_of_processes_may_be_anything() {
        let stat = Stat::parse("17 (a) R 9 (b)) S 5 17 4 0 -1").expect("a line");
        assert_eq!((stat.is_alive, stat.parent, stat.session), (true, 5, 4));
        assert!(Stat::parse("17 (a) Z 1 17 17 0 -1").is_some_and(|stat| !stat.is_alive));
        assert!(Stat::parse("").is_none());
    }
}
