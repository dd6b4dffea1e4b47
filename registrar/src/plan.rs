//! What must change for what is asked: the table's handlers and the kernel's entries in, steps out. Pure; carrying
//! them out is the business of [`crate::apply`].

mod entry_name;
mod observed;
mod remaining;

use std::fmt;

use nix::errno::Errno;

use crate::binfmt_misc::{Entries, Entry};
use crate::flags::Flags;
use crate::native::Verdict;
use crate::table::{EMULATOR_DIR, Handler};

use observed::Holder;

pub(crate) use entry_name::{Change, Slot, is_ours};
pub(crate) use observed::{Found, Server};
pub(crate) use remaining::{Left, MainEntry};

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
    /// The name of the entry that is meant to stay: the own one, or the second where somebody else has that.
    pub(crate) main: Slot,
    pub(crate) outcome: Outcome,
    /// In this order; the first that fails is the last.
    pub(crate) changes: Vec<Change>,
    /// The entry of somebody else that serves the same programs, or has the name, and stays.
    pub(crate) beside: Option<Beside>,
}

/// An entry of somebody else.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) owner: String,
    /// It serves some kinds of the programs, or none of them.
    pub(crate) is_partial: bool,
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
    /// Entries of others have both names, or what would be removed is somebody else's: the last name, and its owner.
    Taken {
        name: String,
        owner: String,
    },
    /// What is there must be replaced, but an entry of this owner has the name under which another would serve meanwhile.
    Blocked {
        name: String,
        owner: String,
    },
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
            Self::Taken { .. } | Self::Blocked { .. } | Self::Unreadable { .. } => true,
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
    /// Entries of others serve all of its programs, and are to be kept.
    Served,
}

/// The first difference between an entry of ours and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Disabled,
    Interpreter,
    Flags,
    Pattern,
    /// A newer entry of somebody else serves all of its programs, or some.
    Shadowed,
    /// A newer entry of ours serves under another name: left by a run that was killed, and perhaps by another file.
    Leftover,
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
            Self::Leftover => "served by what a killed run has left",
            Self::File => "another file",
        })
    }
}

use Change::{Add, Remove};
use Slot::{Own, Spare};

/// What to do so that `handler` is registered as wanted, if `verdict` says that it is needed.
pub(crate) fn register(handler: &'static Handler, wanted: &Wanted, entries: &Entries, verdict: Verdict) -> Step {
    let found = Found::new(handler, entries);
    let server = found.server();
    let main = main_slot(&found);
    let beside = match found.holder(Own) {
        // It need not serve what ours will, and is named all the same.
        Holder::Other(theirs) => Some(Beside { name: handler.name.into(), owner: theirs.owner(), is_partial: true }),
        _ => server.as_ref().map(Beside::from),
    };
    let step = |outcome| Step { handler, main, outcome, changes: Vec::new(), beside };
    match verdict {
        Verdict::Needed => {}
        Verdict::Native if found.ours().is_some() => return step(Outcome::Skipped(Skip::InTheWay)),
        Verdict::Native => return step(Outcome::Skipped(Skip::Native)),
        Verdict::Unknown(cause) => return step(Outcome::Skipped(Skip::Unknown(cause))),
    }
    if let Some(server) = server.filter(|server| wanted.keep && server.is_of_all) {
        return Step { beside: Some(Beside::from(&server)), ..step(Outcome::Skipped(Skip::Served)) };
    }
    let leftovers = found.slots_of_ours().filter(|slot| *slot != main).map(Remove);
    match found.holder(main) {
        Holder::Nobody => {
            Step { changes: [Add(main)].into_iter().chain(leftovers).collect(), ..step(Outcome::Registered) }
        }
        Holder::Us(_) => match found.difference(wanted) {
            None => Step { changes: leftovers.collect(), ..step(Outcome::Unchanged) },
            Some(difference) => exchange(step(Outcome::Replaced(difference)), &found),
        },
        Holder::Other(theirs) => step(taken(main.name(handler), theirs)),
    }
}

/// The name of the entry that is to stay. One that cannot be read may be ours.
fn main_slot(found: &Found<'_>) -> Slot {
    match found.holder(Own) {
        Holder::Other(theirs) if theirs.unreadable.is_none() => Spare,
        _ => Own,
    }
}

/// The step that replaces what is there by what was found to be unlike it, though its text is the same.
pub(crate) fn replace_file(step: Step, entries: &Entries) -> Step {
    let found = Found::new(step.handler, entries);
    exchange(Step { outcome: Outcome::Replaced(Difference::File), ..step }, &found)
}

/// The step that exchanges the entry that is to stay. At every moment one of ours serves, if one did before: the newest
/// that matches wins, and the same rule may stand under several names.
fn exchange(step: Step, found: &Found<'_>) -> Step {
    let (main, helper) = (step.main, step.main.helper());
    let is_covered = |slot: Slot| slot != main && matches!(found.holder(slot), Holder::Us(it) if found.takes_all(it));
    let mut changes = Vec::new();
    let mut others: Vec<_> = found.slots_of_ours().filter(|slot| *slot != main).collect();
    if !others.iter().copied().any(is_covered) {
        match found.holder(helper) {
            Holder::Nobody => {}
            Holder::Us(_) => changes.push(Remove(helper)),
            Holder::Other(theirs) => {
                let (name, owner) = (helper.name(step.handler), theirs.owner());
                return Step { outcome: Outcome::Blocked { name, owner }, changes, ..step };
            }
        }
        changes.push(Add(helper));
        // The last to go: what is taken back goes the same way, and needs it first.
        others.retain(|slot| *slot != helper);
        others.push(helper);
    }
    changes.extend([Remove(main), Add(main)]);
    changes.extend(others.into_iter().map(Remove));
    Step { changes, ..step }
}

/// What to do so that no entry of ours is there for `handler`.
pub(crate) fn unregister(handler: &'static Handler, entries: &Entries) -> Step {
    let found = Found::new(handler, entries);
    let changes: Vec<_> = found.slots_of_ours().map(Remove).collect();
    let outcome = match found.holder(Own) {
        _ if !changes.is_empty() => Outcome::Unregistered,
        Holder::Other(theirs) => taken(handler.name.into(), theirs),
        _ => Outcome::Absent,
    };
    Step { handler, main: main_slot(&found), outcome, changes, beside: None }
}

/// An entry of somebody else, or perhaps so, has a name that is needed.
fn taken(name: String, entry: &Entry) -> Outcome {
    match entry.unreadable {
        None => Outcome::Taken { name, owner: entry.owner() },
        Some(errno) => Outcome::Unreadable { name, errno },
    }
}

impl From<&Server<'_>> for Beside {
    fn from(server: &Server<'_>) -> Self {
        Self { name: server.name.into(), owner: server.entry.owner(), is_partial: !server.is_of_all }
    }
}

/// How the text of an entry of ours differs from what would be registered.
pub(crate) fn text_difference(handler: &Handler, wanted: &Wanted, entry: &Entry) -> Option<Difference> {
    if !entry.enabled {
        Some(Difference::Disabled)
    } else if entry.interpreter != handler.interpreter(&wanted.emulators) {
        Some(Difference::Interpreter)
    } else if !wanted.flags.are(&entry.flags) {
        Some(Difference::Flags)
    } else if entry.pattern != handler.pattern {
        Some(Difference::Pattern)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
