//! What went wrong at which file or entry, in words, with what to do.
//!
//! The same errno means different things to mount(2), to opening a file of `binfmt_misc`, and to the rule in a write.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// Gives a container the host's folder: the cure for most of what follows.
const BIND: &str = "-v /proc/sys/fs/binfmt_misc:/binfmt_misc";

/// An operation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The folder of the emulators cannot be used.
    Emulators { folder: PathBuf, errno: Errno },
    /// Nothing is mounted, and this command does not mount.
    NotMounted { at: PathBuf },
    /// mount(2) failed.
    Mount { at: PathBuf, errno: Errno },
    /// The folder or one of its files cannot be read.
    Read { path: PathBuf, errno: Errno },
    /// No entry is used, whatever is registered.
    SwitchedOff { at: PathBuf },
    /// `register`, or the file of an entry, cannot be written: no rule's fault, and no other write would succeed.
    NotWritable { path: PathBuf, errno: Errno },
    /// The kernel refuses a rule.
    Add { name: &'static str, interpreter: String, errno: Errno },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emulators { folder, errno } => {
                let cause = match *errno {
                    Errno::ENOENT => "no such directory".into(),
                    Errno::ENOTDIR => "not a directory".into(),
                    errno => plain(errno),
                };
                write!(f, "emulator folder {}: {cause}", folder.display())
            }
            Self::NotMounted { at } => {
                let at = at.display();
                write!(
                    f,
                    "binfmt_misc is not mounted at {at}; `registrar register` as root mounts it, a container needs {BIND}"
                )
            }
            Self::Mount { at, errno } => {
                write!(f, "mounting binfmt_misc at {}: {}", at.display(), mounting(at, *errno))
            }
            Self::Read { path, errno } => write!(f, "reading {}: {}", path.display(), plain(*errno)),
            Self::SwitchedOff { at } => {
                let at = at.display();
                write!(
                    f,
                    "binfmt_misc is switched off, so that no handler would be used; to switch it on: echo 1 > {at}/status"
                )
            }
            Self::NotWritable { path, errno } => write!(f, "writing {}: {}", path.display(), writing(*errno)),
            Self::Add { name, interpreter, errno } => {
                write!(f, "registering {name}: {}", adding(interpreter, *errno))
            }
        }
    }
}

fn mounting(at: &Path, errno: Errno) -> String {
    match errno {
        Errno::EPERM | Errno::EACCES => format!("not permitted; run as root, or in a container with {BIND}"),
        Errno::ENODEV => "this kernel has none; on the host: modprobe binfmt_misc".into(),
        Errno::ENOENT if at.starts_with("/proc") => "no such directory; on the host: modprobe binfmt_misc".into(),
        Errno::ENOENT => "no such directory; create it".into(),
        _ => plain(errno),
    }
}

fn writing(errno: Errno) -> String {
    match errno {
        Errno::EPERM | Errno::EACCES => "permission denied; run as root".into(),
        Errno::EROFS => format!("mounted read-only; mount it writable, in a container with {BIND}"),
        _ => plain(errno),
    }
}

fn adding(interpreter: &str, errno: Errno) -> String {
    match errno {
        Errno::ENOENT => format!("{interpreter}: no such file; --bindir names the folder of the emulators"),
        Errno::EACCES => format!("{interpreter}: not executable, or on a file system mounted noexec"),
        Errno::ENOTDIR => format!("{interpreter}: part of the path is no directory; check --bindir"),
        Errno::ETXTBSY => format!("{interpreter}: open for writing; try again when it is complete"),
        Errno::EINVAL => "the kernel does not take the rule; flag F needs Linux 4.8".into(),
        Errno::EEXIST => "registered by somebody else at this moment; run this again".into(),
        Errno::EPERM => "not permitted; run as root".into(),
        Errno::EROFS => format!("mounted read-only; mount it writable, in a container with {BIND}"),
        Errno::ENOSPC => "the kernel's limit of entries is reached; remove some, or raise it with sysctl".into(),
        _ => format!("{interpreter}: {}", plain(errno)),
    }
}

/// The C library's words in this program's style.
fn plain(errno: Errno) -> String {
    errno.desc().to_lowercase()
}
