//! Staying after registering: what others remove or switch off is put back, until a signal comes.
//!
//! Nothing tells of a change in `binfmt_misc`, so it is looked at, seldom and without the lock.

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
use crate::table::Handler;

/// How long a handler may be missing, in milliseconds: a wake-up costs some hundred system calls.
const PERIOD: u16 = 5_000;

/// Registers `handlers`, those that are asked for, and goes on doing so with what is gone, until SIGTERM, SIGINT or SIGHUP.
/// It is an error if nothing could be tried.
pub(crate) fn stay(
    args: &CommonArgs,
    handlers: &[&'static Handler],
    register: impl Fn(&[&'static Handler]) -> Result<Output, Error>,
) -> Result<Output, Error> {
    // First, so that none is lost. As PID 1 of a container this process gets only those that it waits for.
    let signals = Signals::new().map_err(|errno| Error::Signals { errno })?;
    let output = register(handlers)?;
    if output.is_failure() {
        return Ok(output);
    }
    output.print();
    let ended = watch(args, handlers, &signals, register);
    Ok(ended.map_or_else(Output::from, |()| Output::success(String::new())))
}

/// Looks until a signal comes.
fn watch(
    args: &CommonArgs,
    handlers: &[&'static Handler],
    signals: &Signals,
    register: impl Fn(&[&'static Handler]) -> Result<Output, Error>,
) -> Result<(), Error> {
    // Not those in the folder now: what somebody has removed since they were registered would not be missed.
    let kept = native::foreign_handlers(handlers.iter().copied());
    let mut known = None;
    // What was done at the last look, if anything.
    let mut last: Option<Output> = None;
    while !signals.come_within(PERIOD).map_err(|errno| Error::Signals { errno })? {
        let output = match missing(args, &kept, &mut known) {
            Ok(missing) if missing.is_empty() => None,
            Ok(missing) => Some(register(&missing)),
            Err(error) => Some(Err(error)),
        };
        let output = output.map(|output| output.unwrap_or_else(Output::from));
        match &output {
            // Somebody else has put it right.
            None if last.as_ref().is_some_and(Output::is_failure) && args.detail != Verbosity::Quiet => {
                Output::success("all is in place again\n".into()).print();
            }
            // Once, not at every look.
            Some(output) if last.as_ref() != Some(output) => {
                output.clone().print();
            }
            _ => {}
        }
        last = output;
    }
    Ok(())
}

/// Those of the handlers whose entry is gone or switched off; all, if the whole folder is.
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
    let is_well = |handler: &&Handler| {
        let found = Observed::new(handler, &entries);
        // What others serve, `register` leaves alone.
        found.ours().is_some_and(|(_, entry)| entry.enabled)
            || args.desired.keep_foreign && found.server().is_some_and(|server| server.is_of_all)
    };
    Ok(kept.iter().copied().filter(|handler| !is_well(handler)).collect())
}

/// An instance of `binfmt_misc` that was found to be the one to look after: where, and the number of its file system.
type Instance = (PathBuf, u64);

/// Finds the folder. Whose it is takes a thread and a mount namespace to tell where this is a user namespace, so that is
/// asked only of another one than the last.
fn find(args: &CommonArgs, known: &mut Option<Instance>) -> Result<BinfmtMount, binfmt_misc::Error> {
    let number = |path: &Path| fs::metadata(path).ok().map(|folder| folder.dev());
    let is_there = known.as_ref().is_some_and(|(path, last)| number(path) == Some(*last));
    let other = if is_there { MountPolicy::Lookup } else { MountPolicy::never_in_scope(args.in_user_namespace) };
    let folder = binfmt_misc::find(args.mount.as_deref(), other)?;
    *known = number(folder.path()).map(|number| (folder.path().into(), number));
    Ok(folder)
}

/// The signals that end this process.
struct Signals(SignalFd);

impl Signals {
    /// From here on they are kept until they are asked for.
    fn new() -> Result<Self, Errno> {
        let set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?))
    }

    /// Whether one has come, or comes within some milliseconds.
    fn come_within(&self, milliseconds: u16) -> Result<bool, Errno> {
        let mut waiting = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::from(milliseconds)) {
            Ok(ready) => Ok(ready > 0),
            // Stopped and continued.
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}
