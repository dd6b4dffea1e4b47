//! What a user is told: a line for each handler, one of sum, and every failure with its cause.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::apply::Done;
use crate::cli::Asked;
use crate::kernel::Error;
use crate::native::HOST;
use crate::plan::{Outcome, Skip};

/// The last line of standard error is shorter, so that it is seen whole wherever it is shown.
const SHORT: usize = 200;

/// Text for standard output and standard error. There is something on the latter if and only if the command failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    pub(crate) fn success(out: String) -> Self {
        Self { out, err: String::new() }
    }

    pub(crate) fn failure(cause: String) -> Self {
        Self { out: String::new(), err: cause + "\n" }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.err.is_empty()
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Register,
    Unregister,
}

/// Gathers how the steps of one command ended.
pub(crate) struct Report<'a> {
    verb: Verb,
    folder: &'a Path,
    asked: &'a Asked,
    rows: Vec<Row>,
    counts: Counts,
    /// Targets that are not registered, and why not.
    notes: Vec<(&'static str, String)>,
    failures: Vec<String>,
    is_stopped: bool,
}

struct Row {
    name: &'static str,
    word: &'static str,
    detail: String,
}

#[derive(Default)]
struct Counts {
    registered: usize,
    replaced: usize,
    unchanged: usize,
    unregistered: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(verb: Verb, folder: &'a Path, asked: &'a Asked) -> Self {
        let mut notes = Vec::new();
        if verb == Verb::Register && asked.targets.contains(&HOST) {
            notes.push((HOST, "this machine's own".into()));
        }
        Self {
            verb,
            folder,
            asked,
            rows: Vec::new(),
            counts: Counts::default(),
            notes,
            failures: Vec::new(),
            is_stopped: false,
        }
    }

    /// How a step ended.
    pub(crate) fn add(&mut self, done: Done) {
        let handler = done.step.handler;
        let interpreter = || handler.interpreter(&self.asked.emulators);
        let (word, detail) = match (done.failure, done.step.outcome) {
            (Some(failure), _) => {
                self.failures.push(failure.to_string());
                ("failed", interpreter())
            }
            (None, Outcome::Registered) => {
                self.counts.registered += 1;
                ("registered", interpreter())
            }
            (None, Outcome::Replaced(difference)) => {
                self.counts.replaced += 1;
                ("replaced", format!("{} (before: {difference})", interpreter()))
            }
            (None, Outcome::Unchanged) => {
                self.counts.unchanged += 1;
                ("unchanged", interpreter())
            }
            (None, Outcome::Unregistered) => {
                self.counts.unregistered += 1;
                ("unregistered", String::new())
            }
            (None, Outcome::Absent) if self.asked.targets.is_empty() => return,
            (None, Outcome::Absent) => ("absent", "was not registered".into()),
            (None, Outcome::Skipped(skip)) => {
                let cause = self.skipped(handler.name, handler.target, &skip);
                ("skipped", cause)
            }
            (None, Outcome::Taken(interpreter)) => {
                if self.verb == Verb::Register || !self.asked.targets.is_empty() {
                    self.failures.push(self.taken(handler.name, &interpreter));
                }
                ("left alone", format!("belongs to {interpreter}"))
            }
        };
        self.rows.push(Row { name: handler.name, word, detail });
    }

    /// What made every further step pointless.
    pub(crate) fn stopped(&mut self, error: &Error) {
        self.failures.push(error.to_string());
        self.is_stopped = true;
    }

    fn skipped(&mut self, name: &str, target: &'static str, skip: &Skip) -> String {
        let cause = match skip {
            Skip::Native => "runs natively".into(),
            Skip::Served(by) => format!("served by {by}"),
            Skip::Unknown(cause) => format!("cannot tell whether it runs natively: {cause}"),
        };
        // Of all handlers it is not asked that each be registered; of a named one it is.
        if matches!(skip, Skip::Unknown(_)) && !self.asked.targets.is_empty() {
            self.failures.push(format!("registering {name}: {cause}"));
        } else if !self.notes.iter().any(|(noted, _)| *noted == target) {
            self.notes.push((target, cause.clone()));
        }
        cause
    }

    fn taken(&self, name: &str, interpreter: &str) -> String {
        let verb = match self.verb {
            Verb::Register => "registering",
            Verb::Unregister => "unregistering",
        };
        let file: PathBuf = self.folder.join(name);
        format!("{verb} {name}: the name belongs to {interpreter}; to remove that: echo -1 > {}", file.display())
    }

    /// The whole text.
    pub(crate) fn told(mut self) -> Told {
        self.rows.sort_by_key(|row| row.name);
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        let mut out = String::new();
        for Row { name, word, detail } in &self.rows {
            out.push_str(format!("{name:width$}  {word:12}  {detail}").trim_end());
            out.push('\n');
        }
        out.push_str(&self.sum());
        Told { out, err: self.causes() }
    }

    fn sum(&self) -> String {
        let Counts { registered, replaced, unchanged, unregistered } = self.counts;
        let mut sum = match self.verb {
            Verb::Register => format!("{registered} registered, {replaced} replaced, {unchanged} unchanged"),
            Verb::Unregister if unregistered == 0 && self.failures.is_empty() => "nothing was registered".into(),
            Verb::Unregister => format!("{unregistered} unregistered"),
        };
        // Writing to a String cannot fail.
        let _ = match self.failures.len() - usize::from(self.is_stopped) {
            0 => Ok(()),
            failed => write!(sum, ", {failed} failed"),
        };
        if self.is_stopped {
            sum.push_str(", stopped");
        }
        for (target, cause) in &self.notes {
            let _ = write!(sum, "; {target} skipped: {cause}");
        }
        sum + "\n"
    }

    fn causes(&self) -> String {
        let mut err: String = self.failures.iter().flat_map(|failure| [failure, "\n"]).collect();
        let is_summed_up = match self.failures.as_slice() {
            [] => true,
            [only] => only.len() < SHORT,
            _ => false,
        };
        if !is_summed_up {
            let sum = format!("{} failed, first: {}", self.failures.len(), self.failures[0]);
            let end = sum.char_indices().map(|(start, letter)| start + letter.len_utf8());
            let end = end.take_while(|end| *end < SHORT).last().unwrap_or_default();
            err.push_str(&sum[..end]);
            err.push('\n');
        }
        err
    }
}
