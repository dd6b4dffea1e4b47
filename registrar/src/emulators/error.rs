//! What kept a file from being put in place, with what to do.

use std::fmt;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::sys::errno_text;

/// Nothing half-written is ever left under a file's own name.
#[derive(Debug)]
pub(crate) struct Error {
    pub(super) path: PathBuf,
    pub(super) cause: Cause,
}

#[derive(Debug)]
pub(super) enum Cause {
    /// An original, or the host's own file, cannot be read.
    Read(Errno),
    /// The folder is not there and cannot be made, or cannot be opened.
    Folder(Errno),
    /// Another user can change a file or folder.
    Exposed(Exposure),
    /// Another user can change an emulator that is to be copied, and so others beside it.
    ExposedOriginal(Exposure),
    /// A file that is not ours has a name that is needed.
    Foreign,
    /// Another run has had the folder for too long.
    Busy,
    /// In bytes.
    Space { needed: u64, free: u64 },
    /// A file cannot be made, written or renamed.
    Write(Errno),
    /// It cannot be labelled so.
    Label(String, Errno),
}

impl Cause {
    /// Of a file or folder.
    pub(super) fn at(self, path: impl Into<PathBuf>) -> Error {
        Error { path: path.into(), cause: self }
    }
}

/// What lets another user change a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    Owner(u32),
    Writable,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(uid) => {
                write!(f, "belongs to uid {uid}, who may change it; nothing was changed; first: chown root:")
            }
            Self::Writable => f.write_str("other users may write to it; nothing was changed; first: chmod go-w"),
        }
    }
}

/// A size in words, in bytes.
fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Read(errno) => write!(f, "reading {path}: {}", errno_text(*errno)),
            Cause::Folder(errno) => write!(f, "making {path}: {}", writing(*errno)),
            Cause::Exposed(exposure) => write!(f, "{path}: {exposure} {path}"),
            Cause::ExposedOriginal(exposure) => {
                write!(f, "{path}: {exposure} {}", self.path.with_file_name("*").display())
            }
            Cause::Foreign => write!(f, "{path} belongs to another tool; nothing was changed; remove it first"),
            Cause::Busy => write!(f, "{path}: another run is writing there; run this again when it has ended"),
            Cause::Space { needed, free } => {
                let (needed, free) = (megabytes(*needed), megabytes(*free));
                write!(f, "{path}: too little space: {needed} needed, {free} free; nothing was changed; ")?;
                f.write_str("free some, or name fewer architectures")
            }
            Cause::Write(errno) => write!(f, "writing {path}: {}; what was there stays", writing(*errno)),
            Cause::Label(label, errno) => {
                let cause = match *errno {
                    Errno::EPERM | Errno::EACCES => "not permitted".into(),
                    Errno::ENOTSUP => "the file system has no labels".into(),
                    Errno::EINVAL => "SELinux knows no such label".into(),
                    errno => errno_text(errno),
                };
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
