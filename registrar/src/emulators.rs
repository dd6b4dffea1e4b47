//! Brings emulators into a folder of the host, where they stay when the container is gone: whole, labelled, and under
//! their own names only when both are so. What is registered there afterwards is decided elsewhere.

mod error;
mod host_root;
mod ownership;
mod selinux;
mod staging_dir;

use std::fs::File;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use rustix::fs::{CWD, OFlags};

use crate::request::{CopySpec, Label};
use crate::sys::{self, errno};
use crate::table::Handler;

use error::Cause;

pub(crate) use error::Error;
pub(crate) use host_root::Root;
pub(crate) use selinux::label_warning;
pub(crate) use staging_dir::{StagingDir, text};

/// What everybody may do with an emulator.
const MODE: u32 = 0o755;

/// What is to be copied to a folder.
pub(crate) struct CopyJob<'a> {
    dir: &'a StagingDir,
    /// File names, and the originals.
    wanted: Vec<(&'static str, File)>,
    /// How many are there already, just so.
    same: usize,
    label: Option<String>,
}

impl CopySpec {
    /// File names of these handlers' emulators, each once, and where the originals are.
    pub(crate) fn originals(&self, handlers: &[&'static Handler]) -> Vec<(&'static str, String)> {
        let mut originals: Vec<(_, String)> = Vec::new();
        for handler in handlers {
            if !originals.iter().any(|(name, _)| *name == handler.emulator) {
                originals.push((handler.emulator, handler.interpreter(&self.from)));
            }
        }
        originals
    }
}

impl<'a> CopyJob<'a> {
    /// Looks which files are not there yet. What is there with the same content stays the same file, and is only labelled.
    /// Without an original, what is there is left as it is: who registers it will see whether it is there at all.
    ///
    /// A file with other content is replaced only if `is_ours` says so of its name.
    ///
    /// # Errors
    /// What cannot be read, what another user can change, files of other tools, and a file system that is too full.
    pub(crate) fn new(
        originals: Vec<(&'static str, String)>,
        label: &Label,
        dir: &'a StagingDir,
        is_ours: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let mut job = Self { dir, wanted: Vec::new(), same: 0, label: label.context() };
        let mut space = 0;
        for (name, path) in originals {
            let found = dir.existing(name)?;
            let Some(original) = original(&path)? else { continue };
            let is_same = match &found {
                Some(found) => is_same(&original, found).map_err(|error| Cause::Read(errno(&error)).at(&path))?,
                None => false,
            };
            match found.filter(|_| is_same) {
                Some(found) => {
                    job.same += 1;
                    dir.adjust(&found, MODE, job.label.as_deref(), name)?;
                }
                None if dir.found(name)?.is_some() && !is_ours(name) => return Err(dir.foreign(name)),
                None => {
                    space += original.metadata().map_err(|error| Cause::Read(errno(&error)).at(&path))?.len();
                    job.wanted.push((name, original));
                }
            }
        }
        dir.has_space(space)?;
        Ok(job)
    }

    /// File names of those that are to be copied.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.wanted.iter().map(|(name, _)| *name).collect()
    }

    /// What will have become of them, in a line, in the folder `at`.
    pub(crate) fn line(&self, at: &str) -> String {
        let label = self.label.iter().map(|label| format!(", labelled {label}")).collect::<String>();
        format!("emulators in {at}: {} copied, {} unchanged{label}\n", self.wanted.len(), self.same)
    }

    /// Copies them.
    ///
    /// # Errors
    /// The first that fails; those that had been copied before stay, and are whole.
    pub(crate) fn finish(self) -> Result<(), Error> {
        for (name, mut original) in self.wanted {
            self.dir.install(name, MODE, self.label.as_deref(), &mut original)?;
        }
        self.dir.sync()
    }
}

/// Opens an emulator that is to be copied, if it is there.
///
/// # Errors
/// It cannot be opened, is no file, or another user can change it.
pub(crate) fn original(path: &str) -> Result<Option<File>, Error> {
    let failed = |errno| Cause::Read(errno).at(path);
    // `O_NONBLOCK`: do not block on a FIFO.
    let file = match sys::open(CWD, path, OFlags::NONBLOCK) {
        Err(Errno::ENOENT) => return Ok(None),
        file => file.map_err(failed)?,
    };
    let found = file.metadata().map_err(|error| failed(errno(&error)))?;
    match ownership::exposure(Path::new(path), &found) {
        Some(exposure) => Err(Cause::ExposedOriginal(exposure).at(path)),
        None if found.is_file() => Ok(Some(file)),
        None => Err(failed(Errno::EACCES)),
    }
}

/// Whether both are one file, or of the same content.
fn is_same(one: &File, other: &File) -> io::Result<bool> {
    if sys::is_same_file(one.metadata(), other.metadata()) == Some(true) {
        return Ok(true);
    }
    let length = one.metadata()?.len();
    Ok(length == other.metadata()?.len() && staging_dir::have_same_bytes(one, other, length)?)
}
