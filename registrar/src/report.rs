//! What a user is told of each handler: a line for each, one of sum, and the causes of what failed.

mod failures;

use std::fmt::Write;
use std::path::Path;

use crate::apply::{Done, End};
use crate::cli::{Asked, Detail};
use crate::kernel::{Error, plain};
use crate::native::HOST;
use crate::plan::{Change, Left, Outcome, OwnEntry, Skip, Slot, Step};
use crate::table::Handler;
use crate::told::{Told, escaped};

use failures::Failures;

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
    verb: Verb,
    mode: Mode,
    folder: &'a Path,
    asked: &'a Asked,
    rows: Vec<Row>,
    counts: Counts,
    /// Targets that are not registered, and why not.
    notes: Vec<(&'static str, String)>,
    /// What holds for all of it.
    remarks: Vec<String>,
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
        Self { verb, mode, folder, asked, rows, counts, notes, remarks, failures }
    }

    /// Something that holds for all of it, for the sum.
    pub(crate) fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// How a step ended.
    pub(crate) fn add(&mut self, done: Done) {
        let handler = done.step.handler;
        // Of what failed or was undone, nothing is left to be shown.
        let changes = if done.end == End::AsPlanned { done.step.changes } else { &[] };
        let (word, detail) = match done.end {
            End::NotTried => {
                self.counts.not_tried += 1;
                ("not tried", String::new())
            }
            End::Failed(cause, left) => {
                let hint = cause.hint(&self.asked.wanted.flags).map(|hint| format!("; {hint}")).unwrap_or_default();
                let (alone, common) = (format!("{cause}{hint}"), cause.of_many() + &hint);
                self.failures.add(self.doing(), handler.name, alone, common);
                ("failed", self.left(handler, left))
            }
            End::TakenBack => {
                self.counts.taken_back += 1;
                ("taken back", String::new())
            }
            End::WithoutFile => {
                self.counts.unchanged += 1;
                let interpreter = handler.interpreter(&self.asked.wanted.emulators);
                ("unchanged", format!("{interpreter} (no such file here: the kernel uses the one that it opened)"))
            }
            End::AsPlanned => match self.as_planned(&done.step) {
                Some((word, detail)) => (word, detail + &beside(&done.step)),
                None => return,
            },
        };
        self.rows.push(Row { name: handler.name, word, detail });
        if self.asked.detail == Detail::Verbose {
            let written: Vec<_> = changes.iter().map(|&change| self.change(handler, change)).collect();
            self.rows.extend(written);
        }
    }

    /// A write to the kernel, made or to be made.
    fn change(&self, handler: &'static Handler, change: Change) -> Row {
        let wanted = &self.asked.wanted;
        let detail = match change {
            Change::Add(Slot::Own) => handler.line_in(&wanted.emulators, &wanted.flags).into_owned(),
            Change::Add(Slot::Spare) => handler.spare_line_in(&wanted.emulators, &wanted.flags),
            Change::Remove(slot) => format!("-1 to {}", slot.name(handler)),
        };
        Row { name: handler.name, word: self.word("  written", "  to write"), detail }
    }

    /// A word and the detail, unless nothing need be told.
    fn as_planned(&mut self, step: &Step) -> Option<(&'static str, String)> {
        let handler = step.handler;
        let interpreter = || handler.interpreter(&self.asked.wanted.emulators);
        let is_named = !self.asked.targets.is_empty();
        Some(match step.outcome.clone() {
            Outcome::Registered => {
                self.counts.registered += 1;
                (self.word("registered", "to register"), interpreter())
            }
            Outcome::Replaced(difference) => {
                self.counts.replaced += 1;
                let word = self.word("replaced", "to replace");
                (word, format!("{} ({}: {difference})", interpreter(), self.word("before", "now")))
            }
            Outcome::Unchanged => {
                self.counts.unchanged += 1;
                ("unchanged", interpreter())
            }
            Outcome::Unregistered => {
                self.counts.unregistered += 1;
                (self.word("unregistered", "to remove"), String::new())
            }
            Outcome::Absent if is_named => ("absent", "was not registered".into()),
            Outcome::Absent => return None,
            Outcome::Skipped(Skip::Served) => ("left alone", "already".into()),
            Outcome::Skipped(skip) => ("skipped", self.skipped(handler, &skip)),
            Outcome::TakesNative(native) => {
                let cause = format!("its rule would take {native} too");
                let alone = format!(
                    "registering {}: {cause}; nothing is wrong with the machine, but with the table",
                    handler.name
                );
                self.failures.add(self.doing(), handler.name, alone, cause.clone());
                ("failed", cause)
            }
            Outcome::Unfit(why) => {
                let interpreter = interpreter();
                let advice = "flag F needs a static emulator of this machine; or --no-fix-binary";
                let alone = format!("registering {}: {interpreter}: {why}; {advice}", handler.name);
                self.failures.add(self.doing(), handler.name, alone, format!("{why}; {advice}"));
                ("failed", format!("{interpreter}: {why}"))
            }
            Outcome::NotExecutable(errno) => {
                let interpreter = interpreter();
                let folder = self.asked.wanted.emulators.clone();
                let cause = Error::Add { name: handler.name, folder, interpreter: interpreter.clone(), errno };
                self.failures.add(self.doing(), handler.name, cause.to_string(), cause.of_many());
                ("failed", interpreter)
            }
            Outcome::Undecidable(cause) => {
                let cause = format!("cannot tell whether it runs natively: {cause}");
                let alone = format!("registering {}: {cause}", handler.target);
                self.failures.add(self.doing(), handler.target, alone, cause.clone());
                ("skipped", cause)
            }
            Outcome::Taken(owner) => {
                let name = if self.verb == Verb::Register { handler.spare_name() } else { handler.name.into() };
                if self.verb == Verb::Register || is_named {
                    self.name_taken(handler, &name, &owner);
                }
                (
                    "left alone",
                    if name == handler.name {
                        format!("belongs to {owner}")
                    } else {
                        format!("{name} belongs to {owner}")
                    },
                )
            }
            Outcome::Blocked(owner) => {
                let spare = handler.spare_name();
                self.name_taken(handler, &spare, &owner);
                ("failed", format!("the entry that was there stays; {spare} belongs to {owner}"))
            }
            Outcome::Unreadable { name, errno } => {
                let cause = plain(errno);
                let whose = if name == handler.name { "whose entry it is".into() } else { format!("whose {name} is") };
                let alone = Error::Read { path: self.folder.join(name), errno }.to_string();
                let common = format!("reading their entries: {cause}");
                self.failures.add(self.doing(), handler.name, alone, common);
                ("failed", format!("cannot tell {whose}: {cause}"))
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
            Skip::Served => "served by somebody else".into(),
        };
        match self.notes.iter_mut().find(|(noted, _)| *noted == target) {
            None => self.notes.push((target, cause.clone())),
            Some((_, note)) if *skip == Skip::InTheWay => note.clone_from(&cause),
            Some(_) => {}
        }
        cause
    }

    fn word(&self, done: &'static str, to_do: &'static str) -> &'static str {
        if self.mode == Mode::Real { done } else { to_do }
    }

    /// A name that is needed for `handler` belongs to somebody else.
    fn name_taken(&mut self, handler: &'static Handler, name: &str, owner: &str) {
        let (doing, folder) = (self.doing(), self.folder.display());
        let suffix = &name[handler.name.len()..];
        let what = if suffix.is_empty() { "the name".into() } else { format!("the name {name}") };
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
        let spare = handler.spare_name();
        match (left.own, left.has_spare) {
            (OwnEntry::Nothing, false) => handler.interpreter(&self.asked.wanted.emulators),
            (OwnEntry::Nothing, true) => format!("served by {spare}"),
            (OwnEntry::Before, false) => "the entry that was there stays".into(),
            (OwnEntry::Before, true) => format!("the entry that was there stays, and so does {spare}"),
            (OwnEntry::Wanted, _) => format!("in place, but {spare} stays as well"),
        }
    }

    /// The whole text.
    pub(crate) fn told(mut self) -> Told {
        self.rows.sort_by_key(|row| row.name);
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        let mut out = String::new();
        if self.asked.detail == Detail::Verbose {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "binfmt_misc at {}", escaped(&self.folder.display().to_string()));
        }
        for Row { name, word, detail } in &self.rows {
            out.push_str(format!("{name:width$}  {word:12}  {}", escaped(detail)).trim_end());
            out.push('\n');
        }
        out.push_str(&self.sum());
        let told = Told::success(if self.asked.detail == Detail::Quiet { String::new() } else { out });
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
        let Counts { registered, replaced, unchanged, unregistered, taken_back, not_tried } = self.counts;
        let failed = self.failures.len();
        let mut sum = match (self.verb, self.mode) {
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

/// The entry of somebody else that has to do with a step, if one has.
fn beside(step: &Step) -> String {
    let Some((name, owner)) = &step.beside else { return String::new() };
    let is_served = matches!(step.outcome, Outcome::Registered | Outcome::Replaced(_) | Outcome::Unchanged);
    match step.outcome {
        Outcome::Skipped(Skip::Served) => format!(" served by {name}, {owner}"),
        _ if is_served && *name == step.handler.name => {
            format!(", as {}: the name {name} belongs to {owner}", step.handler.spare_name())
        }
        _ if is_served => format!(", before {name} ({owner}), which stays"),
        _ => String::new(),
    }
}
