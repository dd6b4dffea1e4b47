//! Staying after registering: what others remove or switch off is put back, until a signal comes.
//!
//! Nothing tells of a change in `binfmt_misc`, so it is looked at, seldom and without the lock.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::cli::{Asked, Detail};
use crate::kernel::{self, Error, Mount};
use crate::native;
use crate::plan::Found;
use crate::table::Handler;
use crate::told::Told;

/// How long a handler may be missing, in milliseconds: a wake-up costs some hundred system calls.
const PERIOD: u16 = 5_000;

/// Registers, and goes on doing so where something is gone, until SIGTERM, SIGINT or SIGHUP. `handlers` are those that
/// are asked for. It is an error if nothing could be tried.
pub(crate) fn stay(
    asked: &Asked,
    handlers: &[&'static Handler],
    register: impl Fn() -> Result<Told, Error>,
) -> Result<Told, Error> {
    // First, so that none is lost. As PID 1 of a container this process gets only those that it waits for.
    let signals = Signals::new().map_err(|errno| Error::Signals { errno })?;
    let told = register()?;
    if told.is_failure() {
        return Ok(told);
    }
    told.print();
    let ended = watch(asked, handlers, &signals, register);
    Ok(ended.map_or_else(|error| Told::failure(&error.to_string()), |()| Told::success(String::new())))
}

/// Looks until a signal comes.
fn watch(
    asked: &Asked,
    handlers: &[&'static Handler],
    signals: &Signals,
    register: impl Fn() -> Result<Told, Error>,
) -> Result<(), Error> {
    // Not those in the folder now: what somebody has removed since they were registered would not be missed.
    let kept = native::needed(handlers.iter().copied());
    // What was done at the last look, if anything.
    let mut last: Option<Told> = None;
    while !signals.come_within(PERIOD).map_err(|errno| Error::Signals { errno })? {
        let told = match is_whole(asked, &kept) {
            Ok(true) => None,
            Ok(false) => Some(register()),
            Err(error) => Some(Err(error)),
        };
        let told = told.map(|told| told.unwrap_or_else(|error| Told::failure(&error.to_string())));
        match &told {
            // Somebody else has put it right.
            None if last.as_ref().is_some_and(Told::is_failure) && asked.detail != Detail::Quiet => {
                Told::success("all is in place again\n".into()).print();
            }
            // Once, not at every look.
            Some(told) if last.as_ref() != Some(told) => {
                told.clone().print();
            }
            _ => {}
        }
        last = told;
    }
    Ok(())
}

/// Whether no entry is gone or switched off, nor the whole folder.
fn is_whole(asked: &Asked, kept: &[&Handler]) -> Result<bool, Error> {
    let folder = match kernel::find(asked.mount.as_deref(), Mount::never_in_scope(asked.in_user_namespace)) {
        Ok(folder) => folder,
        Err(Error::NotMounted { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let entries = folder.entries()?;
    let is_well = |handler: &&Handler| {
        let found = Found::new(handler, &entries);
        // What others serve, `register` leaves alone.
        found.ours().is_some_and(|(_, entry)| entry.enabled)
            || asked.wanted.keep && found.server().is_some_and(|server| server.is_of_all)
    };
    Ok(folder.is_switched_on()? && kept.iter().all(is_well))
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
