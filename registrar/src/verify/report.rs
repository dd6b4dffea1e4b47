//! What was found, as a table for people and as JSON for programs.
//!
//! Keys and results of the JSON are in `docs/json.md`: added to in later versions, never renamed.

use std::borrow::Cow;
use std::path::PathBuf;

use super::diagnosis::Diagnosis;
use super::sandbox::Isolation;
use crate::binfmt_misc::Entry;
use crate::output::columns;
use crate::output::json::{self, members, optional, string};
use crate::output::{Output, escaped};
use crate::table::Handler;
use crate::table::names::first_of;

/// The diagnoses, in the order of the handlers.
pub(crate) struct Verified {
    /// Where the entries are, and whether they are in use, if that could be read.
    pub(super) folder: Option<(PathBuf, bool)>,
    /// How programs were run, if any was; and the better isolation that was refused.
    pub(super) isolation: Option<Isolation>,
    pub(super) refused: Vec<(Isolation, String)>,
    pub(super) rows: Vec<Row>,
    /// How often each program was run.
    pub(super) runs: u32,
}

pub(super) struct Row {
    pub(super) handler: &'static Handler,
    pub(super) diagnosis: Diagnosis,
    /// The entry that took the program, or ours.
    pub(super) entry: Option<(String, Entry)>,
    /// In how many runs it failed.
    pub(super) failed: u32,
}

impl Verified {
    /// Adds what a later run of the same handlers found: of each the first failure is shown.
    pub(crate) fn add(&mut self, later: Self) {
        self.runs += later.runs;
        for (row, later) in self.rows.iter_mut().zip(later.rows) {
            let failed = row.failed + later.failed;
            if row.failed == 0 && later.failed > 0 {
                *row = later;
            }
            row.failed = failed;
        }
    }

    /// What was found of a handler, with how often.
    fn detail(&self, row: &Row) -> Option<String> {
        let often = format!("in {} of {} runs", row.failed, self.runs);
        match &row.diagnosis.detail {
            Some(detail) if self.runs > 1 && row.failed > 0 => Some(format!("{often}: {detail}")),
            detail => detail.clone(),
        }
    }

    /// All that was found.
    pub(crate) fn diagnoses(&self) -> impl Iterator<Item = (&'static Handler, &Diagnosis)> {
        self.rows.iter().map(|row| (row.handler, &row.diagnosis))
    }

    /// The emulator of the entry that took a handler's program, or of ours.
    pub(crate) fn emulator(&self, handler: &Handler) -> Option<PathBuf> {
        let row = self.rows.iter().find(|row| row.handler.name == handler.name)?;
        row.entry.as_ref().map(|(_, entry)| entry.interpreter.clone())
    }

