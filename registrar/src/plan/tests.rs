//! Plans for what may be there, as tables.

mod model;

use super::Slot::Third;
use super::*;
use crate::table::TABLE;

/// What is under the own name, the second, and in an entry of somebody else's name; what is to be done.
type Case = ([Option<Entry>; 3], Outcome, &'static [Change]);

const EXCHANGE: &[Change] = &[Add(Spare), Remove(Own), Add(Own), Remove(Spare)];
const EXCHANGE_BESIDE_SPARE: &[Change] = &[Remove(Own), Add(Own), Remove(Spare)];
const EXCHANGE_AFTER_SPARE: &[Change] = &[Remove(Spare), Add(Spare), Remove(Own), Add(Own), Remove(Spare)];
const EXCHANGE_SPARE: &[Change] = &[Add(Third), Remove(Spare), Add(Spare), Remove(Third)];

const THEIRS: &str = "theirs";

fn handler() -> &'static Handler {
    TABLE.handlers_of("s390x").next().expect("the committed table holds all targets")
}

fn wanted() -> Wanted {
    Wanted { emulators: EMULATOR_DIR.into(), flags: Flags::default(), keep: false }
}

fn ours() -> Entry {
    let handler = handler();
    Entry {
        enabled: true,
        interpreter: handler.interpreter(EMULATOR_DIR),
        flags: "F".into(),
        pattern: handler.pattern.into(),
        unreadable: None,
    }
}

fn other() -> Entry {
    Entry { interpreter: "/usr/libexec/qemu-binfmt/s390x-binfmt-P".into(), ..ours() }
}

/// Takes only programs that may be anywhere in memory.
fn partial(entry: Entry) -> Entry {
    Entry { pattern: "offset 16\nmagic 0003\n".into(), ..entry }
}

fn disabled(entry: Entry) -> Entry {
    Entry { enabled: false, ..entry }
}

/// The one of somebody else's name is the newest.
fn entries([own, spare, theirs]: [Option<Entry>; 3]) -> Entries {
    let handler = handler();
    let named = [(THEIRS.to_owned(), theirs), (Spare.name(handler), spare), (handler.name.to_owned(), own)];
    named.into_iter().filter_map(|(name, entry)| Some((name, entry?))).collect()
}

#[test]
fn what_register_does() {
    let elsewhere = || Entry { interpreter: handler().interpreter("/opt"), ..ours() };
    let flags = || Entry { flags: "POCF".into(), ..ours() };
    let pattern = || Entry { pattern: "offset 0\nmagic 7f\n".into(), ..ours() };
    let unreadable = || Entry::unreadable(Errno::EIO);
    let (spare, owner) = (|| Spare.name(handler()), || other().interpreter);
    let taken = || Outcome::Taken { name: spare(), owner: owner() };
    let blocked = || Outcome::Blocked { name: spare(), owner: owner() };
    let replaced = Outcome::Replaced;
    let unread = |name: &str| Outcome::Unreadable { name: name.into(), errno: Errno::EIO };
    let cases: [Case; 29] = [
        ([None, None, None], Outcome::Registered, &[Add(Own)]),
        ([None, Some(ours()), None], Outcome::Registered, &[Add(Own), Remove(Spare)]),
        ([Some(ours()), None, None], Outcome::Unchanged, &[]),
        // What a killed run has left is newer, and may be of another file.
        ([Some(ours()), Some(ours()), None], replaced(Difference::Leftover), EXCHANGE_BESIDE_SPARE),
        ([Some(ours()), Some(partial(ours())), None], replaced(Difference::Leftover), EXCHANGE_AFTER_SPARE),
        ([Some(ours()), Some(disabled(ours())), None], Outcome::Unchanged, &[Remove(Spare)]),
        ([Some(ours()), Some(disabled(other())), None], Outcome::Unchanged, &[]),
        ([Some(disabled(ours())), None, None], replaced(Difference::Disabled), EXCHANGE),
        ([Some(elsewhere()), None, None], replaced(Difference::Interpreter), EXCHANGE),
        ([Some(flags()), None, None], replaced(Difference::Flags), EXCHANGE),
        ([Some(pattern()), None, None], replaced(Difference::Pattern), EXCHANGE),
        ([Some(elsewhere()), Some(ours()), None], replaced(Difference::Interpreter), EXCHANGE_BESIDE_SPARE),
        ([Some(disabled(ours())), Some(flags()), None], replaced(Difference::Disabled), EXCHANGE_BESIDE_SPARE),
        ([Some(flags()), Some(disabled(ours())), None], replaced(Difference::Flags), EXCHANGE_AFTER_SPARE),
        ([Some(flags()), Some(disabled(other())), None], blocked(), &[]),
        // Somebody else's entry has our name.
        ([Some(other()), None, None], Outcome::Registered, &[Add(Spare)]),
        ([Some(other()), Some(ours()), None], Outcome::Unchanged, &[]),
        ([Some(other()), Some(flags()), None], replaced(Difference::Flags), EXCHANGE_SPARE),
        ([Some(other()), Some(other()), None], taken(), &[]),
        ([Some(disabled(other())), Some(disabled(ours())), None], replaced(Difference::Disabled), EXCHANGE_SPARE),
        // Somebody else's entry serves under another name.
        ([None, None, Some(other())], Outcome::Registered, &[Add(Own)]),
        ([Some(ours()), None, Some(other())], replaced(Difference::Shadowed), EXCHANGE),
        ([Some(ours()), None, Some(disabled(other()))], Outcome::Unchanged, &[]),
        ([Some(ours()), None, Some(partial(other()))], replaced(Difference::Shadowed), EXCHANGE),
        ([None, None, Some(partial(other()))], Outcome::Registered, &[Add(Own)]),
        ([Some(ours()), Some(ours()), Some(other())], replaced(Difference::Shadowed), EXCHANGE_BESIDE_SPARE),
        // It may be ours.
        ([Some(unreadable()), None, None], unread(handler().name), &[]),
        ([None, Some(unreadable()), None], Outcome::Registered, &[Add(Own)]),
        ([Some(other()), Some(unreadable()), None], unread(&spare()), &[]),
    ];
    for (found, outcome, changes) in cases {
        let entries = entries(found);
        let step = register(handler(), &wanted(), &entries, Verdict::Needed);
        assert_eq!((step.outcome, step.changes.as_slice()), (outcome, changes), "{entries:?}");
    }
}

