//! Mounts of another mount namespace than this process's, made by a process that is started for each: this program again,
//! which ends as soon as it has the kernel's answer, and its mount namespace with it.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::mount::mount;
use nix::sched::{CloneFlags, setns, unshare};

use super::mount::{DEFAULT_MOUNT, FILE_SYSTEM, MOUNT_FLAGS};
use super::userns;
use crate::sys::errno;

/// The first arguments of a helper process, for one to each task. Not in the help: no user needs them.
const REMOUNT: &str = "helper-remount";
const MOUNT_FOR_FIRST: &str = "helper-mount-for-first-process";

/// Asks the kernel to change nothing in the instance at this place, seen from a new mount namespace.
pub(super) fn remount(at: &Path) -> Result<(), Errno> {
    start(Command::new("/proc/self/exe").arg(REMOUNT).arg(at))
}

/// Mounts `binfmt_misc` at the default mount point of PID 1's mount namespace.
pub(super) fn mount_for_first_process() -> Result<(), Errno> {
    start(Command::new("/proc/self/exe").arg(MOUNT_FOR_FIRST))
}

/// The exit status is the errno.
fn start(command: &mut Command) -> Result<(), Errno> {
    match command.status().map_err(|error| errno(&error))?.code() {
        Some(0) => Ok(()),
        code => Err(Errno::from_raw(code.unwrap_or_default())),
    }
}

/// What a helper process does, if this is one.
pub(crate) fn run_if_helper(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let done = match arguments.nth(1)?.to_str()? {
        REMOUNT => {
            let at = arguments.next()?;
            unshare(CloneFlags::CLONE_NEWNS).and_then(|()| userns::remount(Path::new(&at)))
        }
        MOUNT_FOR_FIRST => mount_in_namespace("/proc/1/ns/mnt"),
        _ => return None,
    };
    Some(done.map_or_else(
        |errno| u8::try_from(errno as i32).map_or(ExitCode::FAILURE, ExitCode::from),
        |()| ExitCode::SUCCESS,
    ))
}

fn mount_in_namespace(namespace: &str) -> Result<(), Errno> {
    let namespace = File::open(namespace).map_err(|error| errno(&error))?;
    setns(namespace, CloneFlags::CLONE_NEWNS)?;
    match mount(Some(FILE_SYSTEM), DEFAULT_MOUNT, Some(FILE_SYSTEM), MOUNT_FLAGS, None::<&str>) {
        // An automount was faster.
        Err(Errno::EBUSY) => Ok(()),
        mounted => mounted,
    }
}
