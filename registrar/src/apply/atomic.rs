//! All steps or none.
//!
//! First everything is added that can stand beside what is there, then what was there is removed: so what fails, as good
//! as always the first part, fails while nothing is gone yet. What is gone all the same is registered again as its text
//! said.

use super::{Done, End, Writer};
use crate::binfmt_misc::{Entries, Error};
use crate::plan::{Change, Slot, Step};

/// The step that failed, and of what.
struct Failure {
    index: usize,
    cause: Error,
}

impl Writer<'_> {
    /// Carries out all steps, or takes back what it did. `entries` is what was there before.
    pub(crate) fn apply_all_or_none(&mut self, steps: Vec<Step>, entries: &Entries) -> Vec<Done> {
        let mut made: Vec<Vec<Change>> = steps.iter().map(|_| Vec::new()).collect();
        let failure = if let Some(index) = steps.iter().position(|step| step.outcome.is_failure()) {
            // Nothing need be tried; the outcome itself tells why.
            Some((index, None))
        } else {
            self.try_all(&steps, &mut made).err().map(|Failure { index, cause }| (index, Some(cause)))
        };
        let Some((failed, mut cause)) = failure else {
            return steps.into_iter().map(|step| Done { end: self.end(&step), step }).collect();
        };
        let mut done = Vec::new();
        for (index, step) in steps.into_iter().enumerate().rev() {
            let has_changed = !made[index].is_empty();
            let undone = self.take_back(&step, &mut made[index], entries);
            let end = match (undone, cause.take_if(|_| index == failed)) {
                (_, Some(cause)) => End::Failed(cause, step.left_after(&made[index])),
                (Err(cause), None) => End::Failed(cause, step.left_after(&made[index])),
                (Ok(()), None) if has_changed => End::TakenBack,
                (Ok(()), None) if !step.changes.is_empty() => End::NotTried,
                (Ok(()), None) => self.end(&step),
            };
            done.push(Done { step, end });
        }
        done
    }

    fn try_all(&mut self, steps: &[Step], made: &mut [Vec<Change>]) -> Result<(), Failure> {
        let added = |step: &Step| step.changes.iter().take_while(|change| matches!(change, Change::Add(_))).count();
        for is_first_part in [true, false] {
            for (index, step) in steps.iter().enumerate() {
                let (first, second) = step.changes.split_at(added(step));
                for &change in if is_first_part { first } else { second } {
                    self.change(step.handler, change).map_err(|cause| Failure { index, cause })?;
                    made[index].push(change);
                }
            }
        }
        Ok(())
    }

    /// Undoes the changes made, the last one first, and leaves in `made` those that could not be.
    fn take_back(&mut self, step: &Step, made: &mut Vec<Change>, entries: &Entries) -> Result<(), Error> {
        while let Some(&change) = made.last() {
            match change {
                Change::Add(slot) => self.change(step.handler, Change::Remove(slot))?,
                Change::Remove(slot) => self.restore(step, slot, entries)?,
            }
            made.pop();
        }
        Ok(())
    }

    fn restore(&mut self, step: &Step, slot: Slot, entries: &Entries) -> Result<(), Error> {
        let name = slot.name(step.handler);
        let Some(entry) = entries.get(&name) else { return Ok(()) };
        let Some(line) = entry.line(&name) else { return Ok(()) };
        let folder = entry.interpreter.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.register.add(&line, step.handler, folder)?;
        if entry.enabled { Ok(()) } else { self.folder.disable(&name, step.handler) }
    }

    /// Takes back steps of which nothing failed. `entries` is what was there before.
    pub(crate) fn take_back_all(&mut self, done: Vec<Done>, entries: &Entries) -> Vec<Done> {
        let taken_back = done.into_iter().rev().map(|Done { step, end }| {
            if step.changes.is_empty() {
                return Done { step, end };
            }
            let mut made = step.changes.clone();
            let undone = self.cover(&step, &mut made).and_then(|()| self.take_back(&step, &mut made, entries));
            let end = match undone {
                Ok(()) => End::TakenBack,
                Err(cause) => End::Failed(cause, step.left_after(&made)),
            };
            Done { step, end }
        });
        taken_back.collect()
    }

    /// Undoes the end of an exchange, so that the helper serves while the entry is exchanged back.
    fn cover(&mut self, step: &Step, made: &mut Vec<Change>) -> Result<(), Error> {
        if let Some(&Change::Remove(helper)) = made.last()
            && made.contains(&Change::Add(helper))
        {
            self.change(step.handler, Change::Add(helper))?;
            made.pop();
        }
        Ok(())
    }
}
