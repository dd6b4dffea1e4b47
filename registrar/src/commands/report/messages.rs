//! The message about one result.

use super::{Action, DryRun, Report};
use crate::apply::{PlanResult, PlanStatus};
use crate::binfmt_misc::Error;
use crate::plan::{EntryName, ForeignEntry, HandlerPlan, MainEntry, Operation, PlanOutcome, Remaining, SkipReason};
use crate::sys::errno_text;
use crate::table::Handler;

pub(super) struct Message {
    pub(super) word: &'static str,
    pub(super) detail: String,
    pub(super) failure: Option<Failure>,
}

/// For standard error.
pub(super) struct Failure {
    /// Name of the entry or the target.
    pub(super) name: &'static str,
    /// The line, if no other handler fails for this cause.
    pub(super) alone: String,
    /// The cause, which groups failures.
    pub(super) common: String,
}

impl Report<'_> {
    pub(super) fn doing(&self) -> &'static str {
        match self.action {
            Action::Register => "registering",
            Action::Unregister => "unregistering",
        }
    }

    /// In a dry run, the second form.
    pub(super) fn word(&self, done: &'static str, to_do: &'static str) -> &'static str {
        if self.dry_run == DryRun::No { done } else { to_do }
    }

    /// `None`: not worth a row.
    pub(super) fn message(&self, result: &PlanResult) -> Option<Message> {
        match &result.end {
            PlanStatus::NotTried => Some(Message { word: "not tried", detail: String::new(), failure: None }),
            PlanStatus::Failed(cause, remaining) => {
                let handler = result.plan.handler;
                let hint = cause.hint(&self.args.desired.flags).map(|hint| format!("; {hint}")).unwrap_or_default();
                let (alone, common) = (format!("{cause}{hint}"), cause.grouped_text() + &hint);
                let failure = Some(Failure { name: handler.name, alone, common });
                Some(Message { word: "failed", detail: self.remaining(handler, remaining), failure })
            }
            PlanStatus::AsPlanned => self.as_planned(&result.plan),
        }
    }

    fn as_planned(&self, plan: &HandlerPlan) -> Option<Message> {
        let handler = plan.handler;
        let interpreter = || handler.interpreter(&self.args.desired.emulators);
        let is_named = !self.args.targets.is_empty();
        let message = |word, detail: String| Message { word, detail: detail + &beside(plan), failure: None };
        Some(match plan.outcome.clone() {
            PlanOutcome::Registered => message(self.word("registered", "to register"), interpreter()),
            PlanOutcome::Replaced(difference) => {
                let detail = format!("{} ({}: {difference})", interpreter(), self.word("before", "now"));
                message(self.word("replaced", "to replace"), detail)
            }
            PlanOutcome::Refreshed => message(self.word("refreshed", "to refresh"), interpreter()),
            // With flag F an entry is refreshed if the emulator's file exists.
            PlanOutcome::Unchanged if self.args.desired.flags.fixes_binary() => {
                let note = " (no such file here: the kernel keeps the file that it opened)";
                message("unchanged", interpreter() + note)
            }
            PlanOutcome::Unchanged => message("unchanged", interpreter()),
            PlanOutcome::Unregistered => message(self.word("unregistered", "to remove"), String::new()),
            PlanOutcome::Absent if is_named => message("absent", "was not registered".into()),
            PlanOutcome::Absent => return None,
            PlanOutcome::Skipped(SkipReason::Served) => message("left alone", "already".into()),
            PlanOutcome::Skipped(skip) => message("skipped", skipped(handler.target, &skip)),
            outcome => self.refused(handler, outcome)?,
        })
    }

    /// Outcomes that are failures, and entries of other tools.
    fn refused(&self, handler: &'static Handler, outcome: PlanOutcome) -> Option<Message> {
        let name = handler.name;
        let interpreter = handler.interpreter(&self.args.desired.emulators);
        let failed = |detail, alone, common| {
            let failure = Some(Failure { name, alone, common });
            Message { word: "failed", detail, failure }
        };
        Some(match outcome {
            PlanOutcome::Unfit(why) => {
                let advice = "flag F needs a static emulator of this machine; or --no-fix-binary";
                let alone = format!("registering {name}: {interpreter}: {why}; {advice}");
                failed(format!("{interpreter}: {why}"), alone, format!("{why}; {advice}"))
            }
            PlanOutcome::NotExecutable(errno) => {
                let folder = self.args.desired.emulators.clone();
                let cause = Error::Add { name, folder, interpreter: interpreter.clone(), errno };
                failed(interpreter, cause.to_string(), cause.grouped_text())
            }
            PlanOutcome::Undecidable(cause) => {
                let cause = format!("cannot tell whether it runs natively: {cause}");
                let alone = format!("registering {}: {cause}", handler.target);
                let failure = Failure { name: handler.target, alone, common: cause.clone() };
                Message { word: "skipped", detail: cause, failure: Some(failure) }
            }
            PlanOutcome::Taken { name: taken, owner } => {
                // `unregister` without names removes only ours.
                let is_failure = self.action == Action::Register || !self.args.targets.is_empty();
                let failure = is_failure.then(|| self.name_taken(handler, &taken, &owner));
                let of_which = if taken == name { String::new() } else { format!("{taken} ") };
                Message { word: "left alone", detail: format!("{of_which}belongs to {owner}"), failure }
            }
            PlanOutcome::Blocked { name: taken, owner } => {
                let failure = Some(self.name_taken(handler, &taken, &owner));
                let detail = format!("the old entry stays; {taken} belongs to {owner}");
                Message { word: "failed", detail, failure }
            }
            PlanOutcome::Unreadable { name: unread, errno } => {
                let detail = format!("cannot read {unread}: {}", errno_text(errno));
                let error = Error::Read { path: self.at.join(unread), errno };
                failed(detail, error.to_string(), error.grouped_text())
            }
            _ => return None,
        })
    }

    /// Another tool's entry has a name that `handler` needs.
    fn name_taken(&self, handler: &'static Handler, name: &str, owner: &str) -> Failure {
        let (doing, folder) = (self.doing(), self.at.display());
        let suffix = &name[handler.name.len()..];
        let what = if suffix.is_empty() { "the name".into() } else { format!("the name {name}") };
        let alone =
            format!("{doing} {}: {what} belongs to {owner}; to remove that: echo -1 > {folder}/{name}", handler.name);
        let common = format!(
            "the names{} belong to other tools; to remove one: echo -1 > {folder}/NAME{suffix}",
            if suffix.is_empty() { String::new() } else { format!(" with {suffix}") }
        );
        Failure { name: handler.name, alone, common }
    }

    /// What of ours is there after a failure.
    fn remaining(&self, handler: &Handler, remaining: &Remaining) -> String {
        let names: Vec<_> = remaining.others.iter().map(|entry_name| entry_name.name(handler)).collect();
        let main = match remaining.main {
            MainEntry::Nothing if names.is_empty() => return handler.interpreter(&self.args.desired.emulators),
            MainEntry::Nothing => "removed",
            MainEntry::Before => "the old entry stays",
            MainEntry::AsWanted => "in place",
        };
        if names.is_empty() { main.into() } else { format!("{main}; left over: {}", names.join(", ")) }
    }

    /// A write to the kernel.
    pub(super) fn change(&self, handler: &Handler, change: Operation) -> String {
        let desired = &self.args.desired;
        match change {
            Operation::Add(entry_name) => {
                handler.line_with(entry_name.suffix(), &desired.emulators, &desired.flags).into_owned()
            }
            Operation::Remove(entry_name) => format!("-1 to {}", entry_name.name(handler)),
        }
    }
}

