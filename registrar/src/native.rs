//! What this machine runs itself: its own architecture, known when this program is compiled, and the members of its
//! family, which only a trial tells, since an aarch64 CPU may lack 32-bit ARM and a kernel may lack its support.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::IntoRawFd;
use std::process::{Child, Command};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use crate::kernel::Entries;
use crate::plan;
use crate::table::{Handler, TABLE};

/// QEMU's name of the architecture that this program is compiled for.
pub(crate) const HOST: &str = if cfg!(target_arch = "x86_64") {
    "x86_64"
} else if cfg!(target_arch = "aarch64") {
    "aarch64"
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    "ppc64le"
} else if cfg!(target_arch = "s390x") {
    "s390x"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    panic!("add this architecture here, with its family")
};

/// Its [`Handler::family`]. Not looked up: the table of an image may hold no handler of its own host.
const FAMILY: &str = if cfg!(target_arch = "x86_64") {
    "x86"
} else if cfg!(target_arch = "aarch64") {
    "arm"
} else if cfg!(target_arch = "powerpc64") {
    "ppcle"
} else if cfg!(target_arch = "s390x") {
    "s390x"
} else {
    "riscv"
};

/// Whether programs of a family member need a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They do not run by themselves, or a handler of ours says that they did not.
    Needed,
    /// They run natively.
    Native,
    /// Somebody else's entry of this name serves them, so that a trial would tell nothing of the machine.
    Served(String),
    /// The trial failed in another way.
    Unknown(String),
}

/// One trial of each target that needs one, started together and awaited when the rest of the work is done.
#[derive(Default)]
pub(crate) struct Trials {
    of: Vec<(&'static str, State)>,
}

enum State {
    Running(Child),
    Done(Verdict),
}

/// Whether only a trial can tell if `handler` is needed.
pub(crate) fn is_relative(handler: &Handler) -> bool {
    handler.family == FAMILY && handler.target != HOST
}

impl Trials {
    /// Starts the trials of those of `handlers` that need one.
    pub(crate) fn start(handlers: impl Iterator<Item = &'static Handler>, entries: &Entries) -> Self {
        let mut trials = Self::default();
        for handler in handlers {
            if is_relative(handler) && !trials.of.iter().any(|(target, _)| *target == handler.target) {
                trials.of.push((handler.target, begin(handler, entries)));
            }
        }
        trials
    }

    /// Waits for the trial of a target.
    pub(crate) fn verdict(&mut self, handler: &Handler) -> Verdict {
        let Some((_, state)) = self.of.iter_mut().find(|(target, _)| *target == handler.target) else {
            return Verdict::Needed;
        };
        let verdict = match state {
            State::Running(child) => judge(child),
            State::Done(verdict) => return verdict.clone(),
        };
        *state = State::Done(verdict.clone());
        verdict
    }
}

fn begin(handler: &Handler, entries: &Entries) -> State {
    if TABLE.handlers_of(handler.target).any(|twin| plan::in_place(twin, entries)) {
        return State::Done(Verdict::Needed);
    }
    if let Some((name, _)) = entries.iter().find(|(_, entry)| entry.serves(handler.probe)) {
        return State::Done(Verdict::Served(name.into()));
    }
    match spawn(handler.probe) {
        Ok(child) => State::Running(child),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOEXEC) => State::Done(Verdict::Needed),
        Err(error) => State::Done(Verdict::Unknown(error.to_string().to_lowercase())),
    }
}

/// Starts a program that is a file in memory only: neither a folder nor a mount option is in its way.
fn spawn(program: &[u8]) -> io::Result<Child> {
    // A machine that wants memory not to be executable (vm.memfd_noexec) must be told; Linux before 6.3 must not.
    let memory = match memfd_create(c"probe", MemfdFlags::CLOEXEC | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(c"probe", MemfdFlags::CLOEXEC),
        other => other,
    }?;
    let mut memory = File::from(memory);
    memory.write_all(program)?;
    // The kernel does not count a memfd as open for writing, so this exec is not refused with ETXTBSY.
    // It stays open; closing it would be a system call that the end of this process saves.
    Command::new(format!("/proc/self/fd/{}", memory.into_raw_fd())).spawn()
}

fn judge(child: &mut Child) -> Verdict {
    match child.wait() {
        Ok(status) if status.code() == Some(i32::from(TABLE.probe_status)) => Verdict::Native,
        Ok(status) => Verdict::Unknown(format!("its test program ended with {status}")),
        Err(error) => Verdict::Unknown(error.to_string()),
    }
}
