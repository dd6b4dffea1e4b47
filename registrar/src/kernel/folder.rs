//! The folder: lists and reads entries, adds and removes them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use super::{Entries, Entry, Error};
use crate::table::Handler;

/// Longer than any entry's text: a rule has at most 1920 bytes, and its magic and mask are shown as hexadecimal digits.
const LONGEST_ENTRY: usize = 4096;

/// A mounted `binfmt_misc`.
pub(crate) struct Folder {
    path: PathBuf,
    /// The entries that showed when this run mounted it, if it did.
    found: Option<Entries>,
}

/// The open `register` file.
pub(crate) struct Register(File);

impl Folder {
    /// One that was mounted before.
    pub(super) fn found(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), found: None }
    }

    /// One that this run has just mounted.
    pub(super) fn mounted(path: impl Into<PathBuf>) -> Self {
        let folder = Self::found(path);
        // What cannot be listed now is not listed in the end either, and the mount stays.
        Self { found: Some(folder.entries().unwrap_or_default()), ..folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the kernel uses any entry at all: its `status` switches all of them.
    pub(crate) fn is_switched_on(&self) -> Result<bool, Error> {
        let path = self.path.join("status");
        match read(&path) {
            Ok(text) => Ok(text != "disabled\n"),
            Err(errno) => Err(Error::Read { path, errno }),
        }
    }

    /// Reads all entries.
    pub(crate) fn entries(&self) -> Result<Entries, Error> {
        let unlisted = |error: io::Error| Error::Read { path: self.path.clone(), errno: errno(&error) };
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.path).map_err(unlisted)? {
            let name = file.map_err(unlisted)?.file_name();
            if name == "register" || name == "status" {
                continue;
            }
            let path = self.path.join(&name);
            match read(&path) {
                Ok(text) => entries.push((name.to_string_lossy().into_owned(), Entry::parse(&text))),
                // Removed since it was listed.
                Err(Errno::ENOENT) => {}
                // It may be anybody's, and only hinders who needs its name.
                Err(errno) => entries.push((name.to_string_lossy().into_owned(), Entry::unreadable(errno))),
            }
        }
        Ok(entries.into_iter().collect())
    }

    /// Opens `register`, once for any number of rules.
    pub(crate) fn register(&self) -> Result<Register, Error> {
        let path = self.path.join("register");
        match File::options().write(true).open(&path) {
            Ok(file) => Ok(Register(file)),
            Err(error) => Err(Error::Register { path, errno: errno(&error) }),
        }
    }

    /// Removes an entry. One that is gone already is as good as removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        match File::options().write(true).open(&path).and_then(|mut entry| entry.write_all(b"-1")) {
            Ok(()) => Ok(()),
            Err(error) => match errno(&error) {
                Errno::ENOENT => Ok(()),
                errno => Err(Error::Remove { path, errno }),
            },
        }
    }

    /// Takes back the mount if this run made it and nothing has been registered since.
    ///
    /// From Linux 6.7 on, entries go with the last mount. Those that were there at once have another mount, or a kernel
    /// that needs none; those that came since may have only this one. Another run may register between this look and
    /// the unmounting, and lose what it registered: to close that gap of some microseconds takes a lock that all runs
    /// share.
    pub(crate) fn unmount_if_unused(&self) {
        let Some(found) = &self.found else { return };
        if self.entries().is_ok_and(|entries| entries.names().all(|name| found.get(name).is_some())) {
            // If it fails, a folder too many is mounted: no reason to hide what the user is to be told.
            let _ = umount2(&self.path, MntFlags::empty());
        }
    }
}

impl Register {
    /// Hands the kernel a rule of `handler`, whose emulator is in `emulators`.
    pub(crate) fn add(&mut self, line: &str, handler: &Handler, emulators: &str) -> Result<(), Error> {
        // One write(2) is one rule, taken whole or refused.
        self.0.write_all(line.as_bytes()).map_err(|error| Error::Add {
            name: handler.name,
            folder: emulators.into(),
            interpreter: handler.interpreter(emulators),
            errno: errno(&error),
        })
    }
}

/// The kernel's number of an error.
pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

fn read(path: &Path) -> Result<String, Errno> {
    let read = || {
        let mut text = [0; LONGEST_ENTRY];
        let length = File::open(path)?.read(&mut text)?;
        Ok(String::from_utf8_lossy(&text[..length]).into_owned())
    };
    read().map_err(|error| errno(&error))
}
