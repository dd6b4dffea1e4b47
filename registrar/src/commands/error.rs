//! Why a command is refused or fails as a whole, and what to do.

use std::fmt;

use crate::binfmt_misc::{self, BIND, DEFAULT_MOUNT, UserNamespace};
use crate::emulators;
use crate::output::{CANNOT_TELL, Output};
use crate::verify;

pub(crate) enum Error {
    Kernel(binfmt_misc::Error),
    /// The message of another error.
    Text(String),
    Verify(verify::Error),
    /// `--scope userns` in the initial user namespace.
    FirstNamespace,
    /// No `--scope userns` in this user namespace.
    InUserNamespace(UserNamespace),
    /// The handlers would disappear with this process's mount, in this user namespace if there is one.
    WouldNotPersist(Option<UserNamespace>),
}

impl Error {
    /// Whether what is asked for may be registered all the same, where this process cannot see it.
    pub(super) fn is_out_of_reach(&self) -> bool {
        matches!(self, Self::Kernel(binfmt_misc::Error::BoundProc { .. }))
            || matches!(self, Self::InUserNamespace(namespace) if namespace.is_of_roots_engine())
    }

    pub(super) fn text(error: impl fmt::Display) -> Self {
        Self::Text(error.to_string())
    }
}

impl From<binfmt_misc::Error> for Error {
    fn from(error: binfmt_misc::Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<emulators::Error> for Error {
    fn from(error: emulators::Error) -> Self {
        Self::text(error)
    }
}

impl From<verify::Error> for Error {
    fn from(error: verify::Error) -> Self {
        Self::Verify(error)
    }
}

impl From<Error> for Output {
    fn from(error: Error) -> Self {
        let output = Self::failure(&error.to_string());
        match error {
            Error::Verify(verify::Error::NoSandbox(_)) => output.with_code(CANNOT_TELL),
            _ => output,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => error.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Verify(error) => error.fmt(f),
            Self::FirstNamespace => f.write_str(
                "--scope userns: this is the host's initial user namespace; leave the option out, or use podman unshare",
            ),
            Self::InUserNamespace(namespace) => {
                let advice = namespace.advice();
                write!(f, "handlers would serve programs of {namespace} only, not the host's: {advice}")
            }
            Self::WouldNotPersist(None) => write!(
                f,
                "handlers would disappear with this container: use {BIND}, or --stay; on the host, if not mounted there: \
                 mount -t binfmt_misc binfmt_misc {DEFAULT_MOUNT}"
            ),
            Self::WouldNotPersist(Some(namespace)) => write!(
                f,
                "handlers would disappear with this process: nothing else keeps the binfmt_misc mount of {namespace}; \
                 see run, --stay and --temporary in registrar --help"
            ),
        }
    }
}
