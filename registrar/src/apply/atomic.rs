//! All steps or none.
//!
//! First everything is added that can stand beside what is there, then what was there is removed: so what fails, as good
//! as always the first part, fails while nothing is gone yet. What is gone all the same is registered again as its text
//! said.

use super::{PlanResult, PlanStatus, Writer};
use crate::binfmt_misc::{Entries, Error};
use crate::plan::{EntryName, HandlerPlan, Operation};

/// The step that failed, and of what.
struct Failure {
    index: usize,
    cause: Error,
}

impl Writer<'_> {
    /// Carries out all steps, or takes back what it did. `entries` is what was there before.
    pub(crate) fn apply_all_or_none(&mut self, plans: Vec<HandlerPlan>, entries: &Entries) -> Vec<PlanResult> {
        let mut made: Vec<Vec<Operation>> = plans.iter().map(|_| Vec::new()).collect();
        let failure = if let Some(index) = plans.iter().position(|plan| plan.outcome.is_failure()) {
            // Nothing need be tried; the outcome itself tells why.
            Some((index, None))
        } else {
            self.try_all(&plans, &mut made).err().map(|Failure { index, cause }| (index, Some(cause)))
        };
        let Some((failed, mut cause)) = failure else {
            return plans.into_iter().map(|plan| PlanResult { end: self.end(&plan), plan }).collect();
        };
        let mut done = Vec::new();
        for (index, plan) in plans.into_iter().enumerate().rev() {
            let has_changed = !made[index].is_empty();
            let undone = self.take_back(&plan, &mut made[index], entries);
            let end = match (undone, cause.take_if(|_| index == failed)) {
                (_, Some(cause)) => PlanStatus::Failed(cause, plan.left_after(&made[index])),
                (Err(cause), None) => PlanStatus::Failed(cause, plan.left_after(&made[index])),
                (Ok(()), None) if has_changed => PlanStatus::TakenBack,
                (Ok(()), None) if !plan.changes.is_empty() => PlanStatus::NotTried,
                (Ok(()), None) => self.end(&plan),
            };
            done.push(PlanResult { plan, end });
        }
        done
    }

    fn try_all(&mut self, plans: &[HandlerPlan], made: &mut [Vec<Operation>]) -> Result<(), Failure> {
        let added =
            |plan: &HandlerPlan| plan.changes.iter().take_while(|change| matches!(change, Operation::Add(_))).count();
        for is_first_part in [true, false] {
            for (index, plan) in plans.iter().enumerate() {
                let (first, second) = plan.changes.split_at(added(plan));
                for &change in if is_first_part { first } else { second } {
                    self.change(plan.handler, change).map_err(|cause| Failure { index, cause })?;
                    made[index].push(change);
                }
            }
        }
        Ok(())
    }

    /// Undoes the changes made, the last one first, and leaves in `made` those that could not be.
    fn take_back(&mut self, plan: &HandlerPlan, made: &mut Vec<Operation>, entries: &Entries) -> Result<(), Error> {
        while let Some(&change) = made.last() {
            match change {
                Operation::Add(slot) => self.change(plan.handler, Operation::Remove(slot))?,
                Operation::Remove(slot) => self.restore(plan, slot, entries)?,
            }
            made.pop();
        }
        Ok(())
    }

    fn restore(&mut self, plan: &HandlerPlan, slot: EntryName, entries: &Entries) -> Result<(), Error> {
        let name = slot.name(plan.handler);
        let Some(entry) = entries.get(&name) else { return Ok(()) };
        let Some(line) = entry.line(&name) else { return Ok(()) };
        let folder = entry.interpreter.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.register.add(&line, plan.handler, folder)?;
        if entry.enabled { Ok(()) } else { self.folder.disable(&name, plan.handler) }
    }

    /// Takes back steps of which nothing failed. `entries` is what was there before.
    pub(crate) fn take_back_all(&mut self, done: Vec<PlanResult>, entries: &Entries) -> Vec<PlanResult> {
        let taken_back = done.into_iter().rev().map(|PlanResult { plan, end }| {
            if plan.changes.is_empty() {
                return PlanResult { plan, end };
            }
            let mut made = plan.changes.clone();
            let undone = self.cover(&plan, &mut made).and_then(|()| self.take_back(&plan, &mut made, entries));
            let end = match undone {
                Ok(()) => PlanStatus::TakenBack,
                Err(cause) => PlanStatus::Failed(cause, plan.left_after(&made)),
            };
            PlanResult { plan, end }
        });
        taken_back.collect()
    }

    /// Undoes the end of an exchange, so that the helper serves while the entry is exchanged back.
    fn cover(&mut self, plan: &HandlerPlan, made: &mut Vec<Operation>) -> Result<(), Error> {
        if let Some(&Operation::Remove(helper)) = made.last()
            && made.contains(&Operation::Add(helper))
        {
            self.change(plan.handler, Operation::Add(helper))?;
            made.pop();
        }
        Ok(())
    }
}
