//! Staying after registering: what others remove or switch off is put back, until a signal comes.
//!
//! Nothing tells of a change in `binfmt_misc`, so it is looked at, seldom and without the lock.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::cli::Asked;
use crate::kernel::{self, Error, Mount};
use crate::plan;
use crate::table::{Handler, TABLE};
use crate::told::Told;

/// How long a handler may be missing, in milliseconds: a wake-up costs some hundred system calls.
const PERIOD: u16 = 5_000;

/// Registers, and goes on doing so where something is gone, until SIGTERM, SIGINT or SIGHUP.
pub(crate) fn stay(asked: &Asked, register: impl Fn() -> Result<Told, Error>) -> Result<Told, Error> {
    // First, so that none is lost. As PID 1 of a container this process gets only those that it waits for.
    let signals = Signals::new().map_err(|errno| Error::Signals { errno })?;
    let told = register()?;
    if told.is_failure() {
        return Ok(told);
    }
    let kept = in_place(asked)?;
    told.print();
    let mut last_error = String::new();
    while !signals.come_within(PERIOD).map_err(|errno| Error::Signals { errno })? {
        let error = match heal(asked, &kept, &register) {
            Ok(told) => {
                told.print();
                String::new()
            }
            Err(error) => error.to_string(),
        };
        // Once, not at every look.
        if !error.is_empty() && error != last_error {
            Told::failure(&error).print();
        }
        last_error = error;
    }
    Ok(Told::success(String::new()))
}

/// The handlers that have an entry of ours.
fn in_place(asked: &Asked) -> Result<Vec<&'static Handler>, Error> {
    let entries = kernel::find(asked.mount.as_deref(), Mount::Never)?.entries()?;
    Ok(TABLE.handlers.iter().filter(|handler| plan::ours(handler, &entries).is_some()).collect())
}

/// Registers again if an entry is gone or switched off, or the whole folder.
fn heal(asked: &Asked, kept: &[&Handler], register: impl Fn() -> Result<Told, Error>) -> Result<Told, Error> {
    let is_whole = match kernel::find(asked.mount.as_deref(), Mount::Never) {
        Ok(folder) => {
            let entries = folder.entries()?;
            kept.iter().all(|handler| plan::ours(handler, &entries).is_some_and(|(_, entry)| entry.enabled))
        }
        Err(Error::NotMounted { .. }) => false,
        Err(error) => return Err(error),
    };
    if is_whole { Ok(Told::success(String::new())) } else { register() }
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
