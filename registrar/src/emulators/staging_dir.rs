//! A folder into which files are put whole or not at all: written under another name, labelled, on the disk, then renamed.
//! A file that is there is never written to, since the kernel may be using it and then refuses (flag `F`).

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::statvfs::fstatvfs;

use super::error::Exposure;
use super::{Cause, Error, ownership, selinux};
use crate::sys::{self, errno};

/// How the name of a file in the making begins and ends. What a killed run has left is known by it.
const BEGIN: &str = ".";
const END: &str = ".registrar-new";

/// How long another run is waited for: copying all emulators to a slow disk takes about a minute.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Those of a mode that say who may do what.
const ALL_BITS: u32 = 0o7777;

/// What everybody may do with configuration, and the longest that is read, in bytes.
const TEXT_MODE: u32 = 0o644;
const LONGEST_TEXT: u64 = 1 << 16;

/// Compared or copied at once, in bytes.
const BLOCK: usize = 1 << 16;

/// The lock: a file that only root, or the caller, can open. Anybody could lock the folder itself.
const LOCK: &str = ".registrar-lock";
const LOCK_MODE: u32 = 0o600;

/// The folder. As long as it lives, no other run puts anything there.
pub(crate) struct StagingDir {
    folder: File,
    /// How the open folder is reached.
    path: PathBuf,
    /// As it is told.
    shown: PathBuf,
    /// `None` on a read-only file system.
    lock: Option<File>,
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // Before the lock ends; the next run uses what cannot be removed.
            let _ = fs::remove_file(self.path.join(LOCK));
        }
    }
}

