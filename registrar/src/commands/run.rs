//! `run`: a program in a user namespace with its own `binfmt_misc`. It needs no root and changes nothing outside.
//!
//! There are two nested user namespaces. Root of the first registers the handlers. In the second, the user has the original
//! ids; the kernel looks for handlers in the nearest ancestor that has an instance, which is the first.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::error::Error;
use super::register;
use crate::binfmt_misc;
use crate::output::{CANNOT_RUN, Output};
use crate::request::{CommonArgs, Verbosity};
use crate::sys::{errno, errno_text, map_ids};

/// Exit statuses of shells and of env(1).
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// mount(2) failed for the root of a new namespace.
const NO_INSTANCE: &str = "user namespaces cannot mount binfmt_misc here: it needs Linux 6.7, and AppArmor must allow it \
                           (sysctl kernel.apparmor_restrict_unprivileged_userns)";

/// Registers, and executes the program; returns only if that fails. A handler that cannot be registered is no failure
/// unless none is.
pub(super) fn run(args: &CommonArgs, program: &[OsString]) -> Output {
    if let Err(output) = prepare(args) {
        return output.last_line_only().with_code(CANNOT_RUN);
    }
    let [name, arguments @ ..] = program else { return Output::failure("run: no program").with_code(CANNOT_RUN) };
    let error = Command::new(name).args(arguments).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
    failed(&format!("starting {}", name.to_string_lossy()), errno(&error), "").with_code(code)
}

/// Makes the namespaces and registers in the first.
fn prepare(args: &CommonArgs) -> Result<(), Output> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(no_namespace)?;
    map_ids([0, user], [0, group]).map_err(not_mapped)?;
    // MS_SLAVE: mounts of the host still arrive, for its automounts.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)
        .map_err(|errno| failed("making / a slave mount", errno, ""))?;
    match register::register_in_own_namespace(args) {
        Ok((output, false)) if output.is_failure() => return Err(output),
        Ok((output, _)) if output.is_failure() && args.detail != Verbosity::Quiet => {
            output.last_line_only().print();
        }
        Ok(_) => {}
        Err(Error::Kernel(binfmt_misc::Error::Mount { errno: Errno::EPERM | Errno::EACCES, .. })) => {
            return Err(Output::failure(NO_INSTANCE));
        }
        Err(error) => return Err(error.into()),
    }
    if user != 0 {
        unshare(CloneFlags::CLONE_NEWUSER).map_err(no_namespace)?;
        map_ids([user, 0], [group, 0]).map_err(not_mapped)?;
    }
    Ok(())
}

fn failed(doing: &str, errno: Errno, advice: &str) -> Output {
    Output::failure(&format!("{doing}: {}{advice}", errno_text(errno)))
}

fn no_namespace(errno: Errno) -> Output {
    let is_policy = matches!(errno, Errno::EPERM | Errno::ENOSPC | Errno::ENOSYS | Errno::EINVAL);
    let advice = "; this host or container forbids it (sysctl user.max_user_namespaces; in containers seccomp)";
    failed("making a user namespace", errno, if is_policy { advice } else { "" })
}

fn not_mapped((file, errno): (&'static str, Errno)) -> Output {
    let advice = "; AppArmor may forbid it (sysctl kernel.apparmor_restrict_unprivileged_userns)";
    failed(&format!("writing /proc/self/{file}"), errno, advice)
}
