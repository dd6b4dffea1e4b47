//! Plans operations from the wanted state, the table's handlers and the kernel's entries. Pure; [`crate::apply`] carries
//! them out.

mod entry_name;
mod observed;

use std::fmt;

use nix::errno::Errno;

use crate::binfmt_misc::{Entries, Entry};
use crate::native::NativeSupport;
use crate::request::DesiredState;
use crate::table::Handler;

use observed::NameOwner;

pub(crate) use entry_name::{EntryName, Operation, is_ours};
pub(crate) use observed::{ActiveForeignEntry, Observed};

/// The plan for one handler.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HandlerPlan {
    pub(crate) handler: &'static Handler,
    /// The entry's name afterwards: the primary one, or the secondary where another tool has that.
    pub(crate) main: EntryName,
    pub(crate) outcome: PlanOutcome,
    /// In this order, up to the first that fails.
    pub(crate) changes: Vec<Operation>,
    /// Another tool's entry that matches the same programs, or has the name; it stays.
    pub(crate) beside: Option<ForeignEntry>,
    /// The active entry has flag `C`, the new one has not.
    pub(crate) loses_credentials: bool,
}

/// Handlers whose programs are left to other tools' entries, by name, and what is wrong with entries that are not left.
#[derive(Debug, Default)]
pub(crate) struct LeftToOthers {
    pub(crate) kept: Vec<&'static str>,
    pub(crate) faults: Vec<(&'static str, String)>,
}

impl LeftToOthers {
    pub(crate) fn keeps(&self, handler: &Handler) -> bool {
        self.kept.contains(&handler.name)
    }

    pub(crate) fn fault(&self, handler: &Handler) -> Option<&str> {
        self.faults.iter().find(|(name, _)| *name == handler.name).map(|(_, fault)| fault.as_str())
    }
}

/// Another tool's entry for this target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ForeignEntry {
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) owner: String,
    /// It matches only some ELF variants, or none.
    pub(crate) covers_some: bool,
    /// Why its programs do not run, if that was tested.
    pub(crate) fault: Option<String>,
}

/// Result once all operations succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlanOutcome {
    Registered,
    Replaced(Drift),
    /// The same entry, with the emulator's file opened again.
    Refreshed,
    Unchanged,
    Unregistered,
    Absent,
    /// Not wanted on this machine, or not ours to do.
    Skipped(SkipReason),
    /// The handler is named, and the check whether this machine needs it failed, for this cause.
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

impl PlanOutcome {
    /// Whether the wanted state is not reached.
    pub(crate) fn is_failure(&self) -> bool {
        match self {
            Self::Registered | Self::Replaced(_) | Self::Refreshed | Self::Unchanged => false,
            Self::Unregistered | Self::Absent | Self::Skipped(_) => false,
            Self::Undecidable(_) | Self::Unfit(_) | Self::NotExecutable(_) => true,
            Self::Taken { .. } | Self::Blocked { .. } | Self::Unreadable { .. } => true,
        }
    }
}

/// Why a handler is not registered although nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SkipReason {
    Native,
    /// It runs natively once our entry is gone. `register` removes nothing: that is for `unregister`.
    ShadowsNative,
    /// The check whether it runs natively failed, for this cause.
    Unknown(String),
    /// Entries of others serve all of its programs, and `--keep` is set.
    Served,
    /// The same without `--keep`: this entry is of a translator that all is not taken from.
    LeftTo(String),
}

/// The first difference between an entry of ours and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    Disabled,
    Interpreter,
    Flags,
    Rule,
    /// A newer entry of somebody else serves all of its programs, or some.
    Shadowed,
    /// A newer entry of ours serves under another name: left by a run that was killed, and perhaps by another file.
    Leftover,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "disabled",
            Self::Interpreter => "emulator in another folder",
            Self::Flags => "other flags",
            Self::Rule => "other magic or mask",
            Self::Shadowed => "shadowed by a newer entry",
            Self::Leftover => "served by what a killed run has left",
        })
    }
}

use EntryName::{Primary, Secondary};
use Operation::{Add, Remove};

/// What to do so that `handler` is registered as wanted, if `support` says that it is needed, and unless it is `left` to
/// others. `has_emulator`: whether the emulator's file is there, for the kernel to open it again.
pub(crate) fn register(
    handler: &'static Handler,
    desired: &DesiredState,
    entries: &Entries,
    support: NativeSupport,
    left: &LeftToOthers,
    has_emulator: impl Fn() -> bool,
) -> HandlerPlan {
    let found = Observed::new(handler, entries);
    let server = found.server();
    let main = main_entry_name(&found);
    let fault = || left.fault(handler).map(str::to_owned);
    let beside = match found.holder(Primary) {
        // It need not serve what ours will, and is named all the same.
        NameOwner::Foreign(theirs) => {
            Some(ForeignEntry { name: handler.name.into(), owner: theirs.owner(), covers_some: true, fault: fault() })
        }
        _ => server.as_ref().map(|server| ForeignEntry { fault: fault(), ..server.into() }),
    };
    let loses_credentials =
        found.servers().any(|(_, entry)| entry.flags.contains('C')) && !desired.flags.honours_credentials();
    let plan = |outcome| HandlerPlan { handler, main, outcome, changes: Vec::new(), beside, loses_credentials };
    match support {
        NativeSupport::Needed => {}
        NativeSupport::Native => {
            let reason = if found.ours().is_some() { SkipReason::ShadowsNative } else { SkipReason::Native };
            return plan(PlanOutcome::Skipped(reason));
        }
        NativeSupport::Unknown(cause) => return plan(PlanOutcome::Skipped(SkipReason::Unknown(cause))),
    }
    if let Some(server) = server.filter(|_| left.keeps(handler)) {
        let left_to = || SkipReason::LeftTo(server.name.display().to_string());
        let reason = if desired.keep_foreign { SkipReason::Served } else { left_to() };
        return HandlerPlan { beside: Some((&server).into()), ..plan(PlanOutcome::Skipped(reason)) };
    }
    let leftovers = found.names_of_ours().filter(|entry_name| *entry_name != main).map(Remove);
    match found.holder(main) {
        NameOwner::Free => {
            HandlerPlan { changes: [Add(main)].into_iter().chain(leftovers).collect(), ..plan(PlanOutcome::Registered) }
        }
        NameOwner::Ours(_) => match found.difference(desired) {
            // The kernel may hold another file than the one that is there now, and does not show which.
            None if desired.flags.fixes_binary() && has_emulator() => exchange(plan(PlanOutcome::Refreshed), &found),
            None => HandlerPlan { changes: leftovers.collect(), ..plan(PlanOutcome::Unchanged) },
            Some(difference) => exchange(plan(PlanOutcome::Replaced(difference)), &found),
        },
        NameOwner::Foreign(theirs) => plan(taken(main.name(handler), theirs)),
    }
}

