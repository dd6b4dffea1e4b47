//! Carries a plan out and says how each step ended. What is wanted was decided before; what is told is decided after.

mod atomic;

use std::path::Path;

use nix::errno::Errno;

use crate::binfmt_misc::{Entry, Error, Folder, Register};
use crate::plan::{self, Change, Left, Outcome, Slot, Step, Wanted};
use crate::table::Handler;

/// A step, and how it ended.
pub(crate) struct Done {
    pub(crate) step: Step,
    pub(crate) end: End,
}

impl Done {
    /// Whether something that was asked for is not so.
    pub(crate) fn is_failure(&self) -> bool {
        self.step.outcome.is_failure() || matches!(self.end, End::Failed(..))
    }
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    AsPlanned,
    /// As planned: an entry serves; but its emulator's file is gone, of which the kernel keeps what it opened.
    WithoutFile,
    /// What stopped it first, and what of ours is there now.
    Failed(Error, Left),
    /// Something stopped all changes before.
    NotTried,
    /// It was done, and undone because of another one's failure.
    TakenBack,
}

/// Writes to one folder.
pub(crate) struct Writer<'a> {
    folder: &'a Folder,
    wanted: &'a Wanted,
    register: &'a mut Register,
    is_stopped: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(folder: &'a Folder, wanted: &'a Wanted, register: &'a mut Register) -> Self {
        Self { folder, wanted, register, is_stopped: false }
    }

    /// Carries out one step, unless one before met what would stop this one too.
    pub(crate) fn apply(&mut self, step: Step) -> Done {
        let end = if self.is_stopped && !step.changes.is_empty() {
            End::NotTried
        } else {
            self.change_all(&step).unwrap_or_else(|(cause, made)| {
                self.is_stopped = cause.stops_all();
                End::Failed(cause, step.left_after(&made))
            })
        };
        Done { step, end }
    }

    /// Makes all changes, or as many as can be, which it returns with the first failure.
    fn change_all(&mut self, step: &Step) -> Result<End, (Error, Vec<Change>)> {
        for (index, &change) in step.changes.iter().enumerate() {
            let Err(cause) = self.change(step.handler, change) else { continue };
            let mut made = step.changes[..index].to_vec();
            if matches!(cause, Error::ChangedHands { .. }) {
                // What was ours is gone.
                made.push(change);
            }
            // The helper stays only if nothing else serves any more.
            if let Some(&Change::Add(helper)) = made.last()
                && helper != step.main
                && self.change(step.handler, Change::Remove(helper)).is_ok()
            {
                made.push(Change::Remove(helper));
            }
            return Err((cause, made));
        }
        Ok(self.end(step))
    }

    /// How a step ended of which nothing failed.
    fn end(&self, step: &Step) -> End {
        let has_file = || Path::new(&step.handler.interpreter(&self.wanted.emulators)).exists();
        let is_held = self.wanted.flags.fixes_binary();
        if step.outcome == Outcome::Unchanged && is_held && !has_file() { End::WithoutFile } else { End::AsPlanned }
    }

    fn change(&mut self, handler: &Handler, change: Change) -> Result<(), Error> {
        let Wanted { emulators, flags, .. } = self.wanted;
        match change {
            Change::Add(slot) => self.add(handler, slot, &handler.line_with(slot.suffix(), emulators, flags)),
            Change::Remove(slot) => self.folder.remove(&slot.name(handler), handler),
        }
    }

    /// Somebody else may have registered just the same meanwhile, who has no lock.
    fn add(&mut self, handler: &Handler, slot: Slot, line: &str) -> Result<(), Error> {
        let is_wanted = |entry: Entry| plan::text_difference(handler, self.wanted, &entry).is_none();
        let is_there = || self.folder.entry(&slot.name(handler)).is_some_and(is_wanted);
        match self.register.add(line, handler, &self.wanted.emulators) {
            Err(Error::Add { errno: Errno::EEXIST, .. }) if is_there() => Ok(()),
            other => other,
        }
    }
}
