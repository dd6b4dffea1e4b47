//! `--stay`: restores entries that other tools remove or disable, until a signal comes.
//!
//! `binfmt_misc` sends no notifications, so it is polled, without the lock.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::error::Error;
use crate::binfmt_misc::{self, BinfmtMount, MountPolicy};
use crate::native;
use crate::output::Output;
use crate::plan::Observed;
use crate::request::{CommonArgs, Verbosity};
use crate::sys::{self, errno_text};
use crate::table::Handler;

/// Milliseconds between polls. One costs some hundred system calls.
const PERIOD: u16 = 5_000;

/// Calls `register` for all handlers, then for missing ones, until SIGTERM, SIGINT or SIGHUP.
pub(crate) fn stay(
    args: &CommonArgs,
    handlers: &[&'static Handler],
    register: impl Fn(&[&'static Handler]) -> Result<Output, Error>,
) -> Result<Output, Error> {
    // First, so that no signal is lost. PID 1 of a container gets only signals that it handles.
    let signals = block_signals().map_err(waiting)?;
    let output = register(handlers)?;
    if output.is_failure() {
        return Ok(output);
    }
    output.print();
    let ended = watch(args, handlers, &signals, register);
    Ok(ended.map_or_else(Output::from, |()| Output::success(String::new())))
}

fn watch(
    args: &CommonArgs,
    handlers: &[&'static Handler],
    signals: &SignalFd,
    register: impl Fn(&[&'static Handler]) -> Result<Output, Error>,
) -> Result<(), Error> {
    // Not the entries there now: some may have been removed since `register`.
    let kept = native::foreign_handlers(handlers.iter().copied());
    let mut known = None;
    let mut last: Option<Output> = None;
    while !is_signalled(signals).map_err(waiting)? {
        let output = match missing(args, &kept, &mut known) {
            Ok(missing) if missing.is_empty() => None,
            Ok(missing) => Some(register(&missing)),
            Err(error) => Some(Err(error)),
        };
        let output = output.map(|output| output.unwrap_or_else(Output::from));
        match &output {
            // Restored by another tool.
            None if last.as_ref().is_some_and(Output::is_failure) && args.detail != Verbosity::Quiet => {
                Output::success("all handlers are in place again\n".into()).print();
            }
            // Once, not at every poll.
            Some(output) if last.as_ref() != Some(output) => {
                output.clone().print();
            }
            _ => {}
        }
        last = output;
    }
    Ok(())
}

/// The handlers without an enabled entry; all, if `binfmt_misc` is disabled or not mounted.
fn missing(
    args: &CommonArgs,
    kept: &[&'static Handler],
    known: &mut Option<Instance>,
) -> Result<Vec<&'static Handler>, Error> {
    let folder = match find(args, known) {
        Ok(folder) => folder,
        Err(binfmt_misc::Error::NotMounted { .. }) => return Ok(kept.to_vec()),
        Err(error) => return Err(error.into()),
    };
    if !folder.is_switched_on()? {
        return Ok(kept.to_vec());
    }
    let entries = folder.entries()?;
    let is_in_place = |handler: &&Handler| {
        let found = Observed::new(handler, &entries);
        found.ours().is_some_and(|(_, entry)| entry.enabled)
            || args.desired.keep_foreign && found.server().is_some_and(|server| server.is_of_all)
    };
    Ok(kept.iter().copied().filter(|handler| !is_in_place(handler)).collect())
}

/// Path and device number of the `binfmt_misc` that was found last.
type Instance = (PathBuf, u64);

/// Finds the mount. In a user namespace the check whose it is needs a thread and a mount namespace, so it is made only if
/// the device number has changed.
fn find(args: &CommonArgs, known: &mut Option<Instance>) -> Result<BinfmtMount, binfmt_misc::Error> {
    let number = |path: &Path| fs::metadata(path).ok().map(|folder| folder.dev());
    let is_there = known.as_ref().is_some_and(|(path, last)| number(path) == Some(*last));
    let other = if is_there { MountPolicy::Lookup } else { MountPolicy::never_in_scope(args.in_user_namespace) };
    let folder = binfmt_misc::find(args.mount.as_deref(), other)?;
    *known = number(folder.path()).map(|number| (folder.path().into(), number));
    Ok(folder)
}

/// Blocks the signals that end this process, so that they are queued. Those that it was started to ignore, as nohup(1)
/// does, stay ignored: a signal that is blocked is queued even so.
fn block_signals() -> Result<SignalFd, Errno> {
    let ignored = sys::status_mask("SigIgn:").unwrap_or_default();
    let is_taken = |signal: &Signal| ignored >> (*signal as u32 - 1) & 1 == 0;
    let set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().filter(is_taken).collect();
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)
}

/// Waits for a signal for one [`PERIOD`].
fn is_signalled(signals: &SignalFd) -> Result<bool, Errno> {
    match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::from(PERIOD)) {
        // SIGSTOP and SIGCONT.
        Err(Errno::EINTR) => Ok(false),
        ready => Ok(ready? > 0),
    }
}

fn waiting(errno: Errno) -> Error {
    Error::Text(format!("waiting for signals: {}", errno_text(errno)))
}
