//! What must change for what is asked: the table's handlers and the kernel's entries in, steps out. Pure; carrying
//! them out is the business of [`crate::apply`].

mod left;

use std::fmt;

use nix::errno::Errno;

use crate::flags::Flags;
use crate::kernel::{Entries, Entry};
use crate::native::Verdict;
use crate::table::{EMULATOR_DIR, Handler};

pub(crate) use left::{Left, OwnEntry};

/// How handlers are to be registered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Folder of the emulators: absolute, without a slash at the end, so that the root folder is empty.
    pub(crate) emulators: String,
    pub(crate) flags: Flags,
    /// Entries of others go on serving what they serve.
    pub(crate) keep: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { emulators: EMULATOR_DIR.into(), flags: Flags::default(), keep: false }
    }
}

/// What becomes of one handler.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) handler: &'static Handler,
    pub(crate) outcome: Outcome,
    /// In this order; the first that fails is the last.
    pub(crate) changes: &'static [Change],
    /// The entry of somebody else that serves the same programs, or has the name, and stays: its name, and whose it is.
    pub(crate) beside: Option<(String, String)>,
}

/// What is so when the changes are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Registered,
    Replaced(Difference),
    Unchanged,
    Unregistered,
    Absent,
    /// Not wanted on this machine, or not ours to do.
    Skipped(Skip),
    /// Its rule would take these programs of the machine itself.
    TakesNative(&'static str),
    /// It is named, and the kernel's answer told nothing of whether it is needed, for this cause.
    Undecidable(String),
    /// Its emulator's file cannot be what flag `F` needs.
    Unfit(String),
    /// Without flag `F` the kernel would take it, and no program would start: its emulator cannot be executed.
    NotExecutable(Errno),
    /// Entries of others have both names; this is the owner of the second.
    Taken(String),
    /// What is there must be replaced, but an entry of this owner has the second name.
    Blocked(String),
    /// An entry has this name, which is needed, and it cannot be read whose it is.
    Unreadable {
        name: String,
        errno: Errno,
    },
}

impl Outcome {
    /// Whether something that was asked for will not be so.
    pub(crate) fn is_failure(&self) -> bool {
        match self {
            Self::Registered | Self::Replaced(_) | Self::Unchanged | Self::Unregistered | Self::Absent => false,
            Self::Skipped(_) => false,
            Self::TakesNative(_) | Self::Undecidable(_) | Self::Unfit(_) | Self::NotExecutable(_) => true,
            Self::Taken(_) | Self::Blocked(_) | Self::Unreadable { .. } => true,
        }
    }
}

/// Why a handler is not registered although nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    Native,
    /// It would run natively if an entry of ours were not there. That is left to `unregister`: nobody expects
    /// `register` to take something away.
    InTheWay,
    /// Why the kernel's answer told nothing.
    Unknown(String),
    /// An entry of somebody else serves, and is to be kept.
    Served,
}

/// The first difference between an entry of ours and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Disabled,
    Interpreter,
    Flags,
    Pattern,
    /// A newer entry of somebody else serves.
    Shadowed,
    /// The kernel holds another file than the one that is there now.
    File,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "disabled",
            Self::Interpreter => "emulator in another folder",
            Self::Flags => "other flags",
            Self::Pattern => "other magic or mask",
            Self::Shadowed => "shadowed by a newer entry",
            Self::File => "another file",
        })
    }
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Add(Slot),
    Remove(Slot),
}

/// Under which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Own,
    /// Serves while the own entry is exchanged, and for good where somebody else has the own name; otherwise the
    /// leftover of a run that was killed.
    Spare,
}

use Change::{Add, Remove};
use Slot::{Own, Spare};

/// At every moment an entry serves: the newest that matches wins, and the same rule may stand under two names.
const EXCHANGE: &[Change] = &[Add(Spare), Remove(Own), Add(Own), Remove(Spare)];
/// The same where an entry of ours serves under the second name.
const EXCHANGE_BESIDE_SPARE: &[Change] = &[Remove(Own), Add(Own), Remove(Spare)];
/// The same where one is there and does not serve.
const EXCHANGE_AFTER_SPARE: &[Change] = &[Remove(Spare), Add(Spare), Remove(Own), Add(Own), Remove(Spare)];
/// Where the own name is somebody else's, whose entry serves meanwhile, if it can.
const EXCHANGE_SPARE: &[Change] = &[Remove(Spare), Add(Spare)];

impl Slot {
    /// The name of a handler's entry.
    pub(crate) fn name(self, handler: &Handler) -> String {
        match self {
            Own => handler.name.into(),
            Spare => handler.spare_name(),
        }
    }
}

/// What an entry of a handler's name is.
enum Holder<'e> {
    Nobody,
    Us(&'e Entry),
    Other(&'e Entry),
}

/// Ours is what has our name and our emulator, in whatever folder.
fn holder<'e>(handler: &Handler, name: &str, entries: &'e Entries) -> Holder<'e> {
    match entries.get(name) {
        None => Holder::Nobody,
        Some(entry) if entry.emulator() == handler.emulator => Holder::Us(entry),
        Some(entry) => Holder::Other(entry),
    }
}

/// Our entry under the second name.
fn spare<'e>(handler: &Handler, entries: &'e Entries) -> Option<&'e Entry> {
    match holder(handler, &handler.spare_name(), entries) {
        Holder::Us(entry) => Some(entry),
        _ => None,
    }
}

/// The entry of somebody else that serves the handler's programs.
pub(crate) fn server<'e>(handler: &Handler, entries: &'e Entries) -> Option<(&'e str, &'e Entry)> {
    let is_ours = |name: &str| {
        (name == handler.name || name == handler.spare_name())
            && matches!(holder(handler, name, entries), Holder::Us(_))
    };
    entries.server_of(&handler.header()).filter(|(name, _)| !is_ours(name))
}

