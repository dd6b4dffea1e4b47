//! Carries a plan out and says how each step ended. What is wanted was decided before; what is told is decided after.

use crate::kernel::{Error, Folder, Register};
use crate::plan::{Change, Slot, Step};
use crate::table::Handler;

/// A step, and why it failed if it did.
pub(crate) struct Done {
    pub(crate) step: Step,
    pub(crate) failure: Option<Error>,
}

/// Writes to one folder for emulators in one other.
pub(crate) struct Writer<'a> {
    folder: &'a Folder,
    emulators: &'a str,
    register: Option<Register>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(folder: &'a Folder, emulators: &'a str) -> Self {
        Self { folder, emulators, register: None }
    }

    /// Carries out one step.
    ///
    /// # Errors
    /// Only what would stop every further step as well; what stops this one alone is in [`Done::failure`].
    pub(crate) fn apply(&mut self, step: Step) -> Result<Done, Error> {
        let mut own_is_removed = false;
        for (index, &change) in step.changes.iter().enumerate() {
            match self.change(step.handler, change) {
                Ok(()) => own_is_removed |= change == Change::Remove(Slot::Own),
                Err(failure) => {
                    // The temporary entry stays only if nothing else serves any more.
                    if !own_is_removed && step.changes[..index].contains(&Change::Add(Slot::Temporary)) {
                        self.change(step.handler, Change::Remove(Slot::Temporary))?;
                    }
                    return match failure {
                        Error::NotWritable { .. } => Err(failure),
                        failure => Ok(Done { step, failure: Some(failure) }),
                    };
                }
            }
        }
        Ok(Done { step, failure: None })
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
