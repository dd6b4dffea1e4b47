//! What must change for what is asked: the table's handlers and the kernel's entries in, steps out. Pure; carrying
//! them out is the business of [`crate::apply`].

mod left;

use std::fmt;

use nix::errno::Errno;

use crate::kernel::{Entries, Entry};
use crate::native::Verdict;
use crate::table::{FLAGS, Handler};

pub(crate) use left::{Left, OwnEntry};

/// What becomes of one handler.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) handler: &'static Handler,
    pub(crate) outcome: Outcome,
    /// In this order; the first that fails is the last.
    pub(crate) changes: &'static [Change],
}

/// What is so when the changes are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Registered,
    Replaced(Difference),
    Unchanged,
    Unregistered,
    Absent,
    /// Not wanted on this machine, or not ours to do.
    Skipped(Skip),
    /// An entry of this owner has the name.
    Taken(String),
    /// What is there must be replaced, but an entry of this owner has the temporary name.
    Blocked(String),
    /// An entry has the name, and it cannot be read whose it is.
    Unreadable(Errno),
}

/// Why a handler is not registered although nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    Native,
    /// It would run natively if an entry of ours were not there. That is left to `unregister`: nobody expects
    /// `register` to take something away.
    InTheWay,
    /// Why the kernel's answer told nothing.
    Unknown(String),
}

/// The first difference between an entry of ours and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Disabled,
    Interpreter,
    Flags,
    Pattern,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "disabled",
            Self::Interpreter => "emulator in another folder",
            Self::Flags => "other flags",
            Self::Pattern => "other magic or mask",
        })
    }
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Add(Slot),
    Remove(Slot),
}

/// Under which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Own,
    /// Serves while the own entry is exchanged; otherwise the leftover of a run that was killed.
    Temporary,
}

use Change::{Add, Remove};
use Slot::{Own, Temporary};

/// At every moment an entry serves: the newest that matches wins, and the same rule may stand under two names.
const EXCHANGE: &[Change] = &[Add(Temporary), Remove(Own), Add(Own), Remove(Temporary)];
const EXCHANGE_AFTER_LEFTOVER: &[Change] =
    &[Remove(Temporary), Add(Temporary), Remove(Own), Add(Own), Remove(Temporary)];

/// What an entry of a handler's name is.
enum Holder<'e> {
    Nobody,
    Us(&'e Entry),
    Other(&'e Entry),
}

/// Ours is what has our name and our emulator, in whatever folder.
fn holder<'e>(handler: &Handler, name: &str, entries: &'e Entries) -> Holder<'e> {
    match entries.get(name) {
        None => Holder::Nobody,
        Some(entry) if entry.emulator() == handler.emulator => Holder::Us(entry),
        Some(entry) => Holder::Other(entry),
    }
}

fn leftover(handler: &Handler, entries: &Entries) -> bool {
    matches!(holder(handler, &handler.temporary_name(), entries), Holder::Us(_))
}

/// Whether an entry of ours, in order or not, is there.
fn in_place(handler: &Handler, entries: &Entries) -> bool {
    matches!(holder(handler, handler.name, entries), Holder::Us(_)) || leftover(handler, entries)
}

/// What to do so that `handler`, with the emulator in `folder`, is registered if `verdict` says that it is needed.
pub(crate) fn register(handler: &'static Handler, folder: &str, entries: &Entries, verdict: Verdict) -> Step {
    let step = |outcome, changes| Step { handler, outcome, changes };
    match verdict {
        Verdict::Needed => {}
        Verdict::Native if in_place(handler, entries) => return step(Outcome::Skipped(Skip::InTheWay), &[]),
        Verdict::Native => return step(Outcome::Skipped(Skip::Native), &[]),
        Verdict::Unknown(cause) => return step(Outcome::Skipped(Skip::Unknown(cause)), &[]),
    }
    let leftover = leftover(handler, entries);
    match current(handler, folder, entries) {
        Current::Absent if leftover => step(Outcome::Registered, &[Add(Own), Remove(Temporary)]),
        Current::Absent => step(Outcome::Registered, &[Add(Own)]),
        Current::Same if leftover => step(Outcome::Unchanged, &[Remove(Temporary)]),
        Current::Same => step(Outcome::Unchanged, &[]),
        Current::Different(difference) if leftover => step(Outcome::Replaced(difference), EXCHANGE_AFTER_LEFTOVER),
        Current::Different(difference) => match entries.get(&handler.temporary_name()) {
            Some(blocking) => step(Outcome::Blocked(blocking.owner()), &[]),
            None => step(Outcome::Replaced(difference), EXCHANGE),
        },
        Current::Taken(entry) => step(taken(entry), &[]),
    }
}

