//! Runs test programs side by side, each within its time, and sees what they do.
//!
//! A program's standard output is full when it starts, so that it waits at its first write: as long as it does, the
//! kernel shows which file it executes and as whom. Nothing here knows what a program should do.

use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, fcntl, readlinkat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::fstatat;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use rustix::fs::OFlags;

use super::protocol::{GOOD, ProbeExit, ProbeResult, SetUserId};
use super::sandbox::Program;
use crate::sys::{self, errno};

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
}

/// A program that runs.
struct Running<'p> {
    index: usize,
    program: &'p Program,
    child: Child,
    started: Instant,
    /// Standard output and standard error.
    outputs: [Capture; 2],
    ran: ProbeResult,
    is_alone: bool,
}

/// The beginning of what a program writes to one of its outputs.
struct Capture {
    /// `None` once the program has closed it.
    pipe: Option<PipeReader>,
    /// Of what it was filled with.
    unread: usize,
    most: usize,
    bytes: Vec<u8>,
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
                    Err(errno) => {
                        done(index, ProbeResult { end: ProbeExit::Refused(errno), ..ProbeResult::default() });
                    }
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
                    // It takes a second look to tell who was at fault.
                    if matches!(end, ProbeExit::Exited(_) | ProbeExit::Killed(_)) && end != GOOD {
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
        let failed = |error: io::Error| errno(&error);
        let (out, writer) = full_pipe().map_err(failed)?;
        let (err, err_writer) = io::pipe().map_err(failed)?;
        let err = Capture { pipe: Some(err), unread: 0, most: MOST_SAID, bytes: Vec::new() };
        let mut command = Command::new(&program.path);
        command.arg0(NAME).args((!alone).then_some(&program.path)).env_clear();
        // The runner's own is empty, and in the new root there is no /dev/null to open.
        command.stdin(Stdio::inherit()).stdout(writer).stderr(err_writer).process_group(0);
        let started = Instant::now();
        let child = command.spawn().map_err(failed)?;
        let (emulator, is_of_root) = (self.emulator_of(&child), self.is_of_root(&child));
        let set_user_id = match &program.owner {
            None => SetUserId::AsAsked,
            Some(Err(why)) => SetUserId::NotChecked(why.clone()),
            Some(Ok(owner)) => match self.user_of(&child) {
                Some(user) if user == *owner => SetUserId::AsAsked,
                Some(_) => SetUserId::Ignored,
                None => SetUserId::NotChecked("/proc does not show whose process it is".into()),
            },
        };
        let ran = ProbeResult { emulator, is_of_root, set_user_id, ..ProbeResult::default() };
        Ok(Running { index, program, child, started, outputs: [out, err], ran, is_alone: alone })
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
        let mut status = Vec::new();
        let mut file = sys::open(self.processes, format!("{}/status", child.id()), OFlags::RDONLY).ok()?;
        file.read_to_end(&mut status).ok()?;
        let status = String::from_utf8_lossy(&status);
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        users.split_whitespace().nth(1)?.parse().ok()
    }

    /// Waits until there is something to read or look at, and reads. Returns whether anybody still wants to know.
    fn wait(&self, running: &mut [Running<'_>]) -> bool {
        let mut files = vec![PollFd::new(self.asker.as_fd(), PollFlags::empty())];
        let open = running.iter().flat_map(|one| &one.outputs).filter_map(|output| output.pipe.as_ref());
        files.extend(open.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        let is_closed = |one: &Running<'_>| one.outputs.iter().all(|output| output.pipe.is_none());
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
        let open = running.iter_mut().flat_map(|one| &mut one.outputs).filter(|output| output.pipe.is_some());
        open.zip(ready).filter(|(_, is_ready)| *is_ready).for_each(|(output, _)| output.read());
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
        let [out, err] = &mut self.outputs;
        out.read_rest();
        err.read_rest();
        if !self.is_alone {
            self.ran.written = std::mem::take(&mut out.bytes);
        }
        if self.ran.stderr_line.is_empty() {
            let text = String::from_utf8_lossy(&err.bytes);
            self.ran.stderr_line = text.lines().next().unwrap_or_default().trim().into();
        }
        status
    }
}

impl Capture {
    fn read(&mut self) {
        let mut bytes = [0; 4096];
        match self.pipe.as_mut().map(|pipe| pipe.read(&mut bytes)) {
            Some(Ok(length)) if length > 0 => {
                let filler = length.min(self.unread);
                self.unread -= filler;
                let room = self.most - self.bytes.len();
                self.bytes.extend(bytes[filler..length].iter().take(room));
            }
            _ => self.pipe = None,
        }
    }

    /// Reads what is there already.
    fn read_rest(&mut self) {
        let is_ready = |pipe: &PipeReader| {
            poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        };
        while self.bytes.len() < self.most && self.pipe.as_ref().is_some_and(is_ready) {
            self.read();
        }
    }
}

/// A pipe that takes nothing more until it is read from.
fn full_pipe() -> io::Result<(Capture, io::PipeWriter)> {
    let (reader, mut writer) = io::pipe()?;
    // The kernel makes a page of it.
    let size = usize::try_from(fcntl(&writer, FcntlArg::F_SETPIPE_SZ(1))?).unwrap_or_default();
    writer.write_all(&vec![0; size])?;
    Ok((Capture { pipe: Some(reader), unread: size, most: MOST_WRITTEN, bytes: Vec::new() }, writer))
}
