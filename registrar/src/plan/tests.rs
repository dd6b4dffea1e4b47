//! Plans for what may be there, as tables.

mod model;

use super::EntryName::Tertiary;
use super::*;
use crate::flags::Flags;
use crate::table::{EMULATOR_DIR, Rule, TABLE};

/// What is under the own name, the second, and in an entry of somebody else's name; what is to be done.
type Case = ([Option<Entry>; 3], PlanOutcome, &'static [Operation]);

const EXCHANGE: &[Operation] = &[Add(Secondary), Remove(Primary), Add(Primary), Remove(Secondary)];
const EXCHANGE_BESIDE_SPARE: &[Operation] = &[Remove(Primary), Add(Primary), Remove(Secondary)];
const EXCHANGE_AFTER_SPARE: &[Operation] =
    &[Remove(Secondary), Add(Secondary), Remove(Primary), Add(Primary), Remove(Secondary)];
const EXCHANGE_SPARE: &[Operation] = &[Add(Tertiary), Remove(Secondary), Add(Secondary), Remove(Tertiary)];

const THEIRS: &str = "theirs";

fn handler() -> &'static Handler {
    TABLE.handlers_of("s390x").next().expect("the committed table holds all targets")
}

fn desired() -> DesiredState {
    DesiredState { emulators: EMULATOR_DIR.into(), flags: Flags::default(), keep_foreign: false }
}

fn ours() -> Entry {
    let handler = handler();
    Entry {
        enabled: true,
        interpreter: handler.interpreter(EMULATOR_DIR).into(),
        flags: Flags::default().as_str().into(),
        rule: Some(owned(handler.rule)),
        unreadable: None,
    }
}

fn owned(rule: Rule) -> Rule<Vec<u8>> {
    Rule { offset: rule.offset, magic: rule.magic.into(), mask: rule.mask.into() }
}

fn other() -> Entry {
    Entry { interpreter: "/usr/libexec/qemu-binfmt/s390x-binfmt-P".into(), ..ours() }
}

/// Takes only programs that may be anywhere in memory.
fn partial(entry: Entry) -> Entry {
    Entry { rule: Entry::parse(b"\nflags: \noffset 16\nmagic 0003\n").rule, ..entry }
}

fn disabled(entry: Entry) -> Entry {
    Entry { enabled: false, ..entry }
}

/// The one of somebody else's name is the newest.
fn entries([own, secondary, theirs]: [Option<Entry>; 3]) -> Entries {
    let handler = handler();
    let named = [(THEIRS.to_owned(), theirs), (Secondary.name(handler), secondary), (handler.name.to_owned(), own)];
    named.into_iter().filter_map(|(name, entry)| Some((name, entry?))).collect()
}