/// What to do so that no entry of ours is there for `handler`.
pub(crate) fn unregister(handler: &'static Handler, entries: &Entries) -> Step {
    let step = |outcome, changes| Step { handler, outcome, changes };
    match (holder(handler, handler.name, entries), leftover(handler, entries)) {
        (Holder::Us(_), true) => step(Outcome::Unregistered, &[Remove(Own), Remove(Temporary)]),
        (Holder::Us(_), false) => step(Outcome::Unregistered, &[Remove(Own)]),
        (_, true) => step(Outcome::Unregistered, &[Remove(Temporary)]),
        (Holder::Nobody, false) => step(Outcome::Absent, &[]),
        (Holder::Other(entry), false) => step(taken(entry), &[]),
    }
}

fn taken(entry: &Entry) -> Outcome {
    entry.unreadable.map_or_else(|| Outcome::Taken(entry.owner()), Outcome::Unreadable)
}

/// How an entry compares with what would be registered.
pub(crate) enum Current<'e> {
    Absent,
    Same,
    Different(Difference),
    Taken(&'e Entry),
}

/// Compares the entry of `handler`'s name with what would be registered for the emulator in `folder`.
pub(crate) fn current<'e>(handler: &Handler, folder: &str, entries: &'e Entries) -> Current<'e> {
    let entry = match holder(handler, handler.name, entries) {
        Holder::Nobody => return Current::Absent,
        Holder::Other(entry) => return Current::Taken(entry),
        Holder::Us(entry) => entry,
    };
    let difference = if !entry.enabled {
        Difference::Disabled
    } else if entry.interpreter != handler.interpreter(folder) {
        Difference::Interpreter
    } else if entry.flags != FLAGS {
        Difference::Flags
    } else if entry.pattern != handler.pattern {
        Difference::Pattern
    } else {
        return Current::Same;
    };
    Current::Different(difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{EMULATOR_DIR, TABLE};

    /// The own entry, the temporary one, and what is to be done.
    type Case = (Option<Entry>, Option<Entry>, Outcome, &'static [Change]);

    fn handler() -> &'static Handler {
        TABLE.handlers_of("s390x").next().expect("the committed table holds all targets")
    }

    fn entry() -> Entry {
        let handler = handler();
        Entry {
            enabled: true,
            interpreter: handler.interpreter(EMULATOR_DIR),
            flags: FLAGS.into(),
            pattern: handler.pattern.into(),
            unreadable: None,
        }
    }

    fn other() -> Entry {
        Entry { interpreter: "/usr/libexec/qemu-binfmt/s390x-binfmt-P".into(), ..entry() }
    }

    fn entries(own: Option<Entry>, temporary: Option<Entry>) -> Entries {
        let handler = handler();
        let named = [(handler.name.to_owned(), own), (handler.temporary_name(), temporary)];
        named.into_iter().filter_map(|(name, entry)| Some((name, entry?))).collect()
    }

    #[test]
    fn what_register_does() {
        let disabled = Entry { enabled: false, ..entry() };
        let elsewhere = Entry { interpreter: handler().interpreter("/opt"), ..entry() };
        let flags = Entry { flags: "POCF".into(), ..entry() };
        let other_flags = flags.clone();
        let pattern = Entry { pattern: "offset 0\nmagic 7f\n".into(), ..entry() };
        let taken = || Outcome::Taken(other().interpreter);
        let unreadable = || Entry::unreadable(Errno::EIO);
        let cases: [Case; 15] = [
            (None, None, Outcome::Registered, &[Add(Own)]),
            (None, Some(entry()), Outcome::Registered, &[Add(Own), Remove(Temporary)]),
            (Some(entry()), None, Outcome::Unchanged, &[]),
            (Some(entry()), Some(entry()), Outcome::Unchanged, &[Remove(Temporary)]),
            (Some(entry()), Some(other()), Outcome::Unchanged, &[]),
            (Some(disabled), None, Outcome::Replaced(Difference::Disabled), EXCHANGE),
            (Some(elsewhere.clone()), None, Outcome::Replaced(Difference::Interpreter), EXCHANGE),
            (Some(flags), None, Outcome::Replaced(Difference::Flags), EXCHANGE),
            (Some(pattern), None, Outcome::Replaced(Difference::Pattern), EXCHANGE),
            (
                Some(elsewhere),
                Some(entry()),
                Outcome::Replaced(Difference::Interpreter),
                &[Remove(Temporary), Add(Temporary), Remove(Own), Add(Own), Remove(Temporary)],
            ),
            (Some(other()), None, taken(), &[]),
            (None, Some(other()), Outcome::Registered, &[Add(Own)]),
            (Some(other_flags), Some(other()), Outcome::Blocked(other().interpreter), &[]),
            (Some(unreadable()), None, Outcome::Unreadable(Errno::EIO), &[]),
            (None, Some(unreadable()), Outcome::Registered, &[Add(Own)]),
        ];
        for (own, temporary, outcome, changes) in cases {
            let entries = entries(own, temporary);
            let step = register(handler(), EMULATOR_DIR, &entries, Verdict::Needed);
            assert_eq!(step, Step { handler: handler(), outcome, changes }, "{entries:?}");
        }
    }

    #[test]
    fn register_leaves_alone_what_runs_already() {
        let verdicts =
            [(Verdict::Native, Skip::Native), (Verdict::Unknown("killed".into()), Skip::Unknown("killed".into()))];
        for (verdict, skip) in verdicts {
            let step = register(handler(), EMULATOR_DIR, &Entries::default(), verdict);
            assert_eq!((step.outcome, step.changes), (Outcome::Skipped(skip), &[][..]));
        }
        for entries in [entries(Some(entry()), None), entries(None, Some(entry()))] {
            let step = register(handler(), EMULATOR_DIR, &entries, Verdict::Native);
            assert_eq!((step.outcome, step.changes), (Outcome::Skipped(Skip::InTheWay), &[][..]));
        }
    }

    #[test]
    fn what_unregister_does() {
        let elsewhere = Entry { interpreter: handler().interpreter("/opt"), ..entry() };
        let taken = Outcome::Taken(other().interpreter);
        let cases: [Case; 6] = [
            (None, None, Outcome::Absent, &[]),
            (Some(entry()), None, Outcome::Unregistered, &[Remove(Own)]),
            (Some(elsewhere), Some(entry()), Outcome::Unregistered, &[Remove(Own), Remove(Temporary)]),
            (None, Some(entry()), Outcome::Unregistered, &[Remove(Temporary)]),
            (None, Some(other()), Outcome::Absent, &[]),
            (Some(other()), None, taken, &[]),
        ];
        for (own, temporary, outcome, changes) in cases {
            let entries = entries(own, temporary);
            assert_eq!(unregister(handler(), &entries), Step { handler: handler(), outcome, changes }, "{entries:?}");
        }
    }

    #[test]
    fn the_exchange_never_leaves_a_gap() {
        for exchange in [EXCHANGE, EXCHANGE_AFTER_LEFTOVER] {
            let mut serving = vec![Own];
            if exchange[0] == Remove(Temporary) {
                serving.push(Temporary);
            }
            for change in exchange {
                match change {
                    Add(slot) => serving.push(*slot),
                    Remove(slot) => serving.retain(|serving| serving != slot),
                }
                assert!(!serving.is_empty());
            }
            assert_eq!(serving, [Own]);
        }
    }
}
