//! Every plan for what may be there under the three names and beside them, in every order of age, carried out on a model
//! of the folder, to its end and to each failure: no program is left without an emulator that had one, and the next
//! run ends clean.

use super::*;

/// What may have one of our names.
fn named() -> [Option<Entry>; 6] {
    let flags = || Entry { flags: "POCF".into(), ..ours() };
    [None, Some(ours()), Some(flags()), Some(disabled(ours())), Some(partial(ours())), Some(other())]
}

/// What may be there under another name.
fn beside() -> [Option<Entry>; 3] {
    [None, Some(other()), Some(partial(other()))]
}

/// The newest first.
type Folder = Vec<(String, Entry)>;

fn all_orders(folder: Folder) -> Vec<Folder> {
    if folder.len() < 2 {
        return vec![folder];
    }
    let with_first = |first: usize| {
        let mut rest = folder.clone();
        let first = rest.remove(first);
        all_orders(rest).into_iter().map(move |rest| [vec![first.clone()], rest].concat())
    };
    (0..folder.len()).flat_map(with_first).collect()
}

/// Every folder that may be found.
fn folders() -> Vec<Folder> {
    let mut folders = Vec::new();
    for own in named() {
        for secondary in named() {
            for third in named() {
                for theirs in beside() {
                    let all = [Primary, Secondary, Tertiary].map(|entry_name| entry_name.name(handler()));
                    let names = all.into_iter().chain([THEIRS.to_owned()]);
                    let entries = [own.clone(), secondary.clone(), third.clone(), theirs];
                    let folder = names.zip(entries).filter_map(|(name, entry)| Some((name, entry?))).collect();
                    folders.extend(all_orders(folder));
                }
            }
        }
    }
    folders
}

fn entries_of(folder: &Folder) -> Entries {
    folder.iter().cloned().collect()
}

/// Whether an entry of ours takes all of the programs, though perhaps another one does it first.
fn is_covered(folder: &Folder) -> bool {
    let entries = entries_of(folder);
    let found = Observed::new(handler(), &entries);
    folder.iter().any(|(name, entry)| is_ours(handler(), name.as_ref(), entry) && found.matches_all(entry))
}

fn theirs(folder: &Folder) -> Folder {
    folder.iter().filter(|(name, entry)| !is_ours(handler(), name.as_ref(), entry)).cloned().collect()
}

/// One write, as the kernel takes it.
fn make(folder: &mut Folder, change: Operation) {
    let (Add(entry_name) | Remove(entry_name)) = change;
    let name = entry_name.name(handler());
    let at = folder.iter().position(|(known, _)| *known == name);
    match (change, at) {
        (Add(_), None) => folder.insert(0, (name, ours())),
        (Remove(_), Some(at)) => {
            let (name, entry) = folder.remove(at);
            assert!(is_ours(handler(), name.as_ref(), &entry), "{name} is not ours");
        }
        _ => panic!("{change:?} of {folder:?}"),
    }
}

/// Carries a step out up to `count` changes.
fn carried_out(before: &Folder, step: &HandlerPlan, count: usize) -> Folder {
    let mut folder = before.clone();
    let was_covered = is_covered(before);
    for &change in &step.changes[..count] {
        make(&mut folder, change);
        assert!(!was_covered || is_covered(&folder), "a gap in {:?} after {change:?} of {before:?}", step.changes);
    }
    folder
}

/// Whether all is as it should be: one entry of ours, and the newest.
fn is_registered(folder: &Folder, main: EntryName) -> bool {
    let (name, entry) = (main.name(handler()), ours());
    let ours: Vec<_> = folder.iter().filter(|(name, entry)| is_ours(handler(), name.as_ref(), entry)).collect();
    let entries = entries_of(folder);
    ours == [&(name, entry)] && Observed::new(handler(), &entries).difference(&desired()).is_none()
}

#[test]
fn register_leaves_no_gap_and_ends_clean() {
    let mut refused = 0;
    for before in folders() {
        let plan = |has_emulator| {
            register(
                handler(),
                &desired(),
                &entries_of(&before),
                NativeSupport::Needed,
                &LeftToOthers::default(),
                || has_emulator,
            )
        };
        let (refreshing, step) = (plan(true), plan(false));
        for step in [Some(&refreshing).filter(|refreshing| **refreshing != step), Some(&step)].into_iter().flatten() {
            if step.outcome.is_failure() {
                assert!(step.changes.is_empty());
                refused += 1;
                continue;
            }
            check(&before, step);
        }
    }
    assert!(refused > 0, "names of others stand in the way");
}

/// Carries a plan out up to each of its changes, and runs once more.
fn check(before: &Folder, step: &HandlerPlan) {
    for count in 0..=step.changes.len() {
        let after = carried_out(before, step, count);
        assert_eq!(theirs(&after), theirs(before));
        // Killed at this moment, and run once more.
        let again = register(
            handler(),
            &desired(),
            &entries_of(&after),
            NativeSupport::Needed,
            &LeftToOthers::default(),
            || false,
        );
        let end = carried_out(&after, &again, again.changes.len());
        assert!(is_registered(&end, step.main), "{before:?} {:?} {count}: {end:?}", step.changes);
        if count == step.changes.len() {
            assert!(is_registered(&after, step.main), "{before:?} {:?}", step.changes);
        }
    }
}

/// The first change of an exchange adds, so that what cannot be added has cost nothing, unless leftovers serve.
#[test]
fn what_cannot_be_added_leaves_what_was_there() {
    for before in folders() {
        let step = register(
            handler(),
            &desired(),
            &entries_of(&before),
            NativeSupport::Needed,
            &LeftToOthers::default(),
            || false,
        );
        let ours: Vec<_> = before.iter().filter(|(name, entry)| is_ours(handler(), name.as_ref(), entry)).collect();
        let is_only_ours = matches!(ours[..], [(name, _)] if *name == step.main.name(handler()));
        if is_only_ours && !step.changes.is_empty() {
            assert_eq!(step.changes[0], Add(step.main.standby()), "{before:?}");
        }
    }
}

#[test]
fn unregister_leaves_nothing_of_ours() {
    for before in folders() {
        let step = unregister(handler(), &entries_of(&before));
        for count in 0..=step.changes.len() {
            let mut after = before.clone();
            step.changes[..count].iter().for_each(|&change| make(&mut after, change));
            let again = unregister(handler(), &entries_of(&after));
            again.changes.iter().for_each(|&change| make(&mut after, change));
            assert_eq!(after, theirs(&before));
        }
    }
}
