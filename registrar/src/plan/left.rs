//! What of ours is there when a step could not be carried out to its end.

use super::Change::{Add, Remove};
use super::Slot::{Own, Temporary};
use super::{Change, Outcome, Step};

/// Entries of one handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) own: OwnEntry,
    pub(crate) has_temporary: bool,
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
        let touches_temporary = |change: &&Change| matches!(change, Add(Temporary) | Remove(Temporary));
        let has_temporary = self.changes.iter().find(touches_temporary) == Some(&Remove(Temporary));
        made.iter().fold(Left { own, has_temporary }, |left, change| match change {
            Add(Own) => Left { own: OwnEntry::Wanted, ..left },
            Remove(Own) => Left { own: OwnEntry::Nothing, ..left },
            Add(Temporary) => Left { has_temporary: true, ..left },
            Remove(Temporary) => Left { has_temporary: false, ..left },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Difference, EXCHANGE, EXCHANGE_AFTER_LEFTOVER};
    use crate::table::TABLE;

    #[test]
    fn what_is_left_of_an_exchange() {
        let step =
            |changes| Step { handler: &TABLE.handlers[0], outcome: Outcome::Replaced(Difference::Flags), changes };
        let left = |own, has_temporary| Left { own, has_temporary };
        let cases = [
            (EXCHANGE, 0, left(OwnEntry::Before, false)),
            (EXCHANGE, 1, left(OwnEntry::Before, true)),
            (EXCHANGE, 2, left(OwnEntry::Nothing, true)),
            (EXCHANGE, 3, left(OwnEntry::Wanted, true)),
            (EXCHANGE_AFTER_LEFTOVER, 0, left(OwnEntry::Before, true)),
            (EXCHANGE_AFTER_LEFTOVER, 1, left(OwnEntry::Before, false)),
        ];
        for (changes, made, expected) in cases {
            assert_eq!(step(changes).left_after(&changes[..made]), expected, "{made} of {changes:?}");
        }
        let add = Step { handler: &TABLE.handlers[0], outcome: Outcome::Registered, changes: &[Add(Own)] };
        assert_eq!(add.left_after(&[]), left(OwnEntry::Nothing, false));
    }
}