#[test]
fn what_register_does() {
    let elsewhere = || Entry { interpreter: handler().interpreter("/opt").into(), ..ours() };
    let flags = || Entry { flags: "POCF".into(), ..ours() };
    let pattern = || Entry { rule: Entry::parse(b"\nflags: \noffset 0\nmagic 7f\n").rule, ..ours() };
    let unreadable = || Entry::unreadable(Errno::EIO);
    let (secondary, owner) = (|| Secondary.name(handler()), || other().owner());
    let taken = || PlanOutcome::Taken { name: secondary(), owner: owner() };
    let blocked = || PlanOutcome::Blocked { name: secondary(), owner: owner() };
    let replaced = PlanOutcome::Replaced;
    let unread = |name: &str| PlanOutcome::Unreadable { name: name.into(), errno: Errno::EIO };
    let cases: [Case; 29] = [
        ([None, None, None], PlanOutcome::Registered, &[Add(Primary)]),
        ([None, Some(ours()), None], PlanOutcome::Registered, &[Add(Primary), Remove(Secondary)]),
        ([Some(ours()), None, None], PlanOutcome::Unchanged, &[]),
        // What a killed run has left is newer, and may be of another file.
        ([Some(ours()), Some(ours()), None], replaced(Drift::Leftover), EXCHANGE_BESIDE_SPARE),
        ([Some(ours()), Some(partial(ours())), None], replaced(Drift::Leftover), EXCHANGE_AFTER_SPARE),
        ([Some(ours()), Some(disabled(ours())), None], PlanOutcome::Unchanged, &[Remove(Secondary)]),
        ([Some(ours()), Some(disabled(other())), None], PlanOutcome::Unchanged, &[]),
        ([Some(disabled(ours())), None, None], replaced(Drift::Disabled), EXCHANGE),
        ([Some(elsewhere()), None, None], replaced(Drift::Interpreter), EXCHANGE),
        ([Some(flags()), None, None], replaced(Drift::Flags), EXCHANGE),
        ([Some(pattern()), None, None], replaced(Drift::Rule), EXCHANGE),
        ([Some(elsewhere()), Some(ours()), None], replaced(Drift::Interpreter), EXCHANGE_BESIDE_SPARE),
        ([Some(disabled(ours())), Some(flags()), None], replaced(Drift::Disabled), EXCHANGE_BESIDE_SPARE),
        ([Some(flags()), Some(disabled(ours())), None], replaced(Drift::Flags), EXCHANGE_AFTER_SPARE),
        ([Some(flags()), Some(disabled(other())), None], blocked(), &[]),
        // Somebody else's entry has our name.
        ([Some(other()), None, None], PlanOutcome::Registered, &[Add(Secondary)]),
        ([Some(other()), Some(ours()), None], PlanOutcome::Unchanged, &[]),
        ([Some(other()), Some(flags()), None], replaced(Drift::Flags), EXCHANGE_SPARE),
        ([Some(other()), Some(other()), None], taken(), &[]),
        ([Some(disabled(other())), Some(disabled(ours())), None], replaced(Drift::Disabled), EXCHANGE_SPARE),
        // Somebody else's entry serves under another name.
        ([None, None, Some(other())], PlanOutcome::Registered, &[Add(Primary)]),
        ([Some(ours()), None, Some(other())], replaced(Drift::Shadowed), EXCHANGE),
        ([Some(ours()), None, Some(disabled(other()))], PlanOutcome::Unchanged, &[]),
        ([Some(ours()), None, Some(partial(other()))], replaced(Drift::Shadowed), EXCHANGE),
        ([None, None, Some(partial(other()))], PlanOutcome::Registered, &[Add(Primary)]),
        ([Some(ours()), Some(ours()), Some(other())], replaced(Drift::Shadowed), EXCHANGE_BESIDE_SPARE),
        // It may be ours.
        ([Some(unreadable()), None, None], unread(handler().name), &[]),
        ([None, Some(unreadable()), None], PlanOutcome::Registered, &[Add(Primary)]),
        ([Some(other()), Some(unreadable()), None], unread(&secondary()), &[]),
    ];
    for (found, outcome, changes) in cases {
        let entries = entries(found);
        let plan = register(handler(), &desired(), &entries, NativeSupport::Needed, &LeftToOthers::default(), || false);
        assert_eq!((plan.outcome, plan.changes.as_slice()), (outcome, changes), "{entries:?}");
    }
}

#[test]
fn what_is_kept_stays_the_winner() {
    let keep_foreign = DesiredState { keep_foreign: true, ..desired() };
    let served = || PlanOutcome::Skipped(SkipReason::Served);
    let cases: [Case; 8] = [
        ([None, None, Some(other())], served(), &[]),
        // Programs would be left that nothing serves.
        ([None, None, Some(partial(other()))], PlanOutcome::Registered, &[Add(Primary)]),
        ([Some(ours()), None, Some(partial(other()))], PlanOutcome::Replaced(Drift::Shadowed), EXCHANGE),
        ([Some(other()), None, None], served(), &[]),
        ([Some(ours()), None, Some(other())], served(), &[]),
        ([None, None, Some(disabled(other()))], PlanOutcome::Registered, &[Add(Primary)]),
        ([Some(disabled(other())), None, None], PlanOutcome::Registered, &[Add(Secondary)]),
        ([Some(ours()), None, None], PlanOutcome::Unchanged, &[]),
    ];
    for (found, outcome, changes) in cases {
        let entries = entries(found);
        let is_served = Observed::new(handler(), &entries).server().is_some_and(|server| server.is_of_all);
        let kept = is_served.then_some(handler().name).into_iter().collect();
        let left = LeftToOthers { kept, ..LeftToOthers::default() };
        let plan = register(handler(), &keep_foreign, &entries, NativeSupport::Needed, &left, || false);
        assert_eq!((plan.outcome, plan.changes.as_slice()), (outcome, changes), "{entries:?}");
    }
}

