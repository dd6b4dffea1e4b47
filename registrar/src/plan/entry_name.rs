//! The names that a handler's entries may have, and changes of one entry.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::binfmt_misc::Entry;
use crate::table::{Handler, NAME_SUFFIXES};

/// Under which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryName {
    Primary,
    /// Serves while the own entry is exchanged, and for good where somebody else has the own name; otherwise the
    /// leftover of a run that was killed.
    Secondary,
    /// Serves while the entry under the second name is exchanged that is there for good; otherwise a leftover.
    Tertiary,
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add(EntryName),
    Remove(EntryName),
}

impl EntryName {
    pub(crate) const ALL: [Self; 3] = [Self::Primary, Self::Secondary, Self::Tertiary];

    /// What stands after the handler's name.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Primary => "",
            Self::Secondary => NAME_SUFFIXES[0],
            Self::Tertiary => NAME_SUFFIXES[1],
        }
    }

    /// The name of a handler's entry.
    pub(crate) fn name(self, handler: &Handler) -> String {
        handler.name_with(self.suffix()).into_owned()
    }

    /// Which name of a handler this is, if it is one.
    pub(super) fn of(handler: &Handler, name: &OsStr) -> Option<Self> {
        let (name, own) = (name.as_bytes(), handler.name.as_bytes());
        // The end first: all names begin alike, and few are as long.
        let suffix = name.get(own.len()..)?;
        let found = Self::ALL.into_iter().find(|known| known.suffix().as_bytes() == suffix);
        found.filter(|_| name.starts_with(own))
    }

    /// Under which name an entry serves while the one of this name is exchanged.
    pub(super) fn standby(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary | Self::Tertiary => Self::Tertiary,
        }
    }
}

/// Ours is what has a name of ours and our emulator, in whatever folder.
pub(crate) fn is_ours(handler: &Handler, name: &OsStr, entry: &Entry) -> bool {
    EntryName::of(handler, name).is_some() && entry.is_of(handler)
}
