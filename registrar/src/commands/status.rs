//! What serves each target, as a table for people and as JSON for programs. Only looks.
//!
//! Keys and states of the JSON are in `docs/json.md`: added to in later versions, never renamed.

mod colour;
mod json;
pub(crate) mod platforms;

use std::fmt::Write;
use std::path::PathBuf;

use crate::arch::HOST;
use crate::binfmt_misc::{BinfmtMount, Entries, Entry, UserNamespace};
use crate::native::NativeSupport;
use crate::output::columns;
use crate::output::escaped;
use crate::plan::{self, ActiveForeignEntry, Drift, HandlerPlan, Observed, PlanOutcome, SkipReason};
use crate::request::DesiredState;
use crate::table::Handler;

/// The rows of the table.
pub(crate) struct Status<'a> {
    folder: PathBuf,
    is_switched_on: bool,
    namespace: Option<UserNamespace>,
    desired: &'a DesiredState,
    rows: Vec<Row>,
}

struct Row {
    handler: &'static Handler,
    state: HandlerStatus,
    /// Ours, or else what serves, with its name.
    entry: Option<(String, Entry)>,
    /// The entry of somebody else that serves.
    server: Option<String>,
    detail: Option<String>,
    fit: CheckResult,
}

/// What `register`, asked for the same, would do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckResult {
    /// Nothing: it is as it should be, or is to be left alone.
    Good,
    /// Put it right.
    Curable,
    /// It could not.
    Bad,
}

impl CheckResult {
    fn of(step: &HandlerPlan) -> Self {
        match &step.outcome {
            _ if step.handler.target == HOST => Self::Good,
            PlanOutcome::Unchanged
            | PlanOutcome::Skipped(SkipReason::Native | SkipReason::ShadowsNative | SkipReason::Served) => Self::Good,
            outcome if outcome.is_failure() => Self::Bad,
            PlanOutcome::Skipped(SkipReason::Unknown(_)) => Self::Bad,
            _ => Self::Curable,
        }
    }
}

/// How it is with a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandlerStatus {
    Registered,
    Different,
    Disabled,
    Shadowed,
    Absent,
    Served,
    Native,
    Unknown,
}

impl HandlerStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Different => "different",
            Self::Disabled => "disabled",
            Self::Shadowed => "shadowed",
            Self::Absent => "absent",
            Self::Served => "served",
            Self::Native => "native",
            Self::Unknown => "unknown",
        }
    }
}

impl<'a> Status<'a> {
    pub(crate) fn new(folder: &BinfmtMount, is_switched_on: bool, desired: &'a DesiredState) -> Self {
        let (namespace, folder) = (folder.namespace(), folder.path().into());
        Self { folder, is_switched_on, namespace, desired, rows: Vec::new() }
    }

    /// Adds what the entries, or the kernel, say of a handler.
    pub(crate) fn add(&mut self, handler: &'static Handler, entries: &Entries, support: NativeSupport) {
        let found = Observed::new(handler, entries);
        let (server, ours) = (found.server(), found.ours());
        let difference = ours.as_ref().map(|_| found.difference(self.desired));
        let (state, mut detail) = match difference {
            Some(None) if support == NativeSupport::Native => {
                (HandlerStatus::Registered, Some("runs natively too".into()))
            }
            Some(None) => (HandlerStatus::Registered, None),
            Some(Some(Drift::Disabled)) => (HandlerStatus::Disabled, None),
            Some(Some(Drift::Shadowed)) => (HandlerStatus::Shadowed, None),
            Some(Some(difference)) => (HandlerStatus::Different, Some(difference.to_string())),
            None if server.is_some_and(|server| server.is_of_all) => (HandlerStatus::Served, None),
            None => match &support {
                NativeSupport::Needed => (HandlerStatus::Absent, None),
                NativeSupport::Native => (HandlerStatus::Native, None),
                NativeSupport::Unknown(cause) => (HandlerStatus::Unknown, Some(cause.clone())),
            },
        };
        // To plan, all entries are looked through once more.
        let fit = match state {
            HandlerStatus::Registered => CheckResult::Good,
            _ => CheckResult::of(&plan::register(handler, self.desired, entries, support, || false)),
        };
        if detail.is_none() {
            detail = match (&ours, server) {
                (_, Some(ActiveForeignEntry { name, is_of_all: true, .. })) => Some(format!("by {name}")),
                (_, Some(ActiveForeignEntry { name, .. })) => Some(format!("some programs by {name}")),
                (Some((name, _)), None) if name != handler.name => Some(format!("as {name}")),
                _ => None,
            };
        }
        let theirs = || server.map(|ActiveForeignEntry { name, entry, .. }| (name.to_owned(), entry.clone()));
        let entry = ours.map(|(name, entry)| (name, entry.clone())).or_else(theirs);
        let server = server.map(|server| server.name.to_owned());
        self.rows.push(Row { handler, state, entry, server, detail, fit });
    }

    /// What is not as `register` would have it, if anything is.
    pub(crate) fn failure(&self) -> Option<String> {
        if !self.is_switched_on {
            return Some(format!("{}: binfmt_misc is switched off", self.folder.display()));
        }
        let wrong: Vec<_> = self.rows.iter().filter(|row| row.fit != CheckResult::Good).collect();
        let first = wrong.first()?;
        let (name, state) = (first.handler.name, first.state.word());
        let command = if *self.desired == DesiredState::default() {
            "registrar register"
        } else {
            "registrar register with the same options"
        };
        let is_curable = wrong.iter().all(|row| row.fit == CheckResult::Curable);
        let advice = if is_curable { "puts that right" } else { "says what stands in the way" };
        Some(match wrong.len() {
            1 => format!("{name} is {state}; {command} {advice}"),
            many => format!("{many} handlers are not registered as wanted, first {name}, {state}; {command} {advice}"),
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("binfmt_misc at {}", escaped(&self.folder.display().to_string()));
        if let Some(namespace) = &self.namespace {
            let _ = write!(text, ", for programs of {namespace} alone");
        }
        text.push_str(if self.is_switched_on { "\n" } else { ", switched off: no entry is used\n" });
        let cells = |row: &Row| {
            let Handler { name, target, platform, .. } = row.handler;
            let of_entry = |field: fn(&Entry) -> &str| row.entry.as_ref().map_or("", |(_, entry)| field(entry));
            let mut last = escaped(of_entry(|entry| &entry.interpreter)).into_owned();
            if let Some(detail) = &row.detail {
                let _ = write!(last, " ({})", escaped(detail));
            }
            [name, target, platform, row.state.word(), of_entry(|entry| &entry.flags), &last].map(str::to_owned)
        };
        let heading = ["ENTRY", "TARGET", "PLATFORM", "STATE", "FLAGS", "INTERPRETER"].map(String::from);
        let table: Vec<_> = std::iter::once(heading).chain(self.rows.iter().map(cells)).collect();
        let is_coloured = colour::is_wanted();
        text.push_str(&columns::text(&table, |line, column, cell| match line.checked_sub(1) {
            Some(row) if is_coloured && column == 3 => colour::painted(self.rows[row].state, &cell),
            _ => cell,
        }));
        text
    }
}
