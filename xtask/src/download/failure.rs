//! Why a file could not be had: what that means for the next attempt, and what callers tell apart.

use std::fmt;
use std::io;
use std::time::Duration;

/// That no server could be reached at all: no address, no route, no answer to a connection. Never the outcome of a
/// check.
#[derive(Debug)]
pub(crate) struct Unreachable(pub(super) String);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// That a server is there and does not give the file.
#[derive(Debug)]
pub(crate) struct Missing(pub(super) u16);

impl Missing {
    /// Whether it says that there is no such file, rather than that it may not be had.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.0, 404 | 410)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answers {}: it does not give that file", self.0)
    }
}

impl std::error::Error for Missing {}

/// That a file would have to be fetched, which the user forbids.
#[derive(Debug)]
pub(crate) struct NotCached(pub(super) String);

impl fmt::Display for NotCached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not in the cache; run once without --offline", self.0)
    }
}

impl std::error::Error for NotCached {}

/// What a failed attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody there.
    Unreachable,
    /// It may go better another time: reset, time-out, too busy.
    Transient,
    /// The server does not have this file; others it may have.
    Missing,
    /// What it gives is not what was asked for; asking again would not help.
    Permanent,
    /// The trouble is on this machine; no other server would help.
    Local,
}

/// One failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) cause: anyhow::Error,
    /// How long the server asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(kind: Kind, cause: impl Into<anyhow::Error>) -> Self {
        Self { kind, cause: cause.into(), retry_after: None }
    }

    /// Whether the same server may do better later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::Transient)
    }

    /// Of reading or writing this machine's files.
    pub(super) fn here(cause: anyhow::Error) -> Self {
        Self::new(Kind::Local, cause)
    }

    /// What ureq's errors mean.
    pub(super) fn of(error: ureq::Error) -> Self {
        use ureq::Timeout;
        match error {
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Self::unreachable(error.to_string()),
            ureq::Error::Timeout(_) => Self::new(Kind::Transient, error),
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown => {
                    Self::unreachable(error.to_string())
                }
                // How certificates that do not fit are reported.
                io::ErrorKind::InvalidData => Self::new(Kind::Permanent, error),
                _ => Self::new(Kind::Transient, error),
            },
            // Redirects that are not followed, answers that are not HTTP.
            other => Self::new(Kind::Permanent, other),
        }
    }

    pub(super) fn unreachable(why: String) -> Self {
        Self::new(Kind::Unreachable, Unreachable(why))
    }
}