#[test]
fn what_is_kept_stays_the_winner() {
    let keep = Wanted { keep: true, ..wanted() };
    let served = || Outcome::Skipped(Skip::Served);
    let cases: [Case; 8] = [
        ([None, None, Some(other())], served(), &[]),
        // Programs would be left that nothing serves.
        ([None, None, Some(partial(other()))], Outcome::Registered, &[Add(Own)]),
        ([Some(ours()), None, Some(partial(other()))], Outcome::Replaced(Difference::Shadowed), EXCHANGE),
        ([Some(other()), None, None], served(), &[]),
        ([Some(ours()), None, Some(other())], served(), &[]),
        ([None, None, Some(disabled(other()))], Outcome::Registered, &[Add(Own)]),
        ([Some(disabled(other())), None, None], Outcome::Registered, &[Add(Spare)]),
        ([Some(ours()), None, None], Outcome::Unchanged, &[]),
    ];
    for (found, outcome, changes) in cases {
        let entries = entries(found);
        let step = register(handler(), &keep, &entries, Verdict::Needed);
        assert_eq!((step.outcome, step.changes.as_slice()), (outcome, changes), "{entries:?}");
    }
}

#[test]
fn entries_of_others_are_named() {
    let owner = other().interpreter;
    let cases = [
        ([None, None, Some(other())], Some((THEIRS, &owner, false))),
        ([None, None, Some(partial(other()))], Some((THEIRS, &owner, true))),
        ([Some(other()), None, None], Some((handler().name, &owner, true))),
        ([Some(disabled(other())), None, None], Some((handler().name, &owner, true))),
        ([Some(ours()), None, Some(disabled(other()))], None),
        ([None, None, None], None),
    ];
    for (found, expected) in cases {
        let beside = register(handler(), &wanted(), &entries(found), Verdict::Needed).beside;
        let expected =
            expected.map(|(name, owner, is_partial)| Beside { name: name.into(), owner: owner.clone(), is_partial });
        assert_eq!(beside, expected);
    }
}

#[test]
fn register_leaves_alone_what_runs_already() {
    let verdicts =
        [(Verdict::Native, Skip::Native), (Verdict::Unknown("killed".into()), Skip::Unknown("killed".into()))];
    for (verdict, skip) in verdicts {
        let step = register(handler(), &wanted(), &Entries::default(), verdict);
        assert_eq!((step.outcome, step.changes), (Outcome::Skipped(skip), vec![]));
    }
    for found in [[Some(ours()), None, None], [None, Some(ours()), None]] {
        let step = register(handler(), &wanted(), &entries(found), Verdict::Native);
        assert_eq!((step.outcome, step.changes), (Outcome::Skipped(Skip::InTheWay), vec![]));
    }
}

#[test]
fn another_file_is_exchanged_where_the_entry_is() {
    let cases: [Case; 3] = [
        ([Some(ours()), None, None], Outcome::Replaced(Difference::File), EXCHANGE),
        ([Some(other()), Some(ours()), None], Outcome::Replaced(Difference::File), EXCHANGE_SPARE),
        (
            [Some(ours()), Some(disabled(other())), None],
            Outcome::Blocked { name: Spare.name(handler()), owner: other().interpreter },
            &[],
        ),
    ];
    for (found, outcome, changes) in cases {
        let entries = entries(found);
        let step = register(handler(), &wanted(), &entries, Verdict::Needed);
        assert_eq!(step.outcome, Outcome::Unchanged, "{entries:?}");
        let step = replace_file(step, &entries);
        assert_eq!((step.outcome, step.changes.as_slice()), (outcome, changes), "{entries:?}");
    }
}

#[test]
fn what_unregister_does() {
    let elsewhere = Entry { interpreter: handler().interpreter("/opt"), ..ours() };
    let cases: [Case; 7] = [
        ([None, None, None], Outcome::Absent, &[]),
        ([Some(ours()), None, None], Outcome::Unregistered, &[Remove(Own)]),
        ([Some(elsewhere), Some(ours()), None], Outcome::Unregistered, &[Remove(Own), Remove(Spare)]),
        ([None, Some(ours()), None], Outcome::Unregistered, &[Remove(Spare)]),
        ([Some(other()), Some(ours()), None], Outcome::Unregistered, &[Remove(Spare)]),
        ([None, Some(other()), Some(other())], Outcome::Absent, &[]),
        ([Some(other()), None, None], Outcome::Taken { name: handler().name.into(), owner: other().interpreter }, &[]),
    ];
    for (found, outcome, changes) in cases {
        let entries = entries(found);
        let step = unregister(handler(), &entries);
        assert_eq!((step.outcome, step.changes.as_slice()), (outcome, changes), "{entries:?}");
    }
}