/// What to do so that `handler` is registered as wanted, if `verdict` says that it is needed.
pub(crate) fn register(handler: &'static Handler, wanted: &Wanted, entries: &Entries, verdict: Verdict) -> Step {
    let server = server(handler, entries);
    let named = |(name, entry): (&str, &Entry)| (name.to_owned(), entry.owner());
    let step = |outcome, changes| Step { handler, outcome, changes, beside: server.map(named) };
    let skipped = |skip| step(Outcome::Skipped(skip), &[]);
    let own = holder(handler, handler.name, entries);
    let spare_entry = spare(handler, entries);
    match verdict {
        Verdict::Needed => {}
        Verdict::Native if matches!(own, Holder::Us(_)) || spare_entry.is_some() => return skipped(Skip::InTheWay),
        Verdict::Native => return skipped(Skip::Native),
        Verdict::Unknown(cause) => return skipped(Skip::Unknown(cause)),
    }
    if wanted.keep && server.is_some() {
        return skipped(Skip::Served);
    }
    match own {
        Holder::Nobody if spare_entry.is_some() => step(Outcome::Registered, &[Add(Own), Remove(Spare)]),
        Holder::Nobody => step(Outcome::Registered, &[Add(Own)]),
        Holder::Us(entry) => match (difference(handler, wanted, entry, server.is_some()), spare_entry) {
            (None, Some(_)) => step(Outcome::Unchanged, &[Remove(Spare)]),
            (None, None) => step(Outcome::Unchanged, &[]),
            (Some(difference), _) => replace(step(Outcome::Replaced(difference), &[]), entries),
        },
        Holder::Other(theirs) => {
            // Their entry need not serve what ours will, and is named all the same.
            let named = Some((handler.name.to_owned(), theirs.owner()));
            let step = |outcome, changes| Step { beside: named, ..step(outcome, changes) };
            match holder(handler, &handler.spare_name(), entries) {
                // It may be ours.
                _ if theirs.unreadable.is_some() => step(taken(handler.name.into(), theirs), &[]),
                Holder::Nobody => step(Outcome::Registered, &[Add(Spare)]),
                Holder::Us(entry) => match difference(handler, wanted, entry, server.is_some()) {
                    None => step(Outcome::Unchanged, &[]),
                    Some(difference) => step(Outcome::Replaced(difference), EXCHANGE_SPARE),
                },
                Holder::Other(entry) => step(taken(handler.spare_name(), entry), &[]),
            }
        }
    }
}

/// The step that replaces what is there by what was found to be unlike it, though its text is the same.
pub(crate) fn replace_file(step: Step, entries: &Entries) -> Step {
    let step = Step { outcome: Outcome::Replaced(Difference::File), ..step };
    match holder(step.handler, step.handler.name, entries) {
        Holder::Other(_) => Step { changes: EXCHANGE_SPARE, ..step },
        _ => replace(step, entries),
    }
}

/// Chooses the exchange of the own entry.
fn replace(step: Step, entries: &Entries) -> Step {
    let handler = step.handler;
    let changes = match holder(handler, &handler.spare_name(), entries) {
        Holder::Nobody => EXCHANGE,
        Holder::Us(spare) if spare.serves(&handler.header()) => EXCHANGE_BESIDE_SPARE,
        Holder::Us(_) => EXCHANGE_AFTER_SPARE,
        Holder::Other(blocking) => return Step { outcome: Outcome::Blocked(blocking.owner()), changes: &[], ..step },
    };
    Step { changes, ..step }
}

/// What to do so that no entry of ours is there for `handler`.
pub(crate) fn unregister(handler: &'static Handler, entries: &Entries) -> Step {
    let step = |outcome, changes| Step { handler, outcome, changes, beside: None };
    match (holder(handler, handler.name, entries), spare(handler, entries)) {
        (Holder::Us(_), Some(_)) => step(Outcome::Unregistered, &[Remove(Own), Remove(Spare)]),
        (Holder::Us(_), None) => step(Outcome::Unregistered, &[Remove(Own)]),
        (_, Some(_)) => step(Outcome::Unregistered, &[Remove(Spare)]),
        (Holder::Nobody, None) => step(Outcome::Absent, &[]),
        (Holder::Other(entry), None) => step(taken(handler.name.into(), entry), &[]),
    }
}

/// An entry of somebody else, or perhaps so, has a name that is needed.
fn taken(name: String, entry: &Entry) -> Outcome {
    match entry.unreadable {
        None => Outcome::Taken(entry.owner()),
        Some(errno) => Outcome::Unreadable { name, errno },
    }
}

/// The entry of ours that is meant to stay, with its name.
pub(crate) fn ours<'e>(handler: &Handler, entries: &'e Entries) -> Option<(String, &'e Entry)> {
    match holder(handler, handler.name, entries) {
        Holder::Us(entry) => Some((handler.name.into(), entry)),
        _ => spare(handler, entries).map(|entry| (handler.spare_name(), entry)),
    }
}

/// How an entry of ours differs from what would be registered.
pub(crate) fn difference(handler: &Handler, wanted: &Wanted, entry: &Entry, is_shadowed: bool) -> Option<Difference> {
    if !entry.enabled {
        Some(Difference::Disabled)
    } else if entry.interpreter != handler.interpreter(&wanted.emulators) {
        Some(Difference::Interpreter)
    } else if !wanted.flags.are(&entry.flags) {
        Some(Difference::Flags)
    } else if entry.pattern != handler.pattern {
        Some(Difference::Pattern)
    } else if is_shadowed {
        Some(Difference::Shadowed)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