#[test]
fn entries_of_others_are_named() {
    let owner = other().owner();
    let cases = [
        ([None, None, Some(other())], Some((THEIRS, &owner, false))),
        ([None, None, Some(partial(other()))], Some((THEIRS, &owner, true))),
        ([Some(other()), None, None], Some((handler().name, &owner, true))),
        ([Some(disabled(other())), None, None], Some((handler().name, &owner, true))),
        ([Some(ours()), None, Some(disabled(other()))], None),
        ([None, None, None], None),
    ];
    for (found, expected) in cases {
        let beside =
            register(handler(), &desired(), &entries(found), NativeSupport::Needed, &LeftToOthers::default(), || false)
                .beside;
        let expected = expected.map(|(name, owner, covers_some)| ForeignEntry {
            name: name.into(),
            owner: owner.clone(),
            covers_some,
            fault: None,
        });
        assert_eq!(beside, expected);
    }
}

#[test]
fn register_leaves_alone_what_runs_already() {
    let native_support = [
        (NativeSupport::Native, SkipReason::Native),
        (NativeSupport::Unknown("killed".into()), SkipReason::Unknown("killed".into())),
    ];
    for (support, skip) in native_support {
        let plan = register(handler(), &desired(), &Entries::default(), support, &LeftToOthers::default(), || true);
        assert_eq!((plan.outcome, plan.changes), (PlanOutcome::Skipped(skip), vec![]));
    }
    for found in [[Some(ours()), None, None], [None, Some(ours()), None]] {
        let plan =
            register(handler(), &desired(), &entries(found), NativeSupport::Native, &LeftToOthers::default(), || true);
        assert_eq!((plan.outcome, plan.changes), (PlanOutcome::Skipped(SkipReason::ShadowsNative), vec![]));
    }
}

#[test]
fn what_the_kernel_may_open_again_is_exchanged() {
    let cases: [Case; 3] = [
        ([Some(ours()), None, None], PlanOutcome::Refreshed, EXCHANGE),
        ([Some(other()), Some(ours()), None], PlanOutcome::Refreshed, EXCHANGE_SPARE),
        (
            [Some(ours()), Some(disabled(other())), None],
            PlanOutcome::Blocked { name: Secondary.name(handler()), owner: other().owner() },
            &[],
        ),
    ];
    for (found, outcome, changes) in cases {
        let entries = entries(found);
        let plan = register(handler(), &desired(), &entries, NativeSupport::Needed, &LeftToOthers::default(), || true);
        assert_eq!((plan.outcome, plan.changes.as_slice()), (outcome, changes), "{entries:?}");
    }
    let without = DesiredState { flags: Flags::new(false, false, false), ..desired() };
    let entries = entries([Some(Entry { flags: String::new(), ..ours() }), None, None]);
    let plan = register(handler(), &without, &entries, NativeSupport::Needed, &LeftToOthers::default(), || true);
    assert_eq!((plan.outcome, plan.changes), (PlanOutcome::Unchanged, vec![]));
}

#[test]
fn what_unregister_does() {
    let elsewhere = Entry { interpreter: handler().interpreter("/opt").into(), ..ours() };
    let cases: [Case; 7] = [
        ([None, None, None], PlanOutcome::Absent, &[]),
        ([Some(ours()), None, None], PlanOutcome::Unregistered, &[Remove(Primary)]),
        ([Some(elsewhere), Some(ours()), None], PlanOutcome::Unregistered, &[Remove(Primary), Remove(Secondary)]),
        ([None, Some(ours()), None], PlanOutcome::Unregistered, &[Remove(Secondary)]),
        ([Some(other()), Some(ours()), None], PlanOutcome::Unregistered, &[Remove(Secondary)]),
        ([None, Some(other()), Some(other())], PlanOutcome::Absent, &[]),
        ([Some(other()), None, None], PlanOutcome::Taken { name: handler().name.into(), owner: other().owner() }, &[]),
    ];
    for (found, outcome, changes) in cases {
        let entries = entries(found);
        let plan = unregister(handler(), &entries);
        assert_eq!((plan.outcome, plan.changes.as_slice()), (outcome, changes), "{entries:?}");
    }
}