impl StagingDir {
    /// Waits for other runs, and clears away what killed ones have left.
    pub(super) fn lock(folder: File, shown: &Path) -> Result<Self, Error> {
        let path = sys::path_of(&folder);
        let mut dir = Self { folder, path, shown: shown.into(), lock: None };
        dir.lock = dir.locked()?;
        let failed = |error: io::Error| Cause::Folder(errno(&error)).at(shown);
        for file in fs::read_dir(&dir.path).map_err(failed)? {
            let name = file.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.starts_with(BEGIN) && name.ends_with(END)) {
                dir.remove(name)?;
            }
        }
        Ok(dir)
    }

    fn locked(&self) -> Result<Option<File>, Error> {
        let failed = |errno| Cause::Folder(errno).at(&self.shown);
        let path = self.path.join(LOCK);
        loop {
            let mut options = File::options();
            options.write(true).create(true).mode(LOCK_MODE).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
            let found = self.found(LOCK)?;
            let file = match options.open(&path).map_err(|error| errno(&error)) {
                Err(Errno::EROFS) => return Ok(None),
                opened => opened.map_err(failed)?,
            };
            if found.is_some_and(|found| found.mode() & ALL_BITS & !LOCK_MODE != 0) {
                return Err(Cause::Exposed(Exposure::Writable).at(self.shown.join(LOCK)));
            }
            sys::lock(&file, LOCK_TIMEOUT, RETRY_DELAY).map_err(|errno| match errno {
                Errno::EBUSY => Cause::Busy.at(&self.shown),
                errno => failed(errno),
            })?;
            // The run that had it has removed it.
            if sys::is_same_file(file.metadata(), fs::symlink_metadata(&path)) == Some(true) {
                return Ok(Some(file));
            }
        }
    }

    /// Whether it is this open folder.
    pub(super) fn is(&self, folder: &File) -> bool {
        sys::is_same_file(self.folder.metadata(), folder.metadata()) == Some(true)
    }

    /// Whether a distribution's packages have their programs there.
    pub(crate) fn is_of_packages(&self) -> bool {
        let path = fs::read_link(&self.path).unwrap_or_default();
        ["/usr", "/bin", "/sbin"].iter().any(|folder| path.starts_with(folder)) && !path.starts_with("/usr/local")
    }

    /// The error of a name that is another tool's.
    pub(crate) fn foreign(&self, name: &str) -> Error {
        Cause::Foreign.at(self.shown.join(name))
    }

    /// What has that name.
    ///
    /// # Errors
    /// Another user can change it.
    pub(crate) fn found(&self, name: &str) -> Result<Option<Metadata>, Error> {
        let path = self.path.join(name);
        let Ok(found) = fs::symlink_metadata(&path) else { return Ok(None) };
        ownership::check(&path, &found, self.shown.join(name))?;
        Ok(Some(found))
    }

    /// A regular file of that name.
    pub(crate) fn existing(&self, name: &str) -> Result<Option<File>, Error> {
        self.found(name)?;
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::options().read(true).custom_flags(flags).open(self.path.join(name)).ok();
        Ok(file.filter(|file| file.metadata().is_ok_and(|found| found.is_file())))
    }

    /// The text of a regular file.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.existing(name)?.and_then(|file| text(&file)))
    }

    /// Puts a text in place, unless it is there already, which is returned.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<bool, Error> {
        let is_same = self.text(name)?.is_some_and(|found| found == text);
        if !is_same {
            self.install(name, TEXT_MODE, None, &mut Cursor::new(text))?;
            self.sync()?;
        }
        Ok(is_same)
    }

    /// Refuses more bytes than the file system has left.
    pub(crate) fn has_space(&self, needed: u64) -> Result<(), Error> {
        // What cannot be asked will show when it is written.
        let Ok(found) = fstatvfs(&self.folder) else { return Ok(()) };
        // Their types differ between architectures.
        #[allow(clippy::useless_conversion)]
        let free = u64::from(found.blocks_available()).saturating_mul(u64::from(found.fragment_size()));
        if needed <= free { Ok(()) } else { Err(Cause::Space { needed, free }.at(&self.shown)) }
    }

    /// Puts a file in place of what has that name. What a kill leaves is the old file or the new one; after a failure it
    /// is the old one.
    pub(crate) fn install(
        &self,
        name: &str,
        mode: u32,
        label: Option<&str>,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        let new = self.path.join([BEGIN, name, END].concat());
        let failed = |error: io::Error| self.failed(name, &error);
        let mut make = || {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
            copy(content, &mut file).map_err(failed)?;
            // The mode at creation is less what the umask takes.
            file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
            self.label(&file, label, name)?;
            file.sync_all().map_err(failed)?;
            fs::rename(&new, self.path.join(name)).map_err(failed)
        };
        let made = make();
        if made.is_err() {
            // The next run would do it as well.
            let _ = fs::remove_file(&new);
        }
        made
    }

    /// Mode and label of a file whose content is good. It may be in use, and stays the same file, so that whoever has
    /// opened it, as the kernel has for flag `F`, sees the change.
    pub(super) fn adjust(&self, file: &File, mode: u32, label: Option<&str>, name: &str) -> Result<(), Error> {
        let failed = |error: io::Error| self.failed(name, &error);
        if file.metadata().map_err(failed)?.mode() & ALL_BITS != mode {
            file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
        }
        self.label(file, label, name)
    }

    fn label(&self, file: &File, label: Option<&str>, name: &str) -> Result<(), Error> {
        match label {
            Some(wanted) if !selinux::has(file, wanted) => selinux::set(file, wanted)
                .map_err(|errno| Cause::Label(wanted.into(), sys::of_rustix(errno)).at(self.shown.join(name))),
            _ => Ok(()),
        }
    }

    /// Makes a link of that name, unless something has it already.
    pub(crate) fn link(&self, name: &str, to: &str) -> Result<(), Error> {
        match symlink(to, self.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(self.failed(name, &error)),
            _ => self.sync(),
        }
    }

    /// Removes a file; one that is gone is as good as removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        self.found(name)?;
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed(name, &error)),
            _ => Ok(()),
        }
    }

    /// After this, names too are on the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.folder.sync_all().map_err(|error| self.failed("", &error))
    }

    pub(super) fn failed(&self, name: &str, error: &io::Error) -> Error {
        Cause::Write(errno(error)).at(self.shown.join(name))
    }
}

/// The text of an open file, of which little is read.
pub(crate) fn text(file: &File) -> Option<String> {
    let mut text = String::new();
    file.take(LONGEST_TEXT).read_to_string(&mut text).ok().map(|_| text)
}

/// As `io::copy`, whose ways of going without a buffer serve no copy from an image to its host, and are large.
fn copy(from: &mut dyn Read, to: &mut File) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(&block[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the first `length` bytes of both files are the same.
pub(super) fn have_same_bytes(one: &File, other: &File, length: u64) -> io::Result<bool> {
    let mut blocks = [vec![0; BLOCK], vec![0; BLOCK]];
    let mut at = 0;
    while at < length {
        let size = usize::try_from(length - at).map_or(BLOCK, |left| left.min(BLOCK));
        let [first, second] = &mut blocks;
        // Neither file's own position moves: what differs is copied from its beginning.
        match one.read_exact_at(&mut first[..size], at).and_then(|()| other.read_exact_at(&mut second[..size], at)) {
            // It has become shorter meanwhile.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if first[..size] != second[..size] {
            return Ok(false);
        }
        at += size as u64;
    }
    Ok(true)
}
