//! The report of `register` and `unregister`, as functions of the list of results: a row for each, a summary, the failures.
//! [`messages`] has the text about one result, [`compat_log`] the formats of other images.

mod compat_log;
mod failures;
mod messages;

use std::path::Path;

use crate::apply::{PlanResult, PlanStatus};
use crate::arch::HOST;
use crate::output::columns::{GAP, push_padded};
use crate::output::{Output, escaped};
use crate::plan::{PlanOutcome, SkipReason};
use crate::request::{CommonArgs, Verbosity};

pub(super) use compat_log::architecture;
use messages::{Message, has_entry};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Register,
    Unregister,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    No,
    Yes,
}

pub(crate) struct Report<'a> {
    pub(crate) action: Action,
    pub(crate) dry_run: DryRun,
    /// Where `binfmt_misc` is.
    pub(crate) at: &'a Path,
    pub(crate) args: &'a CommonArgs,
}

type Row<'r> = (&'r PlanResult, Message);

/// Skipped targets and causes.
type Notes = Vec<(&'static str, String)>;

/// Characters in the second column, and in most lines.
const WORD: usize = 12;
const LINE: usize = 80;

impl Report<'_> {
    /// `remarks` end the summary.
    pub(crate) fn output(&self, results: Vec<PlanResult>, remarks: &[String]) -> Output {
        let rows: Vec<Row<'_>> = results.iter().filter_map(|result| Some((result, self.message(result)?))).collect();
        let output = match self.args.mode {
            None => self.table(&rows, remarks),
            Some(mode) => compat_log::output(mode, self, &rows, &self.notes(&rows)),
        };
        failures::with_failures(output, self.doing(), &rows)
    }

    fn table(&self, rows: &[Row<'_>], remarks: &[String]) -> Output {
        let width = rows.iter().map(|(result, _)| result.plan.handler.name.len()).max().unwrap_or_default();
        let mut out = String::with_capacity(rows.len() * LINE);
        let mut line = |name: &str, word: &str, detail: &str| {
            for (cell, width) in [(name, width), (word, WORD)] {
                push_padded(&mut out, cell, width);
                out.push_str(GAP);
            }
            out.push_str(&escaped(detail));
            out.truncate(out.trim_end().len());
            out.push('\n');
        };
        let is_verbose = self.args.detail == Verbosity::Verbose;
        for (PlanResult { plan, end }, message) in rows {
            line(plan.handler.name, message.word, &message.detail);
            // Some operations of a failed plan were not made.
            if is_verbose && *end == PlanStatus::AsPlanned {
                for &change in &plan.changes {
                    line(plan.handler.name, self.word("  written", "  to write"), &self.change(plan.handler, change));
                }
            }
        }
        out.push_str(&self.summary(rows, remarks));
        if is_verbose {
            out.insert_str(0, &format!("binfmt_misc at {}\n", escaped(&self.at.display().to_string())));
        }
        Output::success(if self.args.detail == Verbosity::Quiet { String::new() } else { out })
    }

    fn summary(&self, rows: &[Row<'_>], remarks: &[String]) -> String {
        let count = |is_counted: fn(&PlanOutcome) -> bool| {
            let is_counted =
                |result: &PlanResult| result.end == PlanStatus::AsPlanned && is_counted(&result.plan.outcome);
            rows.iter().filter(|(result, _)| is_counted(result)).count()
        };
        let refreshed = count(|outcome| matches!(outcome, PlanOutcome::Refreshed));
        let unregistered = count(|outcome| matches!(outcome, PlanOutcome::Unregistered));
        let registered = count(|outcome| matches!(outcome, PlanOutcome::Registered));
        let replaced = count(|outcome| matches!(outcome, PlanOutcome::Replaced(_)));
        let unchanged = count(|outcome| matches!(outcome, PlanOutcome::Unchanged));
        let failed = failures::count(rows);
        let not_tried = rows.iter().filter(|(result, _)| result.end == PlanStatus::NotTried).count();
        let (is_register, is_dry_run) = (self.action == Action::Register, self.dry_run == DryRun::Yes);
        let counts = [
            (is_register, registered, self.word("registered", "to register")),
            (is_register, replaced, self.word("replaced", "to replace")),
            (refreshed > 0, refreshed, self.word("refreshed", "to refresh")),
            (is_register, unchanged, "unchanged"),
            (!is_register, unregistered, self.word("unregistered", "to remove")),
            (failed > 0, failed, "failed"),
            (not_tried > 0, not_tried, "not tried"),
        ];
        let shown = counts.into_iter().filter(|(is_shown, ..)| *is_shown);
        let counts: Vec<_> = shown.map(|(_, count, word)| format!("{count} {word}")).collect();
        let summary = if !is_register && unregistered == 0 && failed == 0 {
            "nothing was registered".into()
        } else {
            format!("{}{}", if is_dry_run { "nothing done: " } else { "" }, counts.join(", "))
        };
        let notes = self.notes(rows).into_iter().map(|(target, cause)| format!("{target} skipped: {cause}"));
        let losing = |(result, _): &&Row<'_>| {
            result.end == PlanStatus::AsPlanned && result.plan.loses_credentials && has_entry(&result.plan.outcome)
        };
        let losing = match rows.iter().filter(losing).count() {
            0 => None,
            count => Some(format!(
                "flag C {} away from {count}: set-user-ID programs such as sudo lose their rights; --credentials keeps it",
                self.word("taken", "to be taken")
            )),
        };
        let remarks = losing.into_iter().chain(remarks.iter().cloned());
        let parts: Vec<_> = [summary].into_iter().chain(notes).chain(remarks).collect();
        parts.join("; ") + "\n"
    }

    /// One cause for each skipped target, the most useful one.
    fn notes(&self, rows: &[Row<'_>]) -> Notes {
        let mut notes = Notes::new();
        if self.action == Action::Register && self.args.targets.contains(&HOST) {
            notes.push((HOST, "this CPU's own".into()));
        }
        for (PlanResult { plan, end }, message) in rows {
            let PlanOutcome::Skipped(reason) = &plan.outcome else { continue };
            if *end != PlanStatus::AsPlanned || *reason == SkipReason::Served {
                continue;
            }
            match notes.iter_mut().find(|(noted, _)| *noted == plan.handler.target) {
                None => notes.push((plan.handler.target, message.detail.clone())),
                Some((_, note)) if *reason == SkipReason::ShadowsNative => note.clone_from(&message.detail),
                Some(_) => {}
            }
        }
        notes
    }
}
