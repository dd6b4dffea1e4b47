//! What a user is told of each handler: a line for each, one of sum, and the causes of what failed.

mod failures;

use std::fmt::Write;
use std::path::Path;

use crate::apply::{Done, End};
use crate::cli::Asked;
use crate::kernel::{Error, plain};
use crate::native::HOST;
use crate::plan::{Left, Outcome, OwnEntry, Skip};
use crate::table::Handler;
use crate::told::{Told, escaped};

use failures::Failures;

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
    failures: Failures,
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
    not_tried: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(verb: Verb, folder: &'a Path, asked: &'a Asked) -> Self {
        let mut notes = Vec::new();
        if verb == Verb::Register && asked.targets.contains(&HOST) {
            notes.push((HOST, "this machine's own".into()));
        }
        let (rows, counts, failures) = Default::default();
        Self { verb, folder, asked, rows, counts, notes, failures }
    }

    /// How a step ended.
    pub(crate) fn add(&mut self, done: Done) {
        let handler = done.step.handler;
        let (word, detail) = match done.end {
            End::NotTried => {
                self.counts.not_tried += 1;
                ("not tried", String::new())
            }
            End::Failed(cause, left) => {
                self.failures.add(self.doing(), handler.name, cause.to_string(), cause.of_many());
                ("failed", self.left(handler, left))
            }
            End::WithoutFile => {
                self.counts.unchanged += 1;
                let interpreter = handler.interpreter(&self.asked.emulators);
                ("unchanged", format!("{interpreter} (no such file here: the kernel uses the one that it opened)"))
            }
            End::AsPlanned => match self.as_planned(handler, done.step.outcome) {
                Some(told) => told,
                None => return,
            },
        };
        self.rows.push(Row { name: handler.name, word, detail });
    }

    /// A word and the detail, unless nothing need be told.
    fn as_planned(&mut self, handler: &'static Handler, outcome: Outcome) -> Option<(&'static str, String)> {
        let interpreter = || handler.interpreter(&self.asked.emulators);
        let is_named = !self.asked.targets.is_empty();
        Some(match outcome {
            Outcome::Registered => {
                self.counts.registered += 1;
                ("registered", interpreter())
            }
            Outcome::Replaced(difference) => {
                self.counts.replaced += 1;
                ("replaced", format!("{} (before: {difference})", interpreter()))
            }
            Outcome::Unchanged => {
                self.counts.unchanged += 1;
                ("unchanged", interpreter())
            }
            Outcome::Unregistered => {
                self.counts.unregistered += 1;
                ("unregistered", String::new())
            }
            Outcome::Absent if is_named => ("absent", "was not registered".into()),
            Outcome::Absent => return None,
            Outcome::Skipped(skip) => ("skipped", self.skipped(handler, &skip)),
            Outcome::Taken(owner) => {
                if self.verb == Verb::Register || is_named {
                    self.name_taken(handler, "the name", handler.name, &owner);
                }
                ("left alone", format!("belongs to {owner}"))
            }
            Outcome::Blocked(owner) => {
                let temporary = handler.temporary_name();
                self.name_taken(handler, &format!("the name {temporary}"), &temporary, &owner);
                ("failed", format!("the entry that was there stays; {temporary} belongs to {owner}"))
            }
            Outcome::Unreadable(errno) => {
                let alone = Error::Read { path: self.folder.join(handler.name), errno };
                let cause = plain(errno);
                self.failures.add(
                    self.doing(),
                    handler.name,
                    alone.to_string(),
                    format!("reading their entries: {cause}"),
                );
                ("failed", format!("cannot tell whose entry it is: {cause}"))
            }
        })
    }

    fn doing(&self) -> &'static str {
        match self.verb {
            Verb::Register => "registering",
            Verb::Unregister => "unregistering",
        }
    }

    fn skipped(&mut self, handler: &'static Handler, skip: &Skip) -> String {
        let target = handler.target;
        let cause = match skip {
            Skip::Native => "runs natively".into(),
            Skip::InTheWay => {
                format!("runs natively, but an entry of ours is there; to remove it: registrar unregister {target}")
            }
            Skip::Unknown(cause) => format!("cannot tell whether it runs natively: {cause}"),
        };
        // Of all handlers it is not asked that each be registered; of a named one it is.
        if matches!(skip, Skip::Unknown(_)) && !self.asked.targets.is_empty() {
            self.failures.add(self.doing(), target, format!("registering {target}: {cause}"), cause.clone());
        } else {
            match self.notes.iter_mut().find(|(noted, _)| *noted == target) {
                None => self.notes.push((target, cause.clone())),
                Some((_, note)) if *skip == Skip::InTheWay => note.clone_from(&cause),
                Some(_) => {}
            }
        }
        cause
    }

    /// A name that is needed for `handler`, described by `what`, belongs to somebody else.
    fn name_taken(&mut self, handler: &'static Handler, what: &str, name: &str, owner: &str) {
        let (doing, folder) = (self.doing(), self.folder.display());
        let suffix = &name[handler.name.len()..];
        let alone =
            format!("{doing} {}: {what} belongs to {owner}; to remove that: echo -1 > {folder}/{name}", handler.name);
        let common = format!(
            "the names{} belong to others, see registrar status; to remove one: echo -1 > {folder}/NAME{suffix}",
            if suffix.is_empty() { String::new() } else { format!(" with {suffix}") }
        );
        self.failures.add(doing, handler.name, alone, common);
    }

    /// What a failure has left.
    fn left(&self, handler: &Handler, left: Left) -> String {
        let temporary = handler.temporary_name();
        match (left.own, left.has_temporary) {
            (OwnEntry::Nothing, false) => handler.interpreter(&self.asked.emulators),
            (OwnEntry::Nothing, true) => format!("served by {temporary}"),
            (OwnEntry::Before, false) => "the entry that was there stays".into(),
            (OwnEntry::Before, true) => format!("the entry that was there stays, and so does {temporary}"),
            (OwnEntry::Wanted, _) => format!("in place, but {temporary} stays as well"),
        }
    }

    /// The whole text.
    pub(crate) fn told(mut self) -> Told {
        self.rows.sort_by_key(|row| row.name);
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        let mut out = String::new();
        for Row { name, word, detail } in &self.rows {
            out.push_str(format!("{name:width$}  {word:12}  {}", escaped(detail)).trim_end());
            out.push('\n');
        }
        out.push_str(&self.sum());
        let told = Told::success(out);
        match self.failures.lines().as_slice() {
            [] => told,
            [only] => told.and_failure(only),
            lines => {
                let told = lines.iter().fold(told, |told, line| told.and_detail(line));
                told.and_failure(&format!("{} failed, first: {}", self.failures.len(), lines[0]))
            }
        }
    }

    fn sum(&self) -> String {
        let Counts { registered, replaced, unchanged, unregistered, not_tried } = self.counts;
        let failed = self.failures.len();
        let mut sum = match self.verb {
            Verb::Register => format!("{registered} registered, {replaced} replaced, {unchanged} unchanged"),
            Verb::Unregister if unregistered == 0 && failed == 0 => "nothing was registered".into(),
            Verb::Unregister => format!("{unregistered} unregistered"),
        };
        for (count, word) in [(failed, "failed"), (not_tried, "not tried")] {
            if count > 0 {
                // Writing to a String cannot fail.
                let _ = write!(sum, ", {count} {word}");
            }
        }
        for (target, cause) in &self.notes {
            let _ = write!(sum, "; {target} skipped: {cause}");
        }
        sum + "\n"
    }
}
