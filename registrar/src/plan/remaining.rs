//! What of ours is there when a step could not be carried out to its end.

use super::Operation::{Add, Remove};
use super::{EntryName, HandlerPlan, Operation, PlanOutcome};

/// Entries of one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) main: MainEntry,
    /// Under the other names.
    pub(crate) beside: Vec<EntryName>,
}

/// What is there under the name of the entry that is meant to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MainEntry {
    Nothing,
    Before,
    Desired,
}

impl HandlerPlan {
    /// What is there after these changes.
    pub(crate) fn left_after(&self, made: &[Operation]) -> Left {
        let is_there = |slot: EntryName| {
            // Of those made, the last one says; else the first one to come, which would not remove what is not there.
            let changed = made.iter().rev().find(|change| change.slot() == slot);
            match changed {
                Some(change) => matches!(change, Add(_)),
                None => self.changes.iter().find(|change| change.slot() == slot) == Some(&Remove(slot)),
            }
        };
        let main = match self.outcome {
            PlanOutcome::Unchanged => MainEntry::Desired,
            _ if made.contains(&Add(self.main)) && is_there(self.main) => MainEntry::Desired,
            _ if is_there(self.main) => MainEntry::Before,
            _ => MainEntry::Nothing,
        };
        let others = EntryName::ALL.into_iter().filter(|slot| *slot != self.main);
        Left { main, beside: others.filter(|slot| is_there(*slot)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Drift;
    use crate::plan::EntryName::{Primary, Secondary, Tertiary};
    use crate::table::TABLE;

    /// The name that is to stay, the changes, how many were made, and what is left.
    type Case = (EntryName, &'static [Operation], usize, MainEntry, &'static [EntryName]);

    #[test]
    fn what_is_left_of_an_exchange() {
        const OWN: &[Operation] = &[Add(Secondary), Remove(Primary), Add(Primary), Remove(Secondary)];
        const AFTER: &[Operation] =
            &[Remove(Secondary), Add(Secondary), Remove(Primary), Add(Primary), Remove(Tertiary), Remove(Secondary)];
        const SPARE: &[Operation] = &[Add(Tertiary), Remove(Secondary), Add(Secondary), Remove(Tertiary)];
        let cases: [Case; 11] = [
            (Primary, OWN, 0, MainEntry::Before, &[]),
            (Primary, OWN, 1, MainEntry::Before, &[Secondary]),
            (Primary, OWN, 2, MainEntry::Nothing, &[Secondary]),
            (Primary, OWN, 3, MainEntry::Desired, &[Secondary]),
            (Primary, OWN, 4, MainEntry::Desired, &[]),
            (Primary, AFTER, 0, MainEntry::Before, &[Secondary, Tertiary]),
            (Primary, AFTER, 1, MainEntry::Before, &[Tertiary]),
            (Primary, AFTER, 5, MainEntry::Desired, &[Secondary]),
            (Secondary, SPARE, 0, MainEntry::Before, &[]),
            (Secondary, SPARE, 2, MainEntry::Nothing, &[Tertiary]),
            (Primary, &[Add(Primary)], 0, MainEntry::Nothing, &[]),
        ];
        for (main, changes, made, expected, beside) in cases {
            let outcome = PlanOutcome::Replaced(Drift::Flags);
            let step =
                HandlerPlan { handler: &TABLE.handlers[0], main, outcome, changes: changes.into(), beside: None };
            let expected = Left { main: expected, beside: beside.into() };
            assert_eq!(step.left_after(&changes[..made]), expected, "{made} of {changes:?}");
        }
    }
}
