//! Runs test programs side by side, each within its time, and sees what they do.
//!
//! A program's standard output is full when it starts, so that it waits at its first write: as long as it does, the
//! kernel shows which file it executes and as whom. Nothing here knows what a program should do.

use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, openat, readlinkat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::protocol::{ProbeExit, ProbeResult, SetUserId};
use super::sandbox::Program;
use crate::sys::errno;

/// What each program is told that its name is: as many characters as it writes, and not those of any path.
pub(super) const NAME: &str = "argv0 ok";

/// Of standard output, in bytes: more than a program writes.
const MOST_WRITTEN: usize = 64;

/// Of standard error, in bytes.
const MOST_SAID: usize = 400;

/// How often a program is looked at that has died, or closed its outputs, without the other. In milliseconds.
const LOOK: u128 = 20;

/// A program's first bytes are soon there once it is read from.
const SETTLE: Duration = Duration::from_millis(1);

/// How programs are run.
pub(super) struct Runner<'a> {
    /// The folder of processes, seen from here or not.
    pub(super) processes: &'a File,
    pub(super) limit: Duration,
    pub(super) abreast: usize,
    /// Whoever wanted to know: if nobody does any more, all are ended.
    pub(super) asker: &'a dyn AsFd,
    /// With which status a program ends that finds nothing wrong.
    pub(super) good: i32,
}

/// A program that runs.
struct Running<'p> {
    index: usize,
    program: &'p Program,
    child: Child,
    started: Instant,
    out: Option<PipeReader>,
    err: Option<ChildStderr>,
    /// Of what standard output was filled with.
    unread: usize,
    said: Vec<u8>,
    ran: ProbeResult,
    is_alone: bool,
}

impl Runner<'_> {
    /// Runs each, and hands over what it did as soon as that is known.
    pub(super) fn all(&self, programs: &[Program], mut done: impl FnMut(usize, ProbeResult)) {
        let mut waiting = programs.iter().enumerate();
        let mut running: Vec<Running<'_>> = Vec::new();
        loop {
            while running.len() < self.abreast {
                let Some((index, program)) = waiting.next() else { break };
                match self.start(index, program, false) {
                    Ok(started) => running.push(started),
                    Err(errno) => done(index, refused(errno)),
                }
            }
            if running.is_empty() {
                return;
            }
            if !self.wait(&mut running) {
                for one in &mut running {
                    one.end();
                }
                return;
            }
            let mut going_on = Vec::new();
            for mut one in running {
                let Some(end) = self.ended(&mut one) else {
                    going_on.push(one);
                    continue;
                };
                if one.is_alone {
                    one.ran.alone = Some(end);
                } else {
                    one.ran.end = end;
                    if is_unclear(end, self.good) {
                        match self.start(one.index, one.program, true) {
                            Ok(alone) => {
                                going_on.push(Running { ran: one.ran, ..alone });
                                continue;
                            }
                            Err(errno) => one.ran.alone = Some(ProbeExit::Refused(errno)),
                        }
                    }
                }
                done(one.index, one.ran);
            }
            running = going_on;
        }
    }

    /// Starts a program, `alone` or as one that starts itself once more.
    fn start<'p>(&self, index: usize, program: &'p Program, alone: bool) -> Result<Running<'p>, Errno> {
        let (out, unread, writer) = full_pipe()?;
        let mut command = Command::new(&program.path);
        command.arg0(NAME).args((!alone).then_some(&program.path)).env_clear();
        // The runner's own is empty, and in the new root there is no /dev/null to open.
        command.stdin(Stdio::inherit()).stdout(writer).stderr(Stdio::piped()).process_group(0);
        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| errno(&error))?;
        let err = child.stderr.take();
        let mut ran = refused(Errno::UnknownErrno);
        (ran.emulator, ran.is_of_root) = (self.emulator_of(&child), self.is_of_root(&child));
        ran.set_user_id = match &program.owner {
            None => SetUserId::NotAsked,
            Some(Err(why)) => SetUserId::NotChecked(why.clone()),
            Some(Ok(owner)) => match self.user_of(&child) {
                Some(user) if user == *owner => SetUserId::Honoured,
                Some(_) => SetUserId::Ignored,
                None => SetUserId::NotChecked("/proc does not show whose process it is".into()),
            },
        };
        let out = Some(out);
        Ok(Running { index, program, child, started, out, err, unread, said: Vec::new(), ran, is_alone: alone })
    }

    /// The file that a process executes.
    fn emulator_of(&self, child: &Child) -> Option<String> {
        let path = readlinkat(self.processes, format!("{}/exe", child.id()).as_str()).ok()?;
        Some(path.to_string_lossy().into_owned())
    }

    /// Whether the owner of that file is root here: root of the namespace above has another number here, or none.
    fn is_of_root(&self, child: &Child) -> bool {
        let path = format!("{}/exe", child.id());
        fstatat(self.processes, path.as_str(), AtFlags::empty()).is_ok_and(|file| file.st_uid == 0)
    }

    /// The effective user.
    fn user_of(&self, child: &Child) -> Option<u32> {
        let path = format!("{}/status", child.id());
        let file = openat(self.processes, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let mut status = Vec::new();
        File::from(file).read_to_end(&mut status).ok()?;
        let status = String::from_utf8_lossy(&status);
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        users.split_whitespace().nth(1)?.parse().ok()
    }

    /// Waits until there is something to read or look at, and reads. Returns whether anybody still wants to know.
    fn wait(&self, running: &mut [Running<'_>]) -> bool {
        let mut files = vec![PollFd::new(self.asker.as_fd(), PollFlags::empty())];
        for one in running.iter() {
            files.extend(one.out.as_ref().map(|out| PollFd::new(out.as_fd(), PollFlags::POLLIN)));
            files.extend(one.err.as_ref().map(|err| PollFd::new(err.as_fd(), PollFlags::POLLIN)));
        }
        let is_closed = |one: &Running<'_>| one.out.is_none() && one.err.is_none();
        let until = |one: &Running<'_>| {
            if is_closed(one) { SETTLE } else { self.limit.saturating_sub(one.started.elapsed()) }
        };
        let shortest = running.iter().map(until).min().unwrap_or_default().as_millis() + 1;
        let timeout = PollTimeout::try_from(shortest.min(LOOK)).unwrap_or(PollTimeout::ZERO);
        // Interrupted or not, what is there is read and looked at.
        let polled = poll(&mut files, timeout).is_ok();
        let is_ready = |file: &PollFd<'_>| polled && file.any().unwrap_or(true);
        let mut ready = files.iter().map(is_ready).collect::<Vec<_>>().into_iter();
        if ready.next() == Some(true) {
            return false;
        }
        for one in running {
            if one.out.is_some() && ready.next() == Some(true) {
                one.read_out();
            }
            if one.err.is_some() && ready.next() == Some(true) {
                one.read_err();
            }
        }
        true
    }

    /// How a program has ended, if it has. One whose time is up is ended.
    fn ended(&self, one: &mut Running<'_>) -> Option<ProbeExit> {
        let pid = Pid::from_raw(one.child.id().try_into().ok()?);
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let is_alive = waitid(Id::Pid(pid), look) == Ok(WaitStatus::StillAlive);
        let is_late = one.started.elapsed() >= self.limit;
        if is_alive && !is_late {
            return None;
        }
        let exit = |status: ExitStatus| {
            status.signal().map_or(ProbeExit::Exited(status.code().unwrap_or_default()), ProbeExit::Killed)
        };
        Some(one.end().filter(|_| !is_alive).map_or(ProbeExit::TimedOut, exit))
    }
}

