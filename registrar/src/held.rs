//! Which file the kernel holds for an entry with flag `F`. The entry's text names the path that was opened, and what is
//! there now may be another file: after an upgrade, or in another container.
//!
//! The kernel shows it only by running it: a foreign program is started, and its `/proc/PID/exe` is looked at before the
//! emulator has done anything. It is kept from doing so by being asked for its version with nobody to read it, so that
//! it waits until it is killed.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::elf;
use crate::sys;
use crate::table::Handler;

/// QEMU's option `-version`, as it reads it from the environment.
const ASK_VERSION: &str = "QEMU_VERSION";

/// An emulator that does not wait may be gone before it is looked at.
const ATTEMPTS: usize = 5;

/// A pipe that nobody reads.
pub(crate) struct BlockedPipe {
    writer: PipeWriter,
    /// As long as it lives, writing waits.
    _reader: io::PipeReader,
}

impl BlockedPipe {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, mut writer) = io::pipe()?;
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        loop {
            match writer.write(&[0; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty()))?;
        Ok(Self { writer, _reader: reader })
    }

    /// Whether the kernel runs programs of `handler` by the file that is at `path` now. No answer is none to rely on.
    pub(crate) fn is_held(&self, handler: &Handler, path: &str) -> bool {
        let held = (0..ATTEMPTS).find_map(|_| self.held(handler).ok());
        held.is_some_and(|held| File::open(path).and_then(|file| is_same(held, file)).unwrap_or(false))
    }

    /// The file that runs programs of `handler`.
    fn held(&self, handler: &Handler) -> io::Result<File> {
        let program = sys::program(&handler.header())?;
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        command.env_clear().env(ASK_VERSION, "1");
        command.stdin(Stdio::null()).stdout(self.writer.try_clone()?).stderr(Stdio::null()).process_group(0);
        let running = Running(command.spawn()?);
        File::open(format!("/proc/{}/exe", running.0.id()))
    }
}

/// A process that leads its process group, which is killed at the end: an emulator may have started others.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Until it is waited for, its number is nobody else's, also if it has ended by itself.
        let group = i32::try_from(self.0.id()).map(Pid::from_raw);
        let _ = group.map(|group| killpg(group, Signal::SIGKILL));
        let _ = self.0.wait();
    }
}

/// Whether two files are one, or of the same content: each container sees an image's file as one of its own.
fn is_same(one: File, other: File) -> io::Result<bool> {
    let (first, second) = (one.metadata()?, other.metadata()?);
    if (first.dev(), first.ino()) == (second.dev(), second.ino()) {
        return Ok(true);
    }
    if first.len() != second.len() {
        return Ok(false);
    }
    let build = |file| elf::facts(file).ok().and_then(|facts| facts.build_id);
    match (build(&one), build(&other)) {
        (Some(one), Some(other)) => Ok(one == other),
        (None, None) => Ok(have_same_bytes(one, other)),
        _ => Ok(false),
    }
}

fn have_same_bytes(one: File, other: File) -> bool {
    let bytes = |file| BufReader::new(file).bytes().map(Result::ok);
    bytes(one).eq(bytes(other))
}
