//! What of ours is there when a step could not be carried out to its end.

use super::Change::{Add, Remove};
use super::Slot::{Own, Spare};
use super::{Change, Outcome, Step};

/// Entries of one handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) own: OwnEntry,
    pub(crate) has_spare: bool,
}

/// What is there under a handler's own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnEntry {
    Nothing,
    Before,
    Wanted,
}

impl Step {
    /// What is there after these changes.
    pub(crate) fn left_after(&self, made: &[Change]) -> Left {
        let own = match self.outcome {
            Outcome::Unchanged => OwnEntry::Wanted,
            _ if self.changes.contains(&Remove(Own)) => OwnEntry::Before,
            _ => OwnEntry::Nothing,
        };
        let touches_spare = |change: &&Change| matches!(change, Add(Spare) | Remove(Spare));
        let has_spare = self.changes.iter().find(touches_spare) == Some(&Remove(Spare));
        made.iter().fold(Left { own, has_spare }, |left, change| match change {
            Add(Own) => Left { own: OwnEntry::Wanted, ..left },
            Remove(Own) => Left { own: OwnEntry::Nothing, ..left },
            Add(Spare) => Left { has_spare: true, ..left },
            Remove(Spare) => Left { has_spare: false, ..left },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Difference, EXCHANGE, EXCHANGE_AFTER_SPARE};
    use crate::table::TABLE;

    #[test]
    fn what_is_left_of_an_exchange() {
        let step = |changes| Step {
            handler: &TABLE.handlers[0],
            outcome: Outcome::Replaced(Difference::Flags),
            changes,
            beside: None,
        };
        let left = |own, has_spare| Left { own, has_spare };
        let cases = [
            (EXCHANGE, 0, left(OwnEntry::Before, false)),
            (EXCHANGE, 1, left(OwnEntry::Before, true)),
            (EXCHANGE, 2, left(OwnEntry::Nothing, true)),
            (EXCHANGE, 3, left(OwnEntry::Wanted, true)),
            (EXCHANGE_AFTER_SPARE, 0, left(OwnEntry::Before, true)),
            (EXCHANGE_AFTER_SPARE, 1, left(OwnEntry::Before, false)),
        ];
        for (changes, made, expected) in cases {
            assert_eq!(step(changes).left_after(&changes[..made]), expected, "{made} of {changes:?}");
        }
        let add =
            Step { handler: &TABLE.handlers[0], outcome: Outcome::Registered, changes: &[Add(Own)], beside: None };
        assert_eq!(add.left_after(&[]), left(OwnEntry::Nothing, false));
    }
}
