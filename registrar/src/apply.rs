//! Carries a plan out and says how each step ended. What is wanted was decided before; what is told is decided after.

use nix::errno::Errno;

use crate::binfmt_misc::{BinfmtMount, Entry, Error, RegisterFile};
use crate::plan::{self, EntryName, HandlerPlan, Left, Operation};
use crate::request::DesiredState;
use crate::table::Handler;

/// A step, and how it ended.
pub(crate) struct PlanResult {
    pub(crate) plan: HandlerPlan,
    pub(crate) end: PlanStatus,
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PlanStatus {
    AsPlanned,
    /// What stopped it first, and what of ours is there now.
    Failed(Error, Left),
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

    /// Carries out one step, unless one before met what would stop this one too.
    pub(crate) fn apply(&mut self, plan: HandlerPlan) -> PlanResult {
        let end = if self.is_stopped && !plan.changes.is_empty() {
            PlanStatus::NotTried
        } else {
            self.change_all(&plan).unwrap_or_else(|(cause, made)| {
                self.is_stopped = cause.is_fatal();
                PlanStatus::Failed(cause, plan.left_after(&made))
            })
        };
        PlanResult { plan, end }
    }

    /// Makes all changes, or as many as can be, which it returns with the first failure.
    fn change_all(&mut self, plan: &HandlerPlan) -> Result<PlanStatus, (Error, Vec<Operation>)> {
        for (index, &change) in plan.changes.iter().enumerate() {
            let Err(cause) = self.change(plan.handler, change) else { continue };
            let mut made = plan.changes[..index].to_vec();
            if matches!(cause, Error::OwnerChanged { .. }) {
                // What was ours is gone.
                made.push(change);
            }
            // The helper stays only if nothing else serves any more.
            if let Some(&Operation::Add(helper)) = made.last()
                && helper != plan.main
                && self.change(plan.handler, Operation::Remove(helper)).is_ok()
            {
                made.push(Operation::Remove(helper));
            }
            return Err((cause, made));
        }
        Ok(PlanStatus::AsPlanned)
    }

    fn change(&mut self, handler: &Handler, change: Operation) -> Result<(), Error> {
        let DesiredState { emulators, flags, .. } = self.desired;
        match change {
            Operation::Add(slot) => self.add(handler, slot, &handler.line_with(slot.suffix(), emulators, flags)),
            Operation::Remove(slot) => self.folder.remove(&slot.name(handler), handler),
        }
    }

    /// Somebody else may have registered just the same meanwhile, who has no lock.
    fn add(&mut self, handler: &Handler, slot: EntryName, line: &str) -> Result<(), Error> {
        let is_wanted = |entry: Entry| plan::text_difference(handler, self.desired, &entry).is_none();
        let is_there = || self.folder.entry(&slot.name(handler)).is_some_and(is_wanted);
        match self.register.add(line, handler, &self.desired.emulators) {
            Err(Error::Add { errno: Errno::EEXIST, .. }) if is_there() => Ok(()),
            other => other,
        }
    }
}
