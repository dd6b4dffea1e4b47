//! What of ours is there when a step could not be carried out to its end.

use super::Change::{Add, Remove};
use super::{Change, Outcome, Slot, Step};

/// Entries of one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) main: MainEntry,
    /// Under the other names.
    pub(crate) beside: Vec<Slot>,
}

/// What is there under the name of the entry that is meant to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MainEntry {
    Nothing,
    Before,
    Wanted,
}

impl Step {
    /// What is there after these changes.
    pub(crate) fn left_after(&self, made: &[Change]) -> Left {
        let is_there = |slot: Slot| {
            // Of those made, the last one says; else the first one to come, which would not remove what is not there.
            let changed = made.iter().rev().find(|change| change.slot() == slot);
            match changed {
                Some(change) => matches!(change, Add(_)),
                None => self.changes.iter().find(|change| change.slot() == slot) == Some(&Remove(slot)),
            }
        };
        let main = match self.outcome {
            Outcome::Unchanged => MainEntry::Wanted,
            _ if made.contains(&Add(self.main)) && is_there(self.main) => MainEntry::Wanted,
            _ if is_there(self.main) => MainEntry::Before,
            _ => MainEntry::Nothing,
        };
        let others = Slot::ALL.into_iter().filter(|slot| *slot != self.main);
        Left { main, beside: others.filter(|slot| is_there(*slot)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Difference;
    use crate::plan::Slot::{Own, Spare, Third};
    use crate::table::TABLE;

    /// The name that is to stay, the changes, how many were made, and what is left.
    type Case = (Slot, &'static [Change], usize, MainEntry, &'static [Slot]);

    #[test]
    fn what_is_left_of_an_exchange() {
        const OWN: &[Change] = &[Add(Spare), Remove(Own), Add(Own), Remove(Spare)];
        const AFTER: &[Change] = &[Remove(Spare), Add(Spare), Remove(Own), Add(Own), Remove(Third), Remove(Spare)];
        const SPARE: &[Change] = &[Add(Third), Remove(Spare), Add(Spare), Remove(Third)];
        let cases: [Case; 11] = [
            (Own, OWN, 0, MainEntry::Before, &[]),
            (Own, OWN, 1, MainEntry::Before, &[Spare]),
            (Own, OWN, 2, MainEntry::Nothing, &[Spare]),
            (Own, OWN, 3, MainEntry::Wanted, &[Spare]),
            (Own, OWN, 4, MainEntry::Wanted, &[]),
            (Own, AFTER, 0, MainEntry::Before, &[Spare, Third]),
            (Own, AFTER, 1, MainEntry::Before, &[Third]),
            (Own, AFTER, 5, MainEntry::Wanted, &[Spare]),
            (Spare, SPARE, 0, MainEntry::Before, &[]),
            (Spare, SPARE, 2, MainEntry::Nothing, &[Third]),
            (Own, &[Add(Own)], 0, MainEntry::Nothing, &[]),
        ];
        for (main, changes, made, expected, beside) in cases {
            let outcome = Outcome::Replaced(Difference::Flags);
            let step = Step { handler: &TABLE.handlers[0], main, outcome, changes: changes.into(), beside: None };
            let expected = Left { main: expected, beside: beside.into() };
            assert_eq!(step.left_after(&changes[..made]), expected, "{made} of {changes:?}");
        }
    }
}
