//! What kept a file from being put in place, with what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::ownership::Exposure;
use crate::sys::{errno, errno_text};

/// Nothing half-written is ever left under a file's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// An original, or the host's own file, cannot be read.
    Read { path: PathBuf, errno: Errno },
    /// The folder is not there and cannot be made, or cannot be opened.
    Folder { path: PathBuf, errno: Errno },
    /// Another user can change a file or folder.
    Exposed { path: PathBuf, exposure: Exposure },
    /// Another user can change an emulator that is to be copied, and so others beside it.
    ExposedOriginal { path: PathBuf, exposure: Exposure },
    /// A file that is not ours has a name that is needed.
    Foreign { path: PathBuf },
    /// Another run has had the folder for too long.
    Busy { path: PathBuf },
    /// In bytes.
    Space { path: PathBuf, needed: u64, free: u64 },
    /// A file cannot be made, written or renamed.
    Write { path: PathBuf, errno: Errno },
    /// It cannot be labelled so.
    Label { path: PathBuf, label: String, errno: Errno },
}

impl Error {
    pub(super) fn read(path: impl AsRef<Path>, error: &io::Error) -> Self {
        Self::Read { path: path.as_ref().into(), errno: errno(error) }
    }
}

/// A size in words, in bytes.
fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, errno } => write!(f, "reading {}: {}", path.display(), errno_text(*errno)),
            Self::Folder { path, errno } => write!(f, "making {}: {}", path.display(), writing(*errno)),
            Self::Exposed { path, exposure } => write!(f, "{0}: {exposure} {0}", path.display()),
            Self::ExposedOriginal { path, exposure } => {
                write!(f, "{}: {exposure} {}", path.display(), path.with_file_name("*").display())
            }
            Self::Foreign { path } => {
                write!(f, "{} belongs to another tool; nothing was changed; remove it first", path.display())
            }
            Self::Busy { path } => {
                write!(f, "{}: another run is writing there; run this again when it has ended", path.display())
            }
            Self::Space { path, needed, free } => write!(
                f,
                "{}: too little space: {} needed, {} free; nothing was changed; free some, or name fewer architectures",
                path.display(),
                megabytes(*needed),
                megabytes(*free)
            ),
            Self::Write { path, errno } => {
                write!(f, "writing {}: {}; what was there stays", path.display(), writing(*errno))
            }
            Self::Label { path, label, errno } => {
                let cause = match *errno {
                    Errno::EPERM | Errno::EACCES => "not permitted".into(),
                    Errno::ENOTSUP => "the file system has no labels".into(),
                    Errno::EINVAL => "SELinux knows no such label".into(),
                    errno => errno_text(errno),
                };
                let path = path.display();
                write!(f, "labelling {path} {label}: {cause}; what was there stays; see --selinux-label, also none")
            }
        }
    }
}

fn writing(errno: Errno) -> String {
    match errno {
        Errno::EROFS => "read-only; in a container, mount a folder of the host: -v DIR:DIR".into(),
        Errno::EACCES | Errno::EPERM => "not permitted; run as root of the host".into(),
        Errno::ENOTDIR | Errno::EEXIST => "part of the path is no directory".into(),
        _ => errno_text(errno),
    }
}
