//! Carries a plan out and says how each step ended. What is wanted was decided before; what is told is decided after.

use std::path::Path;

use crate::kernel::{Error, Folder, Register};
use crate::plan::{Change, Left, Outcome, Slot, Step};
use crate::table::Handler;

/// A step, and how it ended.
pub(crate) struct Done {
    pub(crate) step: Step,
    pub(crate) end: End,
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
}

/// Writes to one folder for emulators in one other.
pub(crate) struct Writer<'a> {
    folder: &'a Folder,
    emulators: &'a str,
    register: Option<Register>,
    is_stopped: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(folder: &'a Folder, emulators: &'a str) -> Self {
        Self { folder, emulators, register: None, is_stopped: false }
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
            // The temporary entry stays only if nothing else serves any more.
            let undone = Change::Remove(Slot::Temporary);
            if made.last() == Some(&Change::Add(Slot::Temporary)) && self.change(step.handler, undone).is_ok() {
                made.push(undone);
            }
            return Err((cause, made));
        }
        let has_file = || Path::new(&step.handler.interpreter(self.emulators)).exists();
        Ok(if step.outcome == Outcome::Unchanged && !has_file() { End::WithoutFile } else { End::AsPlanned })
    }

    fn change(&mut self, handler: &Handler, change: Change) -> Result<(), Error> {
        match change {
            Change::Add(Slot::Own) => self.add(handler, &handler.line_in(self.emulators)),
            Change::Add(Slot::Temporary) => self.add(handler, &handler.temporary_line_in(self.emulators)),
            Change::Remove(Slot::Own) => self.folder.remove(handler.name),
            Change::Remove(Slot::Temporary) => self.folder.remove(&handler.temporary_name()),
        }
    }

    fn add(&mut self, handler: &Handler, line: &str) -> Result<(), Error> {
        let register = match &mut self.register {
            Some(register) => register,
            unopened => unopened.insert(self.folder.register()?),
        };
        register.add(line, handler, self.emulators)
    }
}
