//! `run`: a program in a user namespace with its own `binfmt_misc`. It needs no root and changes nothing outside.
//!
//! There are two nested user namespaces. Root of the first registers the handlers. In the second, the user has the original
//! ids; the kernel looks for handlers in the nearest ancestor that has an instance, which is the first. Root needs no
//! second: in the first it has all ids of the namespace that it comes from, which a process outside maps.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, Command, ExitCode, Stdio};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::error::Error;
use super::register;
use crate::binfmt_misc;
use crate::output::{CANNOT_RUN, Output};
use crate::request::{CommonArgs, Verbosity};
use crate::security::SecurityModule;
use crate::sys::{self, errno, errno_text, map_ids};

/// Exit statuses of shells and of env(1).
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// First argument of the process that maps all ids of another one. Not in the help: no user needs it.
const MAPPER: &str = "helper-map-ids";

/// `CAP_SETGID`, `CAP_SETUID` and `CAP_SETFCAP`: Linux asks for the last since 5.12.
const MAY_MAP: u64 = 1 << 6 | 1 << 7 | 1 << 31;

/// mount(2) failed for the root of a new namespace.
const NO_INSTANCE: &str = "user namespaces cannot mount binfmt_misc here: it needs Linux 6.7";

/// Where AppArmor lets users make namespaces, but gives them no rights there, by a profile of this name.
const APPARMOR: &str = "; AppArmor may forbid it (sysctl kernel.apparmor_restrict_unprivileged_userns, or the profile \
                        in deploy/apparmor)";
const UNPRIVILEGED: &str = "unprivileged_userns";

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
    // Without the capability, root maps itself alone, as any user does.
    let mapper = if user == 0 && may_map() { start_mapper().ok() } else { None };
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(no_namespace)?;
    if !mapper.is_some_and(has_mapped) {
        map_ids([0, user], [0, group]).map_err(not_mapped)?;
    }
    // MS_SLAVE: mounts of the host still arrive, for its automounts.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>).map_err(|errno| {
        let is_policy = matches!(errno, Errno::EPERM | Errno::EACCES);
        failed("making / a slave mount", errno, &if is_policy { suspicion() } else { String::new() })
    })?;
    match register::register_in_own_namespace(args) {
        Ok((output, false)) if output.is_failure() => return Err(output),
        Ok((output, _)) if output.is_failure() && args.detail != Verbosity::Quiet => {
            output.last_line_only().print();
        }
        Ok(_) => {}
        Err(Error::Kernel(binfmt_misc::Error::Mount { errno: Errno::EPERM | Errno::EACCES, .. })) => {
            return Err(Output::failure(&[NO_INSTANCE, &suspicion()].concat()));
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

/// Which security module may forbid it, with what to do about that.
fn suspicion() -> String {
    match SecurityModule::current() {
        Some(SecurityModule::AppArmor(profile)) if profile == UNPRIVILEGED => APPARMOR.into(),
        None => APPARMOR.into(),
        Some(_) => ["; ", &SecurityModule::suspicion()].concat(),
    }
}

fn no_namespace(errno: Errno) -> Output {
    let is_zero = |name: &str| sys::text(["/proc/sys/", name].concat()).trim() == "0";
    let advice = match errno {
        Errno::EPERM if is_chroot() => "; the kernel makes none in a chroot: run it outside, or in a container",
        Errno::EPERM if is_zero("kernel/unprivileged_userns_clone") => {
            "; the host forbids it: sysctl kernel.unprivileged_userns_clone=1"
        }
        Errno::ENOSPC if is_zero("user/max_user_namespaces") => {
            "; the host forbids it: sysctl user.max_user_namespaces"
        }
        Errno::EACCES => &suspicion(),
        Errno::EPERM | Errno::ENOSPC | Errno::ENOSYS | Errno::EINVAL => {
            "; this host or container forbids it (sysctl user.max_user_namespaces; in containers seccomp)"
        }
        _ => "",
    };
    failed("making a user namespace", errno, advice)
}

/// Whether this process has another root than its mount namespace: then no mount is at `/`, or the first process of the
/// same mount namespace has another root.
fn is_chroot() -> bool {
    let mounts = sys::text("/proc/self/mountinfo");
    let has_root = mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"));
    let is_of_first = sys::namespace("1", "mnt").is_some_and(|firsts| sys::namespace("self", "mnt") == Some(firsts));
    let is_same = || sys::is_same_file(fs::metadata("/"), fs::metadata("/proc/1/root/"));
    !mounts.is_empty() && (!has_root || is_of_first && is_same() == Some(false))
}

fn not_mapped((file, errno): (&'static str, Errno)) -> Output {
    failed(&format!("writing /proc/self/{file}"), errno, &suspicion())
}

/// Whether this process may map ids of others.
fn may_map() -> bool {
    sys::status_mask("CapEff:").is_some_and(|effective| effective & MAY_MAP == MAY_MAP)
}

/// Starts the process that will map all ids. It waits for the end of its standard input.
fn start_mapper() -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args([MAPPER, &process::id().to_string()]).stdin(Stdio::piped()).spawn()
}

/// Whether all ids are mapped, now that the namespace is made.
fn has_mapped(mut mapper: Child) -> bool {
    drop(mapper.stdin.take());
    mapper.wait().is_ok_and(|status| status.success())
}

/// Maps the ids of another process, if this process was started for that.
pub(crate) fn run_if_mapper(mut arguments: env::ArgsOs) -> Option<ExitCode> {
    if arguments.nth(1)? != MAPPER {
        return None;
    }
    let process = arguments.next().and_then(|word| word.into_string().ok()?.parse().ok());
    // Nothing is written: the end is what it waits for.
    let end = rustix::io::read(io::stdin(), &mut [0]);
    let is_mapped = end.is_ok() && process.is_some_and(|process| sys::map_all_ids(process).is_ok());
    Some(if is_mapped { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
