//! What was found, as a table for people and as JSON for programs.
//!
//! Keys and results of the JSON are in `docs/json.md`: added to in later versions, never renamed.

use std::path::PathBuf;

use super::diagnosis::Diagnosis;
use super::sandbox::Isolation;
use crate::binfmt_misc::Entry;
use crate::output::columns;
use crate::output::json::{self, members, optional, string};
use crate::output::{Output, escaped};
use crate::table::Handler;

/// Names that are written out of many.
const NAMED: usize = 3;

/// The diagnoses, in the order of the handlers.
pub(crate) struct Verified {
    pub(super) folder: PathBuf,
    pub(super) is_switched_on: bool,
    /// How programs were run, if any was; and the better ways that were refused.
    pub(super) way: Option<Isolation>,
    pub(super) refused: Vec<(Isolation, String)>,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) handler: &'static Handler,
    pub(super) finding: Diagnosis,
    /// The entry that took the program, or ours.
    pub(super) entry: Option<(String, Entry)>,
}

impl Verified {
    /// All that was found.
    pub(crate) fn findings(&self) -> impl Iterator<Item = (&'static Handler, &Diagnosis)> {
        self.rows.iter().map(|row| (row.handler, &row.finding))
    }

    /// All that is not as it should be.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&'static Handler, &Diagnosis)> {
        self.findings().filter(|(_, finding)| !finding.is_good())
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
        let (_, first) = self.failures().next()?;
        let cause = format!("{}: {}", first.result, first.detail.as_deref().unwrap_or_default());
        Some(match names.as_slice() {
            [only] => format!("verifying {only}: {cause}"),
            names => {
                let more = if names.len() > NAMED { ", …" } else { "" };
                let named = names[..names.len().min(NAMED)].join(", ");
                format!("verifying {} handlers ({named}{more}), first: {cause}", names.len())
            }
        })
    }

    fn text(&self) -> String {
        let cells = |row: &Row| {
            let Diagnosis { result, detail, said } = &row.finding;
            let mut detail = detail.clone().unwrap_or_default();
            if let Some(said) = said {
                detail.push_str(&format!("; it said: {said}"));
            }
            [row.handler.name.into(), row.handler.target.into(), (*result).into(), escaped(&detail).into_owned()]
        };
        let heading = ["ENTRY", "TARGET", "RESULT", "DETAIL"].map(String::from);
        let lines: Vec<_> = std::iter::once(heading).chain(self.rows.iter().map(cells)).collect();
        columns::text(&lines, |_, _, cell| cell) + escaped(&self.sum()).as_ref() + "\n"
    }

    fn sum(&self) -> String {
        let mut results: Vec<(&str, usize)> = Vec::new();
        for Row { finding, .. } in &self.rows {
            match results.iter_mut().find(|(result, _)| *result == finding.result) {
                Some((_, count)) => *count += 1,
                None => results.push((finding.result, 1)),
            }
        }
        // Good ones first.
        results.sort_by_key(|(result, _)| !Diagnosis::of(result, None).is_good());
        let counts: Vec<_> = results.iter().map(|(result, count)| format!("{count} {result}")).collect();
        let proven = match self.way {
            None => "",
            Some(Isolation::Namespace | Isolation::Folder) => "; in an empty root",
            Some(Isolation::Memory) => "; from memory files",
        };
        let caveat = self.caveat().map(|caveat| format!(", which proves less: {caveat}"));
        counts.join(", ") + proven + &caveat.unwrap_or_default()
    }

    /// What is left unproven.
    fn caveat(&self) -> Option<String> {
        if self.way != Some(Isolation::Memory) {
            return None;
        }
        if self.refused.is_empty() {
            // There was no other way to try.
            return Some("without F, programs run only where their emulator can be seen, as it can here".into());
        }
        let unproven = "an emulator that is dynamic, or registered without F, may run here and nowhere else";
        Some(format!("{unproven} (an empty root is refused: {})", refusals(&self.refused)))
    }

    fn json(&self) -> String {
        let more = [
            ("proven", optional(self.way.map(Isolation::word))),
            ("caveat", optional(self.caveat().as_deref())),
            ("good", self.failures().next().is_none().to_string()),
        ];
        let head = [&json::head(&self.folder, self.is_switched_on)[..], &more].concat();
        let rows = self.rows.iter().map(|row| {
            let Row { handler, finding, entry } = row;
            let (name, entry) = entry.as_ref().map(|(name, entry)| (name.as_str(), entry)).unzip();
            let fields = [
                ("name", string(handler.name)),
                ("target", string(handler.target)),
                ("platform", string(handler.platform)),
                ("result", string(finding.result)),
                ("good", finding.is_good().to_string()),
                ("entry", optional(name)),
                ("interpreter", optional(entry.map(|entry| entry.interpreter.as_str()))),
                ("flags", optional(entry.map(|entry| entry.flags.as_str()))),
                ("detail", optional(finding.detail.as_deref())),
                ("said", optional(finding.said.as_deref())),
            ];
            format!("    {{{}}}", members(&fields, ", "))
        });
        let rows: Vec<_> = rows.collect();
        format!("{{\n  {},\n  \"handlers\": [\n{}\n  ]\n}}\n", members(&head, ",\n  "), rows.join(",\n"))
    }
}

/// Why there was no better way.
pub(super) fn refusals(refused: &[(Isolation, String)]) -> String {
    let refused: Vec<_> = refused.iter().map(|(way, why)| format!("{}: {why}", way.word())).collect();
    refused.join("; ")
}
