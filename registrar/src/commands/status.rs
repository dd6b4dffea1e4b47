//! `status`: which entry is active for each target, as a table and as JSON. Read-only.
//!
//! `docs/json.md` lists the keys and states of the JSON: later versions add some, and rename none.

pub(crate) mod platforms;

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use crate::arch::HOST;
use crate::binfmt_misc::{BinfmtMount, Entries, Entry, UserNamespace};
use crate::native::NativeSupport;
use crate::output::json::{self, members, optional, string};
use crate::output::{columns, escaped};
use crate::plan::{self, Drift, HandlerPlan, LeftToOthers, Observed, PlanOutcome, SkipReason};
use crate::request::{CommonArgs, DesiredState};
use crate::table::Handler;

pub(crate) struct Status<'a> {
    folder: PathBuf,
    is_enabled: bool,
    namespace: Option<UserNamespace>,
    desired: &'a DesiredState,
    are_named: bool,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    handler: &'static Handler,
    state: HandlerStatus,
    /// Name and entry: ours, else another tool's active entry.
    entry: Option<(String, &'a Entry)>,
    /// Name of another tool's active entry.
    server: Option<String>,
    detail: Option<String>,
    fit: CheckResult,
}

/// What `register` with the same options would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckResult {
    /// Nothing, or refresh it.
    Good,
    Fixable,
    /// Fail.
    Bad,
}

impl CheckResult {
    /// `register` passes over what it cannot tell of a target, unless that is named.
    fn of(plan: &HandlerPlan, is_named: bool) -> Self {
        match &plan.outcome {
            _ if plan.handler.target == HOST => Self::Good,
            PlanOutcome::Skipped(SkipReason::Unknown(_)) if is_named => Self::Bad,
            PlanOutcome::Unchanged | PlanOutcome::Skipped(_) => Self::Good,
            outcome if outcome.is_failure() => Self::Bad,
            _ => Self::Fixable,
        }
    }
}

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
        self.shown().0
    }

    /// The word, and its colour. Green: as desired; yellow: programs run, but not as desired; red: programs do not run.
    fn shown(self) -> (&'static str, u8) {
        match self {
            Self::Registered => ("registered", 32),
            Self::Different => ("different", 33),
            Self::Disabled => ("disabled", 31),
            Self::Shadowed => ("shadowed", 33),
            Self::Absent => ("absent", 31),
            Self::Served => ("served", 33),
            Self::Native => ("native", 2),
            Self::Unknown => ("unknown", 31),
        }
    }
}

/// On a terminal, unless `NO_COLOR` (<https://no-color.org>) or `TERM=dumb` is set.
fn is_coloured() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

