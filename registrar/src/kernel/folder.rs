//! The folder: lists and reads entries, adds and removes them. Files are opened relative to it, so that what was found
//! to be `binfmt_misc` is what is written to.

use std::mem::{ManuallyDrop, MaybeUninit};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, RawDir, openat};
use rustix::io::{self, Errno};
use rustix::mount::{UnmountFlags, unmount};

use super::find::Opened;
use super::{Entries, Entry, Error};
use crate::table::Handler;

/// Longer than any entry's text: a rule has at most 1920 bytes, and its magic and mask are shown as hexadecimal digits.
const LONGEST_ENTRY: usize = 4096;

/// Room for the names of more than a hundred entries; more take another system call.
const LISTING: usize = 4096;

/// A mounted `binfmt_misc`.
///
/// What is open at the end of this short process, the kernel closes with it: a system call less each.
pub(crate) struct Folder {
    fd: ManuallyDrop<OwnedFd>,
    is_switched_on: bool,
    path: PathBuf,
    mounted_here: bool,
}

/// The open `register` file.
pub(crate) struct Register(ManuallyDrop<OwnedFd>);

impl Folder {
    pub(super) fn new(opened: Opened, path: &Path, mounted_here: bool) -> Self {
        let Opened { folder, is_switched_on } = opened;
        Self { fd: ManuallyDrop::new(folder), is_switched_on, path: path.into(), mounted_here }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the kernel uses any entry at all: its `status` switches all of them.
    pub(crate) fn is_switched_on(&self) -> bool {
        self.is_switched_on
    }

    /// Reads all entries.
    pub(crate) fn entries(&self) -> Result<Entries, Error> {
        let mut room = [MaybeUninit::uninit(); LISTING];
        let mut listing = RawDir::new(&*self.fd, &mut room);
        let mut entries = Vec::new();
        while let Some(file) = listing.next() {
            let file = file.map_err(|errno| Error::Read { path: self.path.clone(), errno })?;
            let name = file.file_name().to_string_lossy();
            if matches!(&*name, "." | ".." | "register" | "status") {
                continue;
            }
            match self.read(&name) {
                Ok(text) => entries.push((name.into_owned(), Entry::parse(&text))),
                // Removed since it was listed.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::Read { path: self.path.join(&*name), errno }),
            }
        }
        Ok(entries.into_iter().collect())
    }

    /// Opens `register`, once for any number of rules.
    pub(crate) fn register(&self) -> Result<Register, Error> {
        self.open("register", OFlags::WRONLY)
            .map(|register| Register(ManuallyDrop::new(register)))
            .map_err(|errno| Error::NotWritable { path: self.path.join("register"), errno })
    }

    /// Removes an entry. One that is gone already is as good as removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match self.open(name, OFlags::WRONLY).and_then(|entry| io::write(entry, b"-1")) {
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::NotWritable { path: self.path.join(name), errno }),
        }
    }

    /// Takes back the mount if this run made it.
    pub(crate) fn unmount_if_mounted_here(&self) {
        if self.mounted_here {
            // Detached, since this process has files of it open. If it fails, an empty folder too many is mounted.
            let _ = unmount(&self.path, UnmountFlags::DETACH);
        }
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let mut text = [0; LONGEST_ENTRY];
        let length = io::read(self.open(name, OFlags::RDONLY)?, &mut text)?;
        Ok(String::from_utf8_lossy(&text[..length]).into_owned())
    }

    fn open(&self, name: &str, access: OFlags) -> io::Result<OwnedFd> {
        openat(&*self.fd, name, access | OFlags::CLOEXEC, Mode::empty())
    }
}

impl Register {
    /// Hands the kernel a rule of `handler`, whose emulator is in `emulators`.
    pub(crate) fn add(&self, line: &str, handler: &Handler, emulators: &str) -> Result<(), Error> {
        // One write(2) is one rule, taken whole or refused.
        let written = io::retry_on_intr(|| io::write(&*self.0, line.as_bytes()));
        written.map(drop).map_err(|errno| Error::Add {
            name: handler.name,
            interpreter: handler.interpreter(emulators),
            errno,
        })
    }
}
