//! `run`: a program in a user namespace with a `binfmt_misc` of its own. It needs no root and changes nothing outside.
//!
//! Two namespaces, one in the other: only the root of the first may register there; in the second the user is the one
//! that he was, and the kernel, which looks for handlers in the nearest namespace that has any, finds those of the first.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::register;
use crate::binfmt_misc;
use crate::output::{CANNOT_RUN, Output};
use crate::request::{CommonArgs, Verbosity};
use crate::sys::{errno, errno_text, map_ids};

/// Exit statuses of a program that could not be started, as shells give them, and env(1) what is its own fault.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// What it means that the root of a new namespace may not mount.
const NO_INSTANCE: &str = "a user namespace has no binfmt_misc of its own here: that needs Linux 6.7, and no AppArmor \
                           that forbids it (sysctl kernel.apparmor_restrict_unprivileged_userns)";

/// Why there is no such namespace.
enum Error {
    Namespace(Errno),
    Map { file: &'static str, errno: Errno },
    Private(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(errno @ (Errno::EPERM | Errno::ENOSPC | Errno::ENOSYS | Errno::EINVAL)) => write!(
                f,
                "making a user namespace: {}; this machine or container does not allow it (see sysctl \
                 user.max_user_namespaces, and seccomp in containers)",
                errno_text(*errno)
            ),
            Self::Namespace(errno) => write!(f, "making a user namespace: {}", errno_text(*errno)),
            Self::Map { file, errno } => write!(
                f,
                "writing /proc/self/{file}: {}; AppArmor may forbid it (sysctl \
                 kernel.apparmor_restrict_unprivileged_userns)",
                errno_text(*errno)
            ),
            Self::Private(errno) => write!(f, "keeping mounts from the host: {}", errno_text(*errno)),
        }
    }
}

/// Registers in a namespace of its own and turns into
/// the program; comes back only if that failed. What could not be registered hinders only who needs it.
pub(super) fn run(args: &CommonArgs, program: &[OsString]) -> Output {
    if let Err(output) = prepare(args) {
        return output.last_line_only().with_code(CANNOT_RUN);
    }
    let [name, arguments @ ..] = program else { return Output::failure("run: no program").with_code(CANNOT_RUN) };
    let error = Command::new(name).args(arguments).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
    let cause = format!("starting {}: {}", name.to_string_lossy(), errno_text(errno(&error)));
    Output::failure(&cause).with_code(code)
}

/// Makes the namespaces and registers in the first. Says what failed, if the program can run all the same.
fn prepare(args: &CommonArgs) -> Result<(), Output> {
    let failed = |error: Error| Output::failure(&error.to_string());
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    enter(user, group).map_err(failed)?;
    match register::register_in_own_namespace(args) {
        Ok((output, false)) if output.is_failure() => return Err(output),
        Ok((output, _)) if output.is_failure() && args.detail != Verbosity::Quiet => {
            output.last_line_only().print();
        }
        Ok(_) => {}
        Err(super::error::Error::Kernel(binfmt_misc::Error::Mount { errno: Errno::EPERM | Errno::EACCES, .. })) => {
            return Err(Output::failure(NO_INSTANCE));
        }
        Err(error) => return Err(error.into()),
    }
    if user != 0 {
        unshare(CloneFlags::CLONE_NEWUSER)
            .map_err(Error::Namespace)
            .and_then(|()| Ok(map_ids([user, 0], [group, 0])?))
            .map_err(failed)?;
    }
    Ok(())
}

/// Becomes root of a user namespace, with mounts that the host does not see.
fn enter(user: u32, group: u32) -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(Error::Namespace)?;
    map_ids([0, user], [0, group])?;
    // Mounts of the host still come in: an automount is one of them.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>).map_err(Error::Private)
}

impl From<(&'static str, Errno)> for Error {
    fn from((file, errno): (&'static str, Errno)) -> Self {
        Self::Map { file, errno }
    }
}
