//! What a user is told of each handler: a line for each, one of sum, and the causes of what failed. Gathers and counts;
//! what is said of one outcome is in [`context`], in the words of other images in [`voices`].

mod compat_log;
mod failures;
mod messages;

use std::fmt::Write;
use std::iter;
use std::path::Path;

use crate::apply::{PlanResult, PlanStatus};
use crate::arch::HOST;
use crate::output::{Output, escaped};
use crate::plan::{HandlerPlan, PlanOutcome, SkipReason};
use crate::request::{CommonArgs, Verbosity};
use crate::table::Handler;

use failures::Failures;
use messages::{Failure, Message, MessageContext};

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

/// Gathers how the steps of one command ended.
pub(crate) struct Report<'a> {
    context: MessageContext<'a>,
    rows: Vec<Row>,
    counts: Counts,
    /// Targets that are not registered, and why not.
    notes: Vec<(&'static str, String)>,
    /// What holds for all of it.
    remarks: Vec<String>,
    failures: Failures,
}

/// Width of the second column, between columns, and of most lines.
const WORD: usize = 12;
const GAP: usize = 2;
const LINE: usize = 80;

struct Row {
    handler: &'static Handler,
    word: &'static str,
    detail: String,
}

#[derive(Default)]
struct Counts {
    registered: usize,
    replaced: usize,
    refreshed: usize,
    unchanged: usize,
    unregistered: usize,
    not_tried: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(verb: Action, mode: DryRun, folder: &'a Path, args: &'a CommonArgs) -> Self {
        let mut notes = Vec::new();
        if verb == Action::Register && args.targets.contains(&HOST) {
            notes.push((HOST, "this machine's own".into()));
        }
        let (rows, counts, remarks, failures) = Default::default();
        let context = MessageContext { verb, mode, folder, args };
        Self { context, rows, counts, notes, remarks, failures }
    }

    /// Something that holds for all of it, for the sum.
    pub(crate) fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// How a step ended.
    pub(crate) fn add(&mut self, done: PlanResult) {
        let handler = done.plan.handler;
        // Of what failed or was undone, nothing is left to be shown.
        let changes: &[_] = if done.end == PlanStatus::AsPlanned { &done.plan.changes } else { &[] };
        let said = |word, detail| Message { word, detail, failure: None };
        let Message { word, detail, failure } = match done.end {
            PlanStatus::NotTried => {
                self.counts.not_tried += 1;
                said("not tried", String::new())
            }
            PlanStatus::Failed(cause, left) => self.context.failed(handler, &cause, left),
            PlanStatus::AsPlanned => {
                let Some(said) = self.context.said(&done.plan) else { return };
                self.count(&done.plan);
                said
            }
        };
        if let Some(Failure { name, alone, common }) = failure {
            self.failures.add(self.context.doing(), name, alone, common);
        }
        self.rows.push(Row { handler, word, detail });
        if self.context.args.detail == Verbosity::Verbose {
            let word = self.context.word("  written", "  to write");
            let text = |&change: &_| self.context.change(handler, change);
            self.rows.extend(changes.iter().map(|change| Row { handler, word, detail: text(change) }));
        }
    }

    fn count(&mut self, plan: &HandlerPlan) {
        match &plan.outcome {
            PlanOutcome::Registered => self.counts.registered += 1,
            PlanOutcome::Replaced(_) => self.counts.replaced += 1,
            PlanOutcome::Refreshed => self.counts.refreshed += 1,
            PlanOutcome::Unchanged => self.counts.unchanged += 1,
            PlanOutcome::Unregistered => self.counts.unregistered += 1,
            PlanOutcome::Skipped(skip) if *skip != SkipReason::Served => {
                self.note(plan.handler.target, skip, &messages::skipped(plan.handler.target, skip));
            }
            // Failures are counted by cause.
            _ => {}
        }
    }

    /// Notes a target that is not registered, with the cause that tells most.
    fn note(&mut self, target: &'static str, skip: &SkipReason, cause: &str) {
        match self.notes.iter_mut().find(|(noted, _)| *noted == target) {
            None => self.notes.push((target, cause.into())),
            Some((_, note)) if *skip == SkipReason::ShadowsNative => *note = cause.into(),
            Some(_) => {}
        }
    }

    /// The whole text.
    pub(crate) fn output(mut self) -> Output {
        self.rows.sort_by_key(|row| row.handler.name);
        let output = match self.context.args.mode {
            None => self.own_words(),
            Some(mode) => compat_log::output(mode, &self),
        };
        self.failures.told_after(output)
    }

    /// A line for each, and the sum.
    fn own_words(&self) -> Output {
        let width = self.rows.iter().map(|row| row.handler.name.len()).max().unwrap_or_default();
        let mut out = String::with_capacity(self.rows.len() * LINE);
        if self.context.args.detail == Verbosity::Verbose {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "binfmt_misc at {}", escaped(&self.context.folder.display().to_string()));
        }
        for Row { handler, word, detail } in &self.rows {
            // Without `format!`, which takes a tenth of the whole run for these lines.
            for (cell, width) in [(handler.name, width), (word, WORD)] {
                out.push_str(cell);
                out.extend(iter::repeat_n(' ', width.saturating_sub(cell.len()) + GAP));
            }
            out.push_str(&escaped(detail));
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out.push_str(&self.sum());
        Output::success(if self.context.args.detail == Verbosity::Quiet { String::new() } else { out })
    }

    fn sum(&self) -> String {
        let Counts { registered, replaced, refreshed, unchanged, unregistered, not_tried } = self.counts;
        let failed = self.failures.len();
        let refreshed_of = |word| if refreshed > 0 { format!("{refreshed} {word}, ") } else { String::new() };
        let mut sum = match (self.context.verb, self.context.mode) {
            (Action::Unregister, _) if unregistered == 0 && failed == 0 => "nothing was registered".into(),
            (Action::Register, DryRun::No) => {
                format!(
                    "{registered} registered, {replaced} replaced, {}{unchanged} unchanged",
                    refreshed_of("refreshed")
                )
            }
            (Action::Unregister, DryRun::No) => format!("{unregistered} unregistered"),
            (Action::Register, DryRun::Yes) => {
                let refreshed = refreshed_of("to refresh");
                format!(
                    "nothing done: {registered} to register, {replaced} to replace, {refreshed}{unchanged} unchanged"
                )
            }
            (Action::Unregister, DryRun::Yes) => format!("nothing done: {unregistered} to remove"),
        };
        for (count, word) in [(failed, "failed"), (not_tried, "not tried")] {
            if count > 0 {
                let _ = write!(sum, ", {count} {word}");
            }
        }
        for (target, cause) in &self.notes {
            let _ = write!(sum, "; {target} skipped: {cause}");
        }
        for remark in &self.remarks {
            let _ = write!(sum, "; {remark}");
        }
        sum + "\n"
    }
}
