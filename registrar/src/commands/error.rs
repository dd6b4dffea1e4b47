//! Why a command is refused or fails as a whole, with what to do. What the kernel refuses is a [`binfmt_misc::Error`].

use std::fmt;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::binfmt_misc::{self, BIND, DEFAULT_MOUNT, UserNamespace};
use crate::emulators;
use crate::native::Emulation;
use crate::output::Output;
use crate::persist;
use crate::sys::errno_text;
use crate::verify;

/// A command that failed.
pub(crate) enum Error {
    Kernel(binfmt_misc::Error),
    /// Emulators could not be copied.
    Copy(emulators::Error),
    Persist(persist::Error),
    Verify(verify::Error),
    /// The folder of the emulators, which `source` names, cannot be used.
    Emulators {
        source: &'static str,
        folder: PathBuf,
        errno: Errno,
    },
    /// What is registered by it would be emulated too, or take the machine's own programs.
    Emulated(Emulation),
    /// No user namespace's programs could be served alone.
    FirstNamespace,
    /// Handlers would serve programs of a user namespace only, and that was not asked for.
    InUserNamespace(UserNamespace),
    /// Handlers would go with this process's mount; in a user namespace, if one is given.
    WouldNotPersist(Option<UserNamespace>),
    /// Signals cannot be waited for.
    Signals {
        errno: Errno,
    },
    /// No entry is used, whatever is registered.
    SwitchedOff {
        at: PathBuf,
    },
    /// Emulators are asked for by a folder or by names of which none is there.
    NothingThere(String),
}

impl From<binfmt_misc::Error> for Error {
    fn from(error: binfmt_misc::Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<emulators::Error> for Error {
    fn from(error: emulators::Error) -> Self {
        Self::Copy(error)
    }
}

impl From<persist::Error> for Error {
    fn from(error: persist::Error) -> Self {
        Self::Persist(error)
    }
}

impl From<verify::Error> for Error {
    fn from(error: verify::Error) -> Self {
        Self::Verify(error)
    }
}

impl From<Error> for Output {
    fn from(error: Error) -> Self {
        Self::failure(&error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => error.fmt(f),
            Self::Copy(error) => error.fmt(f),
            Self::Persist(error) => error.fmt(f),
            Self::Verify(error) => error.fmt(f),
            Self::NothingThere(text) => f.write_str(text),
            Self::Emulators { source, folder, errno } => {
                let cause = match *errno {
                    Errno::ENOENT => "no such directory".into(),
                    Errno::ENOTDIR => "not a directory".into(),
                    errno => errno_text(errno),
                };
                write!(f, "{source} {}: {cause}", folder.display())
            }
            Self::Emulated(emulation) => emulation.fmt(f),
            Self::FirstNamespace => write!(
                f,
                "--scope userns: this is no user namespace with handlers of its own, but the machine's; leave it out, \
                 or run this by podman unshare"
            ),
            Self::InUserNamespace(namespace) => {
                write!(f, "handlers would serve programs of {namespace} only, not the host's: {}", namespace.advice())
            }
            Self::WouldNotPersist(None) => write!(
                f,
                "handlers would vanish with this container: use {BIND}, or --stay, or on the host, which has none \
                 mounted: mount -t binfmt_misc binfmt_misc {DEFAULT_MOUNT}"
            ),
            Self::WouldNotPersist(Some(namespace)) => write!(
                f,
                "handlers would vanish with this process's mount of binfmt_misc: nothing else keeps that of \
                 {namespace}; see run, --stay and --temporary in registrar --help"
            ),
            Self::Signals { errno } => write!(f, "waiting for signals: {}", errno_text(*errno)),
            Self::SwitchedOff { at } => {
                let at = at.display();
                write!(
                    f,
                    "binfmt_misc is switched off, so that no handler would be used; to switch it on: echo 1 > {at}/status"
                )
            }
        }
    }
}