    /// All that is not as it should be.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&'static Handler, &Diagnosis)> {
        self.diagnoses().filter(|(_, diagnosis)| !diagnosis.is_good())
    }

    /// What was found, and as a failure what is wrong.
    pub(crate) fn output(&self, json: bool) -> Output {
        self.with_error(Output::success(if json { self.json() } else { self.text() }))
    }

    /// The same with the sum alone.
    pub(crate) fn summary(&self) -> Output {
        self.with_error(Output::success(format!("verified: {}\n", escaped(&self.sum()))))
    }

    fn with_error(&self, output: Output) -> Output {
        match self.failures_in_short() {
            None => output,
            Some(line) => output.with_error(&line),
        }
    }

    /// One line, unless all is well.
    pub(crate) fn failures_in_short(&self) -> Option<String> {
        let names: Vec<_> = self.failures().map(|(handler, _)| handler.name).collect();
        let first = self.rows.iter().find(|row| !row.diagnosis.is_good())?;
        let cause = format!("{}: {}", first.diagnosis.result, self.detail(first).unwrap_or_default());
        Some(match names.as_slice() {
            [only] => format!("verifying {only}: {cause}"),
            names => format!("verifying {} handlers ({}), first: {cause}", names.len(), first_of(names)),
        })
    }

    fn text(&self) -> String {
        let cells = |row: &Row| {
            let Diagnosis { result, stderr_line, .. } = &row.diagnosis;
            let mut detail = self.detail(row).unwrap_or_default();
            if let Some(line) = stderr_line {
                detail.push_str(&format!("; it said: {line}"));
            }
            [row.handler.name.into(), row.handler.target.into(), (*result).into(), escaped(&detail).into_owned().into()]
        };
        let heading = ["ENTRY", "TARGET", "RESULT", "DETAIL"].map(Cow::Borrowed);
        let lines: Vec<_> = std::iter::once(heading).chain(self.rows.iter().map(cells)).collect();
        columns::text(&lines, |_, _| None) + escaped(&self.sum()).as_ref() + "\n"
    }

    fn sum(&self) -> String {
        let mut results: Vec<(&str, usize)> = Vec::new();
        for Row { diagnosis, .. } in &self.rows {
            match results.iter_mut().find(|(result, _)| *result == diagnosis.result) {
                Some((_, count)) => *count += 1,
                None => results.push((diagnosis.result, 1)),
            }
        }
        let (good, bad): (Vec<_>, Vec<_>) =
            results.into_iter().partition(|(result, _)| Diagnosis::of(result, None).is_good());
        let counts: Vec<_> = good.iter().chain(&bad).map(|(result, count)| format!("{count} {result}")).collect();
        let proven = match self.isolation {
            None => "",
            Some(Isolation::Namespace | Isolation::Folder) => "; in an empty root",
            Some(Isolation::Memory) => "; from memory files",
        };
        let caveat = self.caveat().map(|caveat| format!(", which proves less: {caveat}"));
        let runs = if self.runs > 1 { format!("; {} runs each", self.runs) } else { String::new() };
        counts.join(", ") + &runs + proven + &caveat.unwrap_or_default()
    }

    /// What is left unproven.
    fn caveat(&self) -> Option<String> {
        let less_isolated = (self.isolation == Some(Isolation::Memory)).then(|| match self.refused.as_slice() {
            // Nothing else was tried.
            [] => "without F, programs run only where their emulator can be seen, as it can here".into(),
            refused => format!(
                "an emulator that is dynamic, or registered without F, may run here and nowhere else (an empty root is \
                 refused: {})",
                refusals(refused)
            ),
        });
        let unread = self.folder.is_none().then(|| {
            "no binfmt_misc can be read here, so that which entries run them, and how long these stay, is unknown"
                .into()
        });
        let caveats: Vec<String> = less_isolated.into_iter().chain(unread).collect();
        (!caveats.is_empty()).then(|| caveats.join("; "))
    }

    fn json(&self) -> String {
        let more = [
            ("proven", optional(self.isolation.map(Isolation::word))),
            ("caveat", optional(self.caveat().as_deref())),
            ("good", self.failures().next().is_none().to_string()),
        ];
        let head = [&json::head(self.folder.as_ref().map(|(at, is_on)| (at.as_path(), *is_on)))[..], &more].concat();
        let rows = self.rows.iter().map(|row| {
            let Row { handler, diagnosis, entry, .. } = row;
            let (name, entry) = entry.as_ref().map(|(name, entry)| (name.as_str(), entry)).unzip();
            let fields = [
                ("name", string(handler.name)),
                ("target", string(handler.target)),
                ("platform", string(handler.platform)),
                ("result", string(diagnosis.result)),
                ("good", diagnosis.is_good().to_string()),
                ("entry", optional(name)),
                ("interpreter", optional(entry.map(Entry::path).as_deref())),
                ("flags", optional(entry.map(|entry| entry.flags.as_str()))),
                ("detail", optional(self.detail(row).as_deref())),
                ("said", optional(diagnosis.stderr_line.as_deref())),
            ];
            members(&fields, ", ")
        });
        json::document(&head, "handlers", rows)
    }
}

/// Why programs were not better isolated.
pub(super) fn refusals(refused: &[(Isolation, String)]) -> String {
    let mut causes: Vec<(String, &str)> = Vec::new();
    for (isolation, why) in refused {
        match causes.last_mut() {
            Some((isolations, known)) if known == why => {
                *isolations = [isolations.as_str(), ", ", isolation.word()].concat()
            }
            _ => causes.push((isolation.word().into(), why)),
        }
    }
    causes.iter().map(|(isolations, why)| format!("{isolations}: {why}")).collect::<Vec<_>>().join("; ")
}
