//! `run`: a program in a user namespace with a `binfmt_misc` of its own. It needs no root and changes nothing outside.
//!
//! Two namespaces, one in the other: only the root of the first may register there; in the second the user is the one
//! that he was, and the kernel, which looks for handlers in the nearest namespace that has any, finds those of the first.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{fmt, fs};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use crate::cli::Asked;
use crate::kernel::{self, plain};
use crate::told::Told;

/// Exit statuses of a program that could not be started, as shells give them.
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
                plain(*errno)
            ),
            Self::Namespace(errno) => write!(f, "making a user namespace: {}", plain(*errno)),
            Self::Map { file, errno } => write!(
                f,
                "writing /proc/self/{file}: {}; AppArmor may forbid it (sysctl \
                 kernel.apparmor_restrict_unprivileged_userns)",
                plain(*errno)
            ),
            Self::Private(errno) => write!(f, "keeping mounts from the host: {}", plain(*errno)),
        }
    }
}

/// Registers in a namespace of its own by `register`, and turns into the program; comes back only if that failed.
pub(crate) fn run(
    asked: &Asked,
    program: &[OsString],
    register: impl Fn(&Asked) -> Result<Told, kernel::Error>,
) -> Told {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if let Err(error) = enter(user, group) {
        return Told::failure(&error.to_string());
    }
    match register(asked) {
        Ok(told) if told.is_failure() => return told,
        Ok(_) => {}
        Err(kernel::Error::Mount { errno: Errno::EPERM | Errno::EACCES, .. }) => return Told::failure(NO_INSTANCE),
        Err(error) => return Told::failure(&error.to_string()),
    }
    if user != 0 {
        let back =
            unshare(CloneFlags::CLONE_NEWUSER).map_err(Error::Namespace).and_then(|()| map([user, 0], [group, 0]));
        if let Err(error) = back {
            return Told::failure(&error.to_string());
        }
    }
    let [name, arguments @ ..] = program else { return Told::failure("run: no program") };
    let error = Command::new(name).args(arguments).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
    let cause = format!("starting {}: {}", name.to_string_lossy(), plain(kernel::errno(&error)));
    Told::failure(&cause).with_code(code)
}

/// Becomes root of a user namespace, with mounts that the host does not see.
fn enter(user: u32, group: u32) -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(Error::Namespace)?;
    map([0, user], [0, group])?;
    // Mounts of the host still come in: an automount is one of them.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>).map_err(Error::Private)
}

/// Says who is who in the namespace just made: a user and a group, each inside and outside.
fn map(user: [u32; 2], group: [u32; 2]) -> Result<(), Error> {
    let write = |file, text: String| {
        fs::write(format!("/proc/self/{file}"), text).map_err(|error| Error::Map { file, errno: kernel::errno(&error) })
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{} {} 1", user[0], user[1]))?;
    write("gid_map", format!("{} {} 1", group[0], group[1]))
}