impl<'a> Status<'a> {
    pub(crate) fn new(folder: &BinfmtMount, is_enabled: bool, args: &'a CommonArgs) -> Self {
        let (namespace, folder) = (folder.namespace(), folder.path().into());
        let (desired, are_named) = (&args.desired, !args.targets.is_empty());
        Self { folder, is_enabled, namespace, desired, are_named, rows: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        handler: &'static Handler,
        entries: &'a Entries,
        support: NativeSupport,
        left: &LeftToOthers,
    ) {
        let found = Observed::new(handler, entries);
        let (server, ours, drift) = (found.server(), found.ours(), found.difference(self.desired));
        let (state, detail) = match (&ours, drift, &support) {
            (Some(_), None, NativeSupport::Native) => (HandlerStatus::Registered, Some("also runs natively".into())),
            (Some(_), None, _) => (HandlerStatus::Registered, None),
            (Some(_), Some(Drift::Disabled), _) => (HandlerStatus::Disabled, None),
            (Some(_), Some(Drift::Shadowed), _) => (HandlerStatus::Shadowed, None),
            (Some(_), Some(drift), _) => (HandlerStatus::Different, Some(drift.to_string())),
            (None, ..) if server.is_some_and(|server| server.is_of_all) => (HandlerStatus::Served, None),
            (None, _, NativeSupport::Needed) => (HandlerStatus::Absent, None),
            (None, _, NativeSupport::Native) => (HandlerStatus::Native, None),
            (None, _, NativeSupport::Unknown(cause)) => (HandlerStatus::Unknown, Some(cause.clone())),
        };
        // A plan searches all entries again.
        let fit = match state {
            HandlerStatus::Registered => CheckResult::Good,
            _ => CheckResult::of(
                &plan::register(handler, self.desired, entries, support, left, || false),
                self.are_named,
            ),
        };
        let by = |is_of_all, name: &OsStr| {
            let some = if is_of_all { "" } else { "some programs " };
            let fault = left.fault(handler).map(|fault| format!(", which does not work: {fault}"));
            format!("{some}by {}{}", name.display(), fault.unwrap_or_default())
        };
        let detail = detail.or_else(|| match (server, &ours) {
            (Some(server), _) => Some(by(server.is_of_all, server.name)),
            (None, Some((name, _))) if name != handler.name => Some(format!("as {name}")),
            _ => None,
        });
        let entry = ours.or_else(|| server.map(|server| (server.name.display().to_string(), server.entry)));
        let server = server.map(|server| server.name.display().to_string());
        self.rows.push(Row { handler, state, entry, server, detail, fit });
    }

    /// For `--check`: the message, if an entry is not what `register` would write.
    pub(crate) fn failure(&self) -> Option<String> {
        let folder = self.folder.display();
        if !self.is_enabled {
            return Some(format!("binfmt_misc is disabled; to enable it: echo 1 > {folder}/status"));
        }
        let wrong: Vec<_> = self.rows.iter().filter(|row| row.fit != CheckResult::Good).collect();
        let first = wrong.first()?;
        let (name, state) = (first.handler.name, first.state.word());
        if wrong.iter().all(|row| row.state == HandlerStatus::Unknown) {
            let cause = first.detail.as_deref().unwrap_or_default();
            return Some(format!("{name}: cannot tell whether it runs natively: {cause}"));
        }
        let options = if *self.desired == DesiredState::default() { "" } else { " with the same options" };
        let is_fixable = wrong.iter().all(|row| row.fit == CheckResult::Fixable);
        let advice = if is_fixable { "fixes it" } else { "says why it cannot be registered" };
        let subject = match wrong.len() {
            1 => format!("{name} is {state}"),
            many => format!("{many} handlers are not as register would write them, first {name}, {state}"),
        };
        Some(format!("{subject}; registrar register{options} {advice}"))
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("binfmt_misc at {}", escaped(&self.folder.display().to_string()));
        if let Some(namespace) = &self.namespace {
            let _ = write!(text, ", for programs of {namespace} only");
        }
        text.push_str(if self.is_enabled { "\n" } else { ", disabled: the kernel uses no entry\n" });
        let heading = ["ENTRY", "TARGET", "PLATFORM", "STATE", "FLAGS", "INTERPRETER"].map(Cow::Borrowed);
        let table: Vec<_> = std::iter::once(heading).chain(self.rows.iter().map(Row::cells)).collect();
        let is_coloured = is_coloured();
        text.push_str(&columns::text(&table, |line, column| {
            let row = self.rows.get(line.checked_sub(1)?)?;
            (is_coloured && column == 3).then(|| row.state.shown().1)
        }));
        text
    }

    pub(crate) fn json(&self) -> String {
        let namespace = optional(self.namespace.as_ref().map(|namespace| namespace.name.as_str()));
        let head = [&json::head(Some((&self.folder, self.is_enabled)))[..], &[("namespace", namespace)]].concat();
        json::document(&head, "handlers", self.rows.iter().map(Row::json))
    }
}

impl Row<'_> {
    fn cells(&self) -> [Cow<'_, str>; 6] {
        let Handler { name, target, platform, .. } = self.handler;
        let entry = self.entry.as_ref().map(|(_, entry)| *entry);
        let mut last = escaped(&entry.map(Entry::path).unwrap_or_default()).into_owned();
        if let Some(detail) = &self.detail {
            let _ = write!(last, " ({})", escaped(detail));
        }
        let flags = entry.map_or("", |entry| &entry.flags);
        let [name, target, platform, state, flags] =
            [name, target, platform, self.state.shown().0, flags].map(Cow::Borrowed);
        [name, target, platform, state, flags, last.into()]
    }

    fn json(&self) -> String {
        let Handler { name, target, platform, .. } = self.handler;
        let entry = self.entry.as_ref().map(|(_, entry)| *entry);
        let fields = [
            ("name", string(name)),
            ("target", string(target)),
            ("platform", string(platform)),
            ("state", string(self.state.shown().0)),
            ("entry", optional(self.entry.as_ref().map(|(name, _)| name.as_str()))),
            ("interpreter", optional(entry.map(Entry::path).as_deref())),
            ("flags", optional(entry.map(|entry| entry.flags.as_str()))),
            ("server", optional(self.server.as_deref())),
            ("detail", optional(self.detail.as_deref())),
        ];
        members(&fields, ", ")
    }
}
