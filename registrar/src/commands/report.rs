//! What a user is told of each handler: a line for each, one of sum, and the causes of what failed. Gathers and counts;
//! what is said of one outcome is in [`words`], in the words of other images in [`voices`].

mod compat_log;
mod failures;
mod messages;

use std::fmt::Write;
use std::iter;
use std::path::Path;

use crate::apply::{Done, End};
use crate::cli::{Asked, Detail};
use crate::native::HOST;
use crate::output::{Told, escaped};
use crate::plan::{Outcome, Skip, Step};
use crate::table::Handler;

use failures::Failures;
use messages::{Failure, Said, Words};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Register,
    Unregister,
}

/// Whether it is done, or only what would be done is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Real,
    DryRun,
}

/// Gathers how the steps of one command ended.
pub(crate) struct Report<'a> {
    words: Words<'a>,
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
    unchanged: usize,
    unregistered: usize,
    taken_back: usize,
    not_tried: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(verb: Verb, mode: Mode, folder: &'a Path, asked: &'a Asked) -> Self {
        let mut notes = Vec::new();
        if verb == Verb::Register && asked.targets.contains(&HOST) {
            notes.push((HOST, "this machine's own".into()));
        }
        let (rows, counts, remarks, failures) = Default::default();
        let words = Words { verb, mode, folder, asked };
        Self { words, rows, counts, notes, remarks, failures }
    }

    /// Something that holds for all of it, for the sum.
    pub(crate) fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// How a step ended.
    pub(crate) fn add(&mut self, done: Done) {
        let handler = done.step.handler;
        // Of what failed or was undone, nothing is left to be shown.
        let changes: &[_] = if done.end == End::AsPlanned { &done.step.changes } else { &[] };
        let said = |word, detail| Said { word, detail, failure: None };
        let Said { word, detail, failure } = match done.end {
            End::NotTried => {
                self.counts.not_tried += 1;
                said("not tried", String::new())
            }
            End::Failed(cause, left) => self.words.failed(handler, &cause, left),
            End::TakenBack => {
                self.counts.taken_back += 1;
                said("taken back", String::new())
            }
            End::WithoutFile => {
                self.counts.unchanged += 1;
                let interpreter = handler.interpreter(&self.words.asked.wanted.emulators);
                said("unchanged", format!("{interpreter} (no such file here: the kernel uses the one that it opened)"))
            }
            End::AsPlanned => {
                let Some(said) = self.words.said(&done.step) else { return };
                self.count(&done.step);
                said
            }
        };
        if let Some(Failure { name, alone, common }) = failure {
            self.failures.add(self.words.doing(), name, alone, common);
        }
        self.rows.push(Row { handler, word, detail });
        if self.words.asked.detail == Detail::Verbose {
            let word = self.words.word("  written", "  to write");
            let text = |&change: &_| self.words.change(handler, change);
            self.rows.extend(changes.iter().map(|change| Row { handler, word, detail: text(change) }));
        }
    }

    fn count(&mut self, step: &Step) {
        match &step.outcome {
            Outcome::Registered => self.counts.registered += 1,
            Outcome::Replaced(_) => self.counts.replaced += 1,
            Outcome::Unchanged => self.counts.unchanged += 1,
            Outcome::Unregistered => self.counts.unregistered += 1,
            Outcome::Skipped(skip) if *skip != Skip::Served => {
                self.note(step.handler.target, skip, &messages::skipped(step.handler.target, skip));
            }
            // Failures are counted by cause.
            _ => {}
        }
    }

    /// Notes a target that is not registered, with the cause that tells most.
    fn note(&mut self, target: &'static str, skip: &Skip, cause: &str) {
        match self.notes.iter_mut().find(|(noted, _)| *noted == target) {
            None => self.notes.push((target, cause.into())),
            Some((_, note)) if *skip == Skip::InTheWay => *note = cause.into(),
            Some(_) => {}
        }
    }

    /// The whole text.
    pub(crate) fn told(mut self) -> Told {
        self.rows.sort_by_key(|row| row.handler.name);
        let told = match self.words.asked.dialect {
            None => self.own_words(),
            Some(dialect) => compat_log::told(dialect, &self),
        };
        self.failures.told_after(told)
    }

    /// A line for each, and the sum.
    fn own_words(&self) -> Told {
        let width = self.rows.iter().map(|row| row.handler.name.len()).max().unwrap_or_default();
        let mut out = String::with_capacity(self.rows.len() * LINE);
        if self.words.asked.detail == Detail::Verbose {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "binfmt_misc at {}", escaped(&self.words.folder.display().to_string()));
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
        Told::success(if self.words.asked.detail == Detail::Quiet { String::new() } else { out })
    }

    fn sum(&self) -> String {
        let Counts { registered, replaced, unchanged, unregistered, taken_back, not_tried } = self.counts;
        let failed = self.failures.len();
        let mut sum = match (self.words.verb, self.words.mode) {
            (Verb::Unregister, _) if unregistered == 0 && failed == 0 => "nothing was registered".into(),
            (Verb::Register, Mode::Real) => {
                format!("{registered} registered, {replaced} replaced, {unchanged} unchanged")
            }
            (Verb::Unregister, Mode::Real) => format!("{unregistered} unregistered"),
            (Verb::Register, Mode::DryRun) => {
                format!("nothing done: {registered} to register, {replaced} to replace, {unchanged} unchanged")
            }
            (Verb::Unregister, Mode::DryRun) => format!("nothing done: {unregistered} to remove"),
        };
        for (count, word) in [(failed, "failed"), (taken_back, "taken back"), (not_tried, "not tried")] {
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