fn skipped(target: &str, skip: &SkipReason) -> String {
    match skip {
        SkipReason::Native => "runs natively".into(),
        SkipReason::ShadowsNative => {
            format!("runs natively, but has an entry of ours; to remove it: registrar unregister {target}")
        }
        SkipReason::Unknown(cause) => format!("cannot tell whether it runs natively: {cause}"),
        SkipReason::LeftTo(name) => format!("served by {name}"),
        SkipReason::Served => "handled by another tool".into(),
    }
}

/// Whether the plan leaves an entry of ours.
pub(super) fn has_entry(outcome: &PlanOutcome) -> bool {
    use PlanOutcome::{Refreshed, Registered, Replaced, Unchanged};
    matches!(outcome, Registered | Replaced(_) | Refreshed | Unchanged)
}

/// About another tool's entry for this target, if there is one.
fn beside(plan: &HandlerPlan) -> String {
    let Some(ForeignEntry { name, owner, covers_some, fault }) = &plan.beside else { return String::new() };
    let is_served = has_entry(&plan.outcome);
    match plan.outcome {
        PlanOutcome::Skipped(SkipReason::Served) => format!(" served by {name}, {owner}"),
        _ if is_served && fault.is_some() => {
            format!(", before {name} ({owner}), which does not work: {}", fault.as_deref().unwrap_or_default())
        }
        _ if is_served && plan.main != EntryName::Primary => {
            format!(", as {}: the name {name} belongs to {owner}", plan.main.name(plan.handler))
        }
        _ if is_served && *covers_some => {
            format!(", before {name} ({owner}), which matches only some programs and stays")
        }
        _ if is_served => format!(", before {name} ({owner}), which stays"),
        _ => String::new(),
    }
}
