//! Processes of this program for one system call each in another mount namespace, which ends with the process.

use std::path::Path;
use std::process::Command;

use nix::errno::Errno;

use crate::sys::errno;

/// First arguments of a helper process: its task. Not in the help: no user needs them.
pub(super) const REMOUNT: &str = "helper-remount";
pub(super) const MOUNT_FOR_FIRST: &str = "helper-mount-for-first-process";
pub(super) const FIND_HELD: &str = "helper-find-held-instance";

/// Has a task done to what is mounted, or is to be mounted, at this place. The exit status is the errno.
pub(super) fn start(task: &str, at: &Path) -> Result<(), Errno> {
    let status = Command::new("/proc/self/exe").arg(task).arg(at).status().map_err(|error| errno(&error))?;
    match status.code() {
        Some(0) => Ok(()),
        code => Err(Errno::from_raw(code.unwrap_or_default())),
    }
}