impl Running<'_> {
    /// Ends the program and all that it has started, and reads what they have left.
    fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(pid) = self.child.id().try_into() {
            // Its group is there as long as it is not waited for.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let status = self.child.wait().ok();
        while has_something(self.out.as_ref()) {
            self.read_out();
        }
        while has_something(self.err.as_ref()) && self.said.len() < MOST_SAID {
            self.read_err();
        }
        let said = String::from_utf8_lossy(&self.said);
        if self.ran.said.is_empty() {
            self.ran.said = said.lines().next().unwrap_or_default().trim().into();
        }
        status
    }

    fn read_out(&mut self) {
        let mut bytes = [0; 4096];
        match self.out.as_mut().map(|out| out.read(&mut bytes)) {
            Some(Ok(length)) if length > 0 => {
                let filler = length.min(self.unread);
                self.unread -= filler;
                let room = MOST_WRITTEN.saturating_sub(self.ran.written.len());
                if !self.is_alone {
                    self.ran.written.extend(bytes[filler..length].iter().take(room));
                }
            }
            _ => self.out = None,
        }
    }

    fn read_err(&mut self) {
        let mut bytes = [0; MOST_SAID];
        match self.err.as_mut().map(|err| err.read(&mut bytes)) {
            Some(Ok(length)) if length > 0 => {
                let room = MOST_SAID - self.said.len();
                self.said.extend(bytes[..length].iter().take(room));
            }
            _ => self.err = None,
        }
    }
}

/// Whether it takes a second look to tell who was at fault.
fn is_unclear(end: ProbeExit, good: i32) -> bool {
    match end {
        ProbeExit::Exited(status) => status != good,
        ProbeExit::Killed(_) => true,
        ProbeExit::Refused(_) | ProbeExit::TimedOut => false,
    }
}

fn refused(errno: Errno) -> ProbeResult {
    let (written, said) = Default::default();
    let set_user_id = SetUserId::NotAsked;
    ProbeResult {
        end: ProbeExit::Refused(errno),
        alone: None,
        written,
        set_user_id,
        emulator: None,
        is_of_root: false,
        said,
    }
}

fn has_something(file: Option<&impl AsFd>) -> bool {
    let Some(file) = file else { return false };
    let mut files = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    poll(&mut files, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// A pipe that takes nothing more until it is read from, and how much it holds.
fn full_pipe() -> Result<(PipeReader, usize, io::PipeWriter), Errno> {
    let full = || -> io::Result<_> {
        let (reader, mut writer) = io::pipe()?;
        // The kernel makes a page of it.
        let size = usize::try_from(fcntl(&writer, FcntlArg::F_SETPIPE_SZ(1))?).unwrap_or_default();
        writer.write_all(&vec![0; size])?;
        Ok((reader, size, writer))
    };
    full().map_err(|error| errno(&error))
}
