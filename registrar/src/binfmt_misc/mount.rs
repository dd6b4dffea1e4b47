//! The folder: lists and reads entries, adds and removes them, and is unmounted again.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use rustix::fs::{CWD, OFlags, RawDir};

use super::{Entries, Entry, Error, UserNamespace, userns};
use crate::sys::{self, errno};
use crate::table::Handler;

/// Longer than most entries' text: a rule has at most 1920 bytes, and its magic and mask are shown as hexadecimal digits.
/// Those of type `B` (Linux 7.3) may be longer.
const LONGEST_ENTRY: usize = 4096;

/// Of the folder's list, in bytes: about 200 entries with names like ours.
const LISTED_AT_ONCE: usize = 8192;

/// The kernel's own mount point.
pub(crate) const DEFAULT_MOUNT: &str = "/proc/sys/fs/binfmt_misc";

/// Its name.
pub(super) const FILE_SYSTEM: &str = "binfmt_misc";
/// As systemd mounts it.
pub(super) const MOUNT_FLAGS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// A mounted `binfmt_misc`.
pub(crate) struct BinfmtMount {
    path: PathBuf,
    /// If this run mounted it.
    pub(super) mounted: Option<Mounted>,
    /// The kernel has said that it is this user namespace's own instance.
    is_own: bool,
}

/// What showed when this run mounted it.
pub(super) struct Mounted {
    pub(super) entries: Entries,
    /// When that was, at the earliest.
    pub(super) before: Option<TimeSpec>,
    /// With the last mount the entries go.
    pub(super) needs_a_mount: bool,
}

/// Before all that file systems stamp from now on: they use the coarse clock, or since Linux 6.13 up to a tick later.
pub(super) fn before_all() -> Option<TimeSpec> {
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).ok()
}

/// The `register` file, if it could be opened; open, it holds the lock of all runs.
pub(crate) struct RegisterFile(pub(super) Result<File, Error>);

impl BinfmtMount {
    /// One that was mounted before.
    pub(super) fn found(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mounted: None, is_own: false }
    }

    /// One that was mounted before, of this user namespace.
    pub(super) fn own(path: impl Into<PathBuf>) -> Self {
        Self { is_own: true, ..Self::found(path) }
    }

    /// One that this run has just mounted.
    pub(super) fn mounted(path: impl Into<PathBuf>, before: Option<TimeSpec>, needs_a_mount: bool) -> Self {
        let folder = Self::own(path);
        // What cannot be listed now is not listed in the end either, and the mount stays.
        let entries = folder.entries().unwrap_or_default();
        Self { mounted: Some(Mounted { entries, before, needs_a_mount }), ..folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the instance of this process's user namespace, so that it serves that one's programs alone; nothing
    /// if that cannot be told. Only of interest where the namespace is not the first.
    pub(crate) fn is_own(&self) -> Option<bool> {
        if self.is_own { Some(true) } else { userns::is_own(&self.path) }
    }

    /// The user namespace whose programs alone it serves, if that is certain.
    pub(crate) fn namespace(&self) -> Option<UserNamespace> {
        UserNamespace::current().filter(|_| self.is_own() == Some(true))
    }

    /// Whether the kernel uses any entry at all: its `status` switches all of them.
    pub(crate) fn is_switched_on(&self) -> Result<bool, Error> {
        let path = self.path.join("status");
        let is_on = |file: File| Ok(*read(&file, &mut [0; LONGEST_ENTRY])? != *b"disabled\n");
        sys::open(CWD, &path, OFlags::RDONLY).and_then(is_on).map_err(|errno| Error::Read { path, errno })
    }

    /// Reads all entries, in the order in which the kernel asks them: the folder lists the newest first.
    pub(crate) fn entries(&self) -> Result<Entries, Error> {
        let unlisted = |errno: rustix::io::Errno| Error::Read { path: self.path.clone(), errno: sys::of_rustix(errno) };
        let folder = sys::open(CWD, &self.path, OFlags::DIRECTORY)
            .map_err(|errno| Error::Read { path: self.path.clone(), errno })?;
        let mut entries = Vec::new();
        let mut listed = [MaybeUninit::uninit(); LISTED_AT_ONCE];
        let mut text = [0; LONGEST_ENTRY];
        let mut files = RawDir::new(&folder, &mut listed);
        while let Some(file) = files.next() {
            let file = file.map_err(unlisted)?;
            let name = file.file_name();
            if [c".", c"..", c"register", c"status"].contains(&name) {
                continue;
            }
            let name = OsStr::from_bytes(name.to_bytes());
            let entry = match sys::open(&folder, name, OFlags::RDONLY).and_then(|file| read(&file, &mut text)) {
                Ok(text) => Entry::parse(&text),
                // Removed since it was listed.
                Err(Errno::ENOENT) => continue,
                // It may be anybody's, and only hinders who needs its name.
                Err(errno) => Entry::unreadable(errno),
            };
            entries.push((name.to_os_string(), entry));
        }
        Ok(entries.into_iter().collect())
    }

    /// Reads one entry, if it is there and can be read.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        let file = sys::open(CWD, self.path.join(name), OFlags::RDONLY).ok()?;
        read(&file, &mut [0; LONGEST_ENTRY]).ok().map(|text| Entry::parse(&text))
    }

    /// Removes an entry if it is still the one that is meant: a tool that takes no lock may have replaced it. Read and
    /// written through one open file, it is one entry: a write to a removed entry does nothing to its successor. One that
    /// is gone already is as good as removed.
    pub(crate) fn remove(&self, name: &OsStr, is_meant: &dyn Fn(&Entry) -> bool) -> Result<(), Error> {
        let path = self.path.join(name);
        let failed = |errno| Error::Remove { path: path.clone(), errno };
        let file = match sys::open(CWD, &path, OFlags::RDWR) {
            Err(Errno::ENOENT) => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        let mut text = [0; LONGEST_ENTRY];
        let found = read(&file, &mut text).map_err(|errno| Error::Read { path: path.clone(), errno })?;
        let entry = Entry::parse(&found);
        if !is_meant(&entry) {
            return Err(Error::OwnerChanged { path, owner: entry.owner() });
        }
        rustix::io::write(&file, b"-1").map(drop).map_err(|errno| failed(sys::of_rustix(errno)))
    }

    /// Takes back the mount that this run made.
    pub(super) fn unmount(&self) {
        // If it fails, a folder too many is mounted: no reason to hide what the user is to be told. Lazily, since the
        // lock is a file there.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}

impl RegisterFile {
    /// Hands the kernel a rule of `handler`, whose emulator is in `emulators`.
    pub(crate) fn add(&mut self, line: &str, handler: &Handler, emulators: &str) -> Result<(), Error> {
        let file = self.0.as_mut().map_err(|cause| cause.clone())?;
        // One write(2) is one rule, taken whole or refused.
        file.write_all(line.as_bytes()).map_err(|error| Error::Add {
            name: handler.name,
            folder: emulators.into(),
            interpreter: handler.interpreter(emulators),
            errno: errno(&error),
        })
    }
}

/// Reads the text of an open file into `buffer`.
fn read<'b>(file: &File, buffer: &'b mut [u8; LONGEST_ENTRY]) -> Result<Cow<'b, [u8]>, Errno> {
    let length = rustix::io::read(file, &mut buffer[..]).map_err(sys::of_rustix)?;
    if length < LONGEST_ENTRY {
        return Ok(buffer[..length].into());
    }
    let mut text = buffer.to_vec();
    let mut rest = file;
    rest.read_to_end(&mut text).map_err(|error| errno(&error))?;
    Ok(text.into())
}
