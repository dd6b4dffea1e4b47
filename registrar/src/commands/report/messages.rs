//! What is said of one handler. What all of it adds up to is [`super`]'s business.

use std::path::Path;

use super::{Mode, Verb};
use crate::binfmt_misc::{Error, plain};
use crate::cli::Asked;
use crate::plan::{Beside, Change, Left, MainEntry, Outcome, Skip, Slot, Step};
use crate::table::Handler;

/// What words depend on: what is done and where, and what was asked for.
pub(super) struct Words<'a> {
    pub(super) verb: Verb,
    pub(super) mode: Mode,
    pub(super) folder: &'a Path,
    pub(super) asked: &'a Asked,
}

/// Of one handler.
pub(super) struct Said {
    pub(super) word: &'static str,
    pub(super) detail: String,
    /// If something will not be as it was asked for.
    pub(super) failure: Option<Failure>,
}

/// For standard error.
pub(super) struct Failure {
    /// The entry's, or that of the target.
    pub(super) name: &'static str,
    /// The whole line, if it stays the only one.
    pub(super) alone: String,
    /// The cause, for several that have it in common.
    pub(super) common: String,
}

impl Words<'_> {
    pub(super) fn doing(&self) -> &'static str {
        match self.verb {
            Verb::Register => "registering",
            Verb::Unregister => "unregistering",
        }
    }

    pub(super) fn word(&self, done: &'static str, to_do: &'static str) -> &'static str {
        if self.mode == Mode::Real { done } else { to_do }
    }

    /// Of a step in which nothing failed, unless nothing need be told.
    pub(super) fn said(&self, step: &Step) -> Option<Said> {
        let handler = step.handler;
        let interpreter = || handler.interpreter(&self.asked.wanted.emulators);
        let is_named = !self.asked.targets.is_empty();
        let said = |word, detail: String| Said { word, detail: detail + &beside(step), failure: None };
        Some(match step.outcome.clone() {
            Outcome::Registered => said(self.word("registered", "to register"), interpreter()),
            Outcome::Replaced(difference) => {
                let detail = format!("{} ({}: {difference})", interpreter(), self.word("before", "now"));
                said(self.word("replaced", "to replace"), detail)
            }
            Outcome::Unchanged => said("unchanged", interpreter()),
            Outcome::Unregistered => said(self.word("unregistered", "to remove"), String::new()),
            Outcome::Absent if is_named => said("absent", "was not registered".into()),
            Outcome::Absent => return None,
            Outcome::Skipped(Skip::Served) => said("left alone", "already".into()),
            Outcome::Skipped(skip) => said("skipped", skipped(handler.target, &skip)),
            outcome => self.refused(handler, outcome)?,
        })
    }

    /// Of what will not be as it was asked for, and of what belongs to somebody else.
    fn refused(&self, handler: &'static Handler, outcome: Outcome) -> Option<Said> {
        let name = handler.name;
        let interpreter = handler.interpreter(&self.asked.wanted.emulators);
        let failed = |detail, alone, common| {
            let failure = Some(Failure { name, alone, common });
            Said { word: "failed", detail, failure }
        };
        Some(match outcome {
            Outcome::TakesNative(native) => {
                let cause = format!("its rule would take {native} too");
                let alone =
                    format!("registering {name}: {cause}; nothing is wrong with the machine, but with the table");
                failed(cause.clone(), alone, cause)
            }
            Outcome::Unfit(why) => {
                let advice = "flag F needs a static emulator of this machine; or --no-fix-binary";
                let alone = format!("registering {name}: {interpreter}: {why}; {advice}");
                failed(format!("{interpreter}: {why}"), alone, format!("{why}; {advice}"))
            }
            Outcome::NotExecutable(errno) => {
                let folder = self.asked.wanted.emulators.clone();
                let cause = Error::Add { name, folder, interpreter: interpreter.clone(), errno };
                failed(interpreter, cause.to_string(), cause.of_many())
            }
            Outcome::Undecidable(cause) => {
                let cause = format!("cannot tell whether it runs natively: {cause}");
                let alone = format!("registering {}: {cause}", handler.target);
                let failure = Failure { name: handler.target, alone, common: cause.clone() };
                Said { word: "skipped", detail: cause, failure: Some(failure) }
            }
            Outcome::Taken { name: taken, owner } => {
                // Of all, only ours are to be removed.
                let is_failure = self.verb == Verb::Register || !self.asked.targets.is_empty();
                let failure = is_failure.then(|| self.name_taken(handler, &taken, &owner));
                let of_which = if taken == name { String::new() } else { format!("{taken} ") };
                Said { word: "left alone", detail: format!("{of_which}belongs to {owner}"), failure }
            }
            Outcome::Blocked { name: taken, owner } => {
                let failure = Some(self.name_taken(handler, &taken, &owner));
                let detail = format!("the entry that was there stays; {taken} belongs to {owner}");
                Said { word: "failed", detail, failure }
            }
            Outcome::Unreadable { name: unread, errno } => {
                let cause = plain(errno);
                let whose = if unread == name { "whose entry it is".into() } else { format!("whose {unread} is") };
                let error = Error::Read { path: self.folder.join(unread), errno };
                failed(format!("cannot tell {whose}: {cause}"), error.to_string(), error.of_many())
            }
            Outcome::Registered | Outcome::Replaced(_) | Outcome::Unchanged => return None,
            Outcome::Unregistered | Outcome::Absent | Outcome::Skipped(_) => return None,
        })
    }

    /// A name that is needed for `handler` belongs to somebody else.
    fn name_taken(&self, handler: &'static Handler, name: &str, owner: &str) -> Failure {
        let (doing, folder) = (self.doing(), self.folder.display());
        let suffix = &name[handler.name.len()..];
        let what = if suffix.is_empty() { "the name".into() } else { format!("the name {name}") };
        let alone =
            format!("{doing} {}: {what} belongs to {owner}; to remove that: echo -1 > {folder}/{name}", handler.name);
        let common = format!(
            "the names{} belong to others, see registrar status; to remove one: echo -1 > {folder}/NAME{suffix}",
            if suffix.is_empty() { String::new() } else { format!(" with {suffix}") }
        );
        Failure { name: handler.name, alone, common }
    }

    /// Of what the kernel refused.
    pub(super) fn failed(&self, handler: &'static Handler, cause: &Error, left: Left) -> Said {
        let hint = cause.hint(&self.asked.wanted.flags).map(|hint| format!("; {hint}")).unwrap_or_default();
        let (alone, common) = (format!("{cause}{hint}"), cause.of_many() + &hint);
        let failure = Some(Failure { name: handler.name, alone, common });
        Said { word: "failed", detail: self.left(handler, &left), failure }
    }

    /// What a failure has left.
    fn left(&self, handler: &Handler, left: &Left) -> String {
        let names: Vec<_> = left.beside.iter().map(|slot| slot.name(handler)).collect();
        let beside = names.join(" and ");
        let stay = if names.len() == 1 { "stays" } else { "stay" };
        let do_so = if names.len() == 1 { "does" } else { "do" };
        match (left.main, names.is_empty()) {
            (MainEntry::Nothing, true) => handler.interpreter(&self.asked.wanted.emulators),
            (MainEntry::Nothing, false) => format!("served by {beside}"),
            (MainEntry::Before, true) => "the entry that was there stays".into(),
            (MainEntry::Before, false) => format!("the entry that was there stays, and so {do_so} {beside}"),
            (MainEntry::Wanted, true) => "in place".into(),
            (MainEntry::Wanted, false) => format!("in place, but {beside} {stay} as well"),
        }
    }

    /// A write to the kernel, made or to be made.
    pub(super) fn change(&self, handler: &Handler, change: Change) -> String {
        let wanted = &self.asked.wanted;
        match change {
            Change::Add(slot) => handler.line_with(slot.suffix(), &wanted.emulators, &wanted.flags).into_owned(),
            Change::Remove(slot) => format!("-1 to {}", slot.name(handler)),
        }
    }
}

/// Why a target is not registered although nothing failed.
pub(super) fn skipped(target: &str, skip: &Skip) -> String {
    match skip {
        Skip::Native => "runs natively".into(),
        Skip::InTheWay => {
            format!("runs natively, but an entry of ours is there; to remove it: registrar unregister {target}")
        }
        Skip::Unknown(cause) => format!("cannot tell whether it runs natively: {cause}"),
        Skip::Served => "served by somebody else".into(),
    }
}

/// The entry of somebody else that has to do with a step, if one has.
fn beside(step: &Step) -> String {
    let Some(Beside { name, owner, is_partial }) = &step.beside else { return String::new() };
    let is_served = matches!(step.outcome, Outcome::Registered | Outcome::Replaced(_) | Outcome::Unchanged);
    match step.outcome {
        Outcome::Skipped(Skip::Served) => format!(" served by {name}, {owner}"),
        _ if is_served && step.main != Slot::Own => {
            format!(", as {}: the name {name} belongs to {owner}", step.main.name(step.handler))
        }
        _ if is_served && *is_partial => format!(", before {name} ({owner}), which takes only some and stays"),
        _ if is_served => format!(", before {name} ({owner}), which stays"),
        _ => String::new(),
    }
}
