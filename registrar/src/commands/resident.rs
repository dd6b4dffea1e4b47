//! `--stay`: restores entries that other tools remove, disable or shadow, until a signal comes.
//!
//! `binfmt_misc` sends no notifications, so it is polled, without the lock.

use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::error::Error;
use super::others::{in_order_of_asking, left_to_others};
use crate::binfmt_misc::{self, BinfmtMount, MountPolicy};
use crate::native;
use crate::output::Output;
use crate::plan::{LeftToOthers, Observed};
use crate::request::{CommonArgs, Verbosity};
use crate::sys::{self, errno_text};
use crate::table::Handler;

/// Milliseconds between polls. One costs some hundred system calls.
const PERIOD: u16 = 5_000;

/// Registers some handlers.
type Register<'a> = &'a dyn Fn(&[&'static Handler]) -> Result<Output, Error>;

/// Calls `register` for all handlers, then for those that are missing or shadowed, until SIGTERM, SIGINT or SIGHUP.
pub(crate) fn stay(args: &CommonArgs, handlers: &[&'static Handler], register: Register<'_>) -> Result<Output, Error> {
    // First, so that no signal is lost. PID 1 of a container gets only signals that it handles.
    let signals = block_signals().map_err(waiting)?;
    let output = register(handlers)?;
    if output.is_failure() {
        return Ok(output);
    }
    output.print();
    // Not the entries there now: some may have been removed since `register`.
    let handlers = native::foreign_handlers(handlers.iter().copied());
    let (outdone, tried) = (Vec::new(), Default::default());
    let watched = Watched { args, handlers, register, instance: None, outdone, tried };
    let ended = watched.watch(&signals).map_err(waiting);
    Ok(ended.map_or_else(Output::from, |()| Output::success(String::new())))
}

/// An entry of another tool: its name, and its inode, which tells it from a later one of that name.
type Newcomer = (OsString, Option<u64>);

/// What is looked after, and what was seen of it.
struct Watched<'a> {
    args: &'a CommonArgs,
    handlers: Vec<&'static Handler>,
    register: Register<'a>,
    instance: Option<Instance>,
    /// Entries that served before ours, each dealt with once.
    outdone: Vec<Newcomer>,
    /// Entries that others' programs may be left to, and what came of trying them.
    tried: (Vec<Newcomer>, LeftToOthers),
}

impl Watched<'_> {
    fn watch(mut self, signals: &SignalFd) -> Result<(), Errno> {
        let mut last: Option<Output> = None;
        while !is_signalled(signals)? {
            let output = self.look().unwrap_or_else(|error| Some(error.into()));
            match &output {
                // Restored by another tool.
                None if last.as_ref().is_some_and(Output::is_failure) && self.args.detail != Verbosity::Quiet => {
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

    /// Registers what is missing, and what is behind a newcomer. `None`: all is in place.
    fn look(&mut self) -> Result<Option<Output>, Error> {
        let register = self.register;
        let mount = match find(self.args, &mut self.instance) {
            Err(binfmt_misc::Error::NotMounted { .. }) => return register(&self.handlers).map(Some),
            mount => mount?,
        };
        if !mount.is_switched_on()? {
            return register(&self.handlers).map(Some);
        }
        let entries = in_order_of_asking(&self.handlers, mount.entries()?);
        let newcomer = |handler: &Handler| {
            let name = Observed::new(handler, &entries).server()?.name;
            Some((name.to_owned(), fs::metadata(mount.path().join(name)).ok().map(|entry| entry.ino())))
        };
        let newcomers: Vec<_> = self.handlers.iter().filter_map(|handler| newcomer(handler)).collect();
        if newcomers != self.tried.0 {
            self.tried = (newcomers, left_to_others(self.args, &self.handlers, &entries, false));
        }
        let (mut missing, mut outdone, mut stuck) = (Vec::new(), Vec::new(), None);
        for &handler in self.handlers.iter().filter(|handler| !self.tried.1.keeps(handler)) {
            let is_there = Observed::new(handler, &entries).ours().is_some_and(|(_, entry)| entry.enabled);
            match newcomer(handler) {
                Some(seen) if is_there && self.outdone.contains(&seen) => stuck = stuck.or(Some((handler, seen.0))),
                Some(seen) => {
                    missing.push(handler);
                    outdone.push(seen);
                }
                None if is_there => {}
                None => missing.push(handler),
            }
        }
        if !missing.is_empty() {
            let output = register(&missing)?;
            // What failed is tried again.
            self.outdone.extend(outdone.into_iter().filter(|_| !output.is_failure()));
            return Ok(Some(output));
        }
        Ok(stuck.map(|(handler, name)| {
            let (ours, name, at) = (handler.name, name.display(), mount.path().display());
            Output::failure(&format!("{ours} is shadowed by {name} again; to remove that: echo -1 > {at}/{name}"))
        }))
    }
}

/// Path and device number of the `binfmt_misc` that was found last.
type Instance = (PathBuf, u64);

/// Finds the mount. In a user namespace the check whose it is needs a process and a mount namespace, so it is made only if
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
