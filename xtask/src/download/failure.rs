//! Why a file could not be fetched, and what that means for the next attempt.

use std::io;
use std::time::Duration;

use ureq::http::StatusCode;

/// No server could be reached: no address, no route, no connection. Never the outcome of a check.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(pub(super) String);

#[derive(Debug, thiserror::Error)]
#[error("HTTP {0}")]
pub(crate) struct Missing(pub(super) StatusCode);

impl Missing {
    /// 404 or 410, rather than 401 or 403.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.0, StatusCode::NOT_FOUND | StatusCode::GONE)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is not in the cache; run once without --offline")]
pub(crate) struct NotCached(pub(super) String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unreachable,
    /// Reset, time-out or too busy: worth another attempt.
    Transient,
    /// The server does not have this file; others it may have.
    Missing,
    /// Wrong bytes: another attempt would not help.
    Permanent,
    /// A failure of this machine's files: another server would not help.
    Local,
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) cause: anyhow::Error,
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

    pub(super) fn here(cause: anyhow::Error) -> Self {
        Self::new(Kind::Local, cause)
    }

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

    pub(super) fn permanent(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(Kind::Permanent, cause)
    }

    pub(super) fn unreachable(why: String) -> Self {
        Self::new(Kind::Unreachable, Unreachable(why))
    }
}
