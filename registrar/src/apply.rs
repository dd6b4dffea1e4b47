//! Carries out plans, one write(2) after the other, and says how each ended.

use std::ffi::OsStr;

use nix::errno::Errno;

use crate::binfmt_misc::{BinfmtMount, Entry, Error, RegisterFile};
use crate::plan::{self, HandlerPlan, Operation, Remaining};
use crate::request::DesiredState;
use crate::table::Handler;

/// A plan, and how it ended.
pub(crate) struct PlanResult {
    pub(crate) plan: HandlerPlan,
    pub(crate) end: PlanStatus,
}

/// How a plan ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PlanStatus {
    AsPlanned,
    /// What stopped it first, and what of ours is there now.
    Failed(Error, Remaining),
    /// Something stopped all changes before.
    NotTried,
}

/// Writes to one folder.
pub(crate) struct Writer<'a> {
    folder: &'a BinfmtMount,
    desired: &'a DesiredState,
    register: &'a mut RegisterFile,
    is_stopped: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(folder: &'a BinfmtMount, desired: &'a DesiredState, register: &'a mut RegisterFile) -> Self {
        Self { folder, desired, register, is_stopped: false }
    }

    /// Carries out one plan, unless one before met what would stop this one too.
    pub(crate) fn apply(&mut self, plan: HandlerPlan) -> PlanResult {
        let end = if self.is_stopped && !plan.changes.is_empty() {
            PlanStatus::NotTried
        } else {
            match self.change_all(&plan) {
                Ok(()) => PlanStatus::AsPlanned,
                Err(cause) => {
                    self.is_stopped = cause.is_fatal();
                    let remaining = plan.remaining(self.desired, |name| self.folder.entry(name));
                    PlanStatus::Failed(cause, remaining)
                }
            }
        };
        PlanResult { plan, end }
    }

    /// Makes all changes, up to the first that fails.
    fn change_all(&mut self, plan: &HandlerPlan) -> Result<(), Error> {
        let mut last = None;
        for &change in &plan.changes {
            if let Err(cause) = self.change(plan.handler, change) {
                // What was ours is gone, if its owner has changed: then the standby entry must stay.
                if let Some(Operation::Add(standby)) = last
                    && standby != plan.main
                    && !matches!(cause, Error::OwnerChanged { .. })
                {
                    // It shows whether that has failed too.
                    let _ = self.change(plan.handler, Operation::Remove(standby));
                }
                return Err(cause);
            }
            last = Some(change);
        }
        Ok(())
    }

    fn change(&mut self, handler: &Handler, change: Operation) -> Result<(), Error> {
        let DesiredState { emulators, flags, .. } = self.desired;
        let entry_name = match change {
            Operation::Add(entry_name) => entry_name,
            Operation::Remove(entry_name) => {
                let name = handler.name_with(entry_name.suffix());
                return self.folder.remove(OsStr::new(&*name), &|entry| entry.is_of(handler));
            }
        };
        let is_wanted = |entry: Entry| plan::text_difference(handler, self.desired, &entry).is_none();
        let is_there = || self.folder.entry(&entry_name.name(handler)).is_some_and(is_wanted);
        match self.register.add(&handler.line_with(entry_name.suffix(), emulators, flags), handler, emulators) {
            // Another tool, which takes no lock, has registered the same since the folder was read.
            Err(Error::Add { errno: Errno::EEXIST, .. }) if is_there() => Ok(()),
            other => other,
        }
    }
}