/// The name of the entry that is to stay. One that cannot be read may be ours.
fn main_entry_name(found: &Observed<'_>) -> EntryName {
    match found.holder(Primary) {
        NameOwner::Foreign(theirs) if theirs.unreadable.is_none() => Secondary,
        _ => Primary,
    }
}

/// The plan that exchanges the entry that is to stay. At every moment one of ours serves, if one did before: the newest
/// that matches wins, and the same rule may stand under several names.
fn exchange(plan: HandlerPlan, found: &Observed<'_>) -> HandlerPlan {
    let (main, standby) = (plan.main, plan.main.standby());
    let is_covered = |entry_name: EntryName| {
        entry_name != main && matches!(found.holder(entry_name), NameOwner::Ours(it) if found.matches_all(it))
    };
    let mut changes = Vec::new();
    let mut others: Vec<_> = found.names_of_ours().filter(|entry_name| *entry_name != main).collect();
    if !others.iter().copied().any(is_covered) {
        match found.holder(standby) {
            NameOwner::Free => {}
            NameOwner::Ours(_) => changes.push(Remove(standby)),
            NameOwner::Foreign(theirs) => {
                let (name, owner) = (standby.name(plan.handler), theirs.owner());
                return HandlerPlan { outcome: PlanOutcome::Blocked { name, owner }, changes, ..plan };
            }
        }
        changes.push(Add(standby));
        // The last to go: what is taken back goes the same way, and needs it first.
        others.retain(|entry_name| *entry_name != standby);
        others.push(standby);
    }
    changes.extend([Remove(main), Add(main)]);
    changes.extend(others.into_iter().map(Remove));
    HandlerPlan { changes, ..plan }
}

/// What to do so that no entry of ours is there for `handler`.
pub(crate) fn unregister(handler: &'static Handler, entries: &Entries) -> HandlerPlan {
    let found = Observed::new(handler, entries);
    let changes: Vec<_> = found.names_of_ours().map(Remove).collect();
    let outcome = match found.holder(Primary) {
        _ if !changes.is_empty() => PlanOutcome::Unregistered,
        NameOwner::Foreign(theirs) => taken(handler.name.into(), theirs),
        _ => PlanOutcome::Absent,
    };
    HandlerPlan { handler, main: main_entry_name(&found), outcome, changes, beside: None, loses_credentials: false }
}

/// An entry of somebody else, or perhaps so, has a name that is needed.
fn taken(name: String, entry: &Entry) -> PlanOutcome {
    match entry.unreadable {
        None => PlanOutcome::Taken { name, owner: entry.owner() },
        Some(errno) => PlanOutcome::Unreadable { name, errno },
    }
}

impl From<&ActiveForeignEntry<'_>> for ForeignEntry {
    fn from(server: &ActiveForeignEntry<'_>) -> Self {
        Self {
            name: server.name.display().to_string(),
            owner: server.entry.owner(),
            covers_some: !server.is_of_all,
            fault: None,
        }
    }
}

/// What of ours is there after a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    pub(crate) main: MainEntry,
    /// Under the other names.
    pub(crate) others: Vec<EntryName>,
}

/// What is there under the name of the entry that is meant to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MainEntry {
    Nothing,
    Before,
    AsWanted,
}

impl HandlerPlan {
    /// What is there now, as `entry` reads it.
    pub(crate) fn remaining(&self, desired: &DesiredState, entry: impl Fn(&str) -> Option<Entry>) -> Remaining {
        let ours = |name: EntryName| entry(&name.name(self.handler)).filter(|entry| entry.is_of(self.handler));
        let main = match ours(self.main) {
            None => MainEntry::Nothing,
            Some(entry)
                if self.outcome != PlanOutcome::Unregistered
                    && text_difference(self.handler, desired, &entry).is_none() =>
            {
                MainEntry::AsWanted
            }
            Some(_) => MainEntry::Before,
        };
        let others = EntryName::ALL.into_iter().filter(|name| *name != self.main && ours(*name).is_some());
        Remaining { main, others: others.collect() }
    }
}

/// How the text of an entry of ours differs from what would be registered.
pub(crate) fn text_difference(handler: &Handler, desired: &DesiredState, entry: &Entry) -> Option<Drift> {
    if !entry.enabled {
        Some(Drift::Disabled)
    } else if !handler.is_interpreter(&entry.interpreter, &desired.emulators) {
        Some(Drift::Interpreter)
    } else if !desired.flags.are(&entry.flags) {
        Some(Drift::Flags)
    } else if !entry.rule.as_ref().is_some_and(|rule| rule.equals(&handler.rule)) {
        Some(Drift::Rule)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
