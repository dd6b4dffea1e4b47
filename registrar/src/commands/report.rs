//! What a user is told of each handler: a row for each, a summary, and the causes of what failed, all of them functions of
//! the list of results. What is said of one result is in [`messages`]; other images' logs are in [`compat_log`].

mod compat_log;
mod failures;
mod messages;

use std::fmt::Write;
use std::iter;
use std::path::Path;

use crate::apply::{PlanResult, PlanStatus};
use crate::arch::HOST;
use crate::output::{Output, escaped};
use crate::plan::{PlanOutcome, SkipReason};
use crate::request::{CommonArgs, Verbosity};

use messages::Message;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Register,
    Unregister,
}

/// Whether it is done, or only what would be done is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    No,
    Yes,
}

/// What all messages depend on.
pub(crate) struct Report<'a> {
    pub(crate) action: Action,
    pub(crate) dry_run: DryRun,
    /// Where `binfmt_misc` is.
    pub(crate) at: &'a Path,
    pub(crate) args: &'a CommonArgs,
}

/// A result, and what is said of it.
type Row<'r> = (&'r PlanResult, Message);

/// Targets that are not registered, and why not.
type Notes = Vec<(&'static str, String)>;

/// Width of the second column, between columns, and of most lines.
const WORD: usize = 12;
const GAP: usize = 2;
const LINE: usize = 80;

impl Report<'_> {
    /// The whole text. `remarks` hold for all of it.
    pub(crate) fn output(&self, results: Vec<PlanResult>, remarks: &[String]) -> Output {
        let rows: Vec<Row<'_>> = results.iter().filter_map(|result| Some((result, self.message(result)?))).collect();
        let output = match self.args.mode {
            None => self.table(&rows, remarks),
            Some(mode) => compat_log::output(mode, self, &rows, &self.notes(&rows)),
        };
        failures::with_failures(output, self.doing(), &rows)
    }

    /// A line for each, and the summary.
    fn table(&self, rows: &[Row<'_>], remarks: &[String]) -> Output {
        let width = rows.iter().map(|(result, _)| result.plan.handler.name.len()).max().unwrap_or_default();
        let mut out = String::with_capacity(rows.len() * LINE);
        // Without `format!`, which takes a tenth of the whole run for these lines.
        let mut line = |name: &str, word: &str, detail: &str| {
            for (cell, width) in [(name, width), (word, WORD)] {
                out.push_str(cell);
                out.extend(iter::repeat_n(' ', width.saturating_sub(cell.len()) + GAP));
            }
            out.push_str(&escaped(detail));
            out.truncate(out.trim_end().len());
            out.push('\n');
        };
        let is_verbose = self.args.detail == Verbosity::Verbose;
        for (PlanResult { plan, end }, message) in rows {
            line(plan.handler.name, message.word, &message.detail);
            // Of what failed, nothing is left to be shown.
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
        let registered = count(|outcome| matches!(outcome, PlanOutcome::Registered));
        let replaced = count(|outcome| matches!(outcome, PlanOutcome::Replaced(_)));
        let refreshed = count(|outcome| matches!(outcome, PlanOutcome::Refreshed));
        let unchanged = count(|outcome| matches!(outcome, PlanOutcome::Unchanged));
        let unregistered = count(|outcome| matches!(outcome, PlanOutcome::Unregistered));
        let failed = failures::count(rows);
        let not_tried = rows.iter().filter(|(result, _)| result.end == PlanStatus::NotTried).count();
        let mut text = if self.dry_run == DryRun::Yes { String::from("nothing done: ") } else { String::new() };
        match self.action {
            Action::Unregister if unregistered == 0 && failed == 0 => text = "nothing was registered".into(),
            Action::Unregister => {
                let _ = write!(text, "{unregistered} {}", self.word("unregistered", "to remove"));
            }
            Action::Register => {
                let refreshing = self.word("refreshed", "to refresh");
                let (registering, replacing) =
                    (self.word("registered", "to register"), self.word("replaced", "to replace"));
                let _ = write!(text, "{registered} {registering}, {replaced} {replacing}, ");
                if refreshed > 0 {
                    let _ = write!(text, "{refreshed} {refreshing}, ");
                }
                let _ = write!(text, "{unchanged} unchanged");
            }
        }
        for (count, word) in [(failed, "failed"), (not_tried, "not tried")] {
            if count > 0 {
                let _ = write!(text, ", {count} {word}");
            }
        }
        for (target, cause) in &self.notes(rows) {
            let _ = write!(text, "; {target} skipped: {cause}");
        }
        for remark in remarks {
            let _ = write!(text, "; {remark}");
        }
        text + "\n"
    }

    /// Of each target that is skipped the cause that tells most.
    fn notes(&self, rows: &[Row<'_>]) -> Notes {
        let mut notes = Notes::new();
        if self.action == Action::Register && self.args.targets.contains(&HOST) {
            notes.push((HOST, "this machine's own".into()));
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
