//! The host's file system below `--root`. openat2(2) with `RESOLVE_IN_ROOT` resolves every path: absolute links lead where
//! the host has them, and `..` never leaves it.

use std::fs::{self, DirBuilder, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;

use crate::emulators::{Error, StagingDir};
use crate::sys::errno;

pub(super) struct Root {
    folder: File,
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let folder = File::options().read(true).custom_flags(libc::O_DIRECTORY).open(path);
        folder.map(|folder| Self { folder }).map_err(|error| Error::Folder { path: path.into(), errno: errno(&error) })
    }

    /// Locks a folder, if it exists.
    pub(super) fn find(&self, path: &str) -> Result<Option<StagingDir>, Error> {
        match self.folder(path) {
            Ok(folder) => StagingDir::lock(folder, Path::new(path)).map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Error::Folder { path: path.into(), errno }),
        }
    }

    /// Locks a folder; makes it and its parents if needed.
    pub(super) fn make(&self, path: &str) -> Result<StagingDir, Error> {
        let failed = |errno| Error::Folder { path: path.into(), errno };
        let mut folder = self.folder("/").map_err(failed)?;
        let ends = path.match_indices('/').map(|(end, _)| end).skip(1).chain([path.len()]);
        for end in ends {
            folder = match self.folder(&path[..end]) {
                Err(Errno::ENOENT) => {
                    let name = path[..end].rsplit('/').next().unwrap_or_default();
                    let made = DirBuilder::new().mode(0o755).create(reached(&folder).join(name));
                    made.map_err(|error| failed(errno(&error)))?;
                    self.folder(&path[..end])
                }
                found => found,
            }
            .map_err(failed)?;
        }
        StagingDir::lock(folder, Path::new(path))
    }

    pub(super) fn remove_if_empty(&self, path: &str) {
        let Some((parent, name)) = path.rsplit_once('/') else { return };
        if let Ok(parent) = self.folder(if parent.is_empty() { "/" } else { parent }) {
            // Fails if it is not empty.
            let _ = fs::remove_dir(reached(&parent).join(name));
        }
    }

    fn folder(&self, path: &str) -> Result<File, Errno> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        openat2(&self.folder, path, OpenHow::new().flags(flags).resolve(resolve)).map(File::from)
    }
}

/// The path of an open folder.
fn reached(folder: &File) -> PathBuf {
    format!("/proc/self/fd/{}", folder.as_raw_fd()).into()
}
