//! Cases of runs, with what each means.

use super::*;
use crate::table::{Rule, TABLE};

/// What the emulator's file is, how a run ended, what it wrote, and the result with the beginning of the detail.
type Case = (Result<(), Unfit>, ProbeExit, &'static str, &'static str, &'static str);

fn handler() -> &'static Handler {
    TABLE.handlers_of("s390x").next().expect("the committed table holds all targets")
}

fn entry(flags: &str) -> Entry {
    let interpreter = handler().interpreter(EMULATOR_DIR).into();
    let Rule { offset, magic, mask } = handler().rule;
    let rule = Some(Rule { offset, magic: magic.into(), mask: mask.into() });
    Entry { enabled: true, interpreter, flags: flags.into(), rule, unreadable: None }
}

fn entries(named: &[(&str, Entry)]) -> Entries {
    named.iter().map(|(name, entry)| (*name, entry.clone())).collect()
}

fn ran(end: ProbeExit, written: &str) -> ProbeResult {
    ProbeResult { end, written: written.into(), ..ProbeResult::default() }
}

fn diagnosed(entries: &Entries, facts: &Result<(), Unfit>, ran: &ProbeResult, isolation: Isolation) -> Diagnosis {
    let context = Context {
        mount: Path::new("/b"),
        look: &|_| facts.clone(),
        // One link, as Debian has them.
        real: &|path| (path == Path::new("/opt/link")).then(|| "/opt/s390x".into()),
        is_order_known: false,
        ..Context::new(isolation)
    };
    diagnose(&MatchingEntries::of(handler(), entries)[0], ran, &context)
}

fn expect(found: &Diagnosis, result: &str, detail: &str) {
    let start = found.detail.as_deref().unwrap_or_default();
    assert_eq!(found.result, result, "{found:?}");
    assert!(start.starts_with(detail) && start.is_empty() == detail.is_empty(), "{found:?} begins not: {detail}");
}

#[test]
fn what_the_kernel_says() {
    let dynamic = || Err(Unfit::Dynamic("/lib/ld.so".into()));
    let fine = || Ok(());
    let gone = || Err(Unfit::Unreadable(Errno::ENOENT));
    let cases: [Case; 12] = [
        (fine(), ProbeExit::Exited(29), "/qemu-s3", "ok", ""),
        (dynamic(), ProbeExit::Exited(29), "/qemu-s3", "ok", ""),
        (
            dynamic(),
            ProbeExit::Refused(Errno::ENOENT),
            "",
            "dynamic",
            "/usr/bin/qemu-s390x-static runs only where /lib/ld.so",
        ),
        (gone(), ProbeExit::Refused(Errno::ENOENT), "", "dynamic", "something that /usr/bin/qemu-s390x-static needs"),
        (
            Err(Unfit::Script),
            ProbeExit::Refused(Errno::ENOENT),
            "",
            "wrong-emulator",
            "/usr/bin/qemu-s390x-static is a script",
        ),
        (fine(), ProbeExit::Refused(Errno::ENOENT), "", "failed", "/usr/bin/qemu-s390x-static is static now"),
        (
            Err(Unfit::Foreign(183)),
            ProbeExit::Refused(Errno::ENOEXEC),
            "",
            "wrong-emulator",
            "/usr/bin/qemu-s390x-static is a pro",
        ),
        (fine(), ProbeExit::Refused(Errno::ENOEXEC), "", "unused", "qemu-s390x is in another user namespace's folder"),
        (fine(), ProbeExit::Refused(Errno::EACCES), "", "failed", "permission denied: /usr/bin/qemu-s390x-static"),
        (fine(), ProbeExit::Refused(Errno::ELOOP), "", "failed", "an entry takes /usr/bin/qemu-s390x-static itself"),
        (fine(), ProbeExit::Refused(Errno::ENOSPC), "", "failed", "starting the program: no space left on device"),
        (fine(), ProbeExit::TimedOut, "/qemu-s3", "timeout", "no end after its first words"),
    ];
    let entries = entries(&[("qemu-s390x", entry("F"))]);
    for (facts, end, written, result, detail) in cases {
        expect(&diagnosed(&entries, &facts, &ran(end, written), Isolation::Namespace), result, detail);
    }
}

#[test]
fn names_depend_on_flag_and_place() {
    let cases = [
        ("F", Isolation::Namespace, "/qemu-s3", "ok"),
        ("F", Isolation::Folder, NAME, "wrong-argv0"),
        ("PF", Isolation::Namespace, NAME, "ok"),
        ("PF", Isolation::Namespace, "/qemu-s3", "wrong-argv0"),
        ("F", Isolation::Memory, "/proc/se", "ok"),
        ("F", Isolation::Memory, "/qemu-s3", "wrong-argv0"),
        ("F", Isolation::Namespace, "", "wrong-argv0"),
    ];
    for (flags, isolation, written, result) in cases {
        let entries = entries(&[("qemu-s390x", entry(flags))]);
        let found = diagnosed(&entries, &Ok(()), &ran(ProbeExit::Exited(29), written), isolation);
        assert_eq!(found.result, result, "{flags} {isolation:?} {written}");
    }
}

#[test]
fn flags_that_the_emulator_does_not_fit_are_named() {
    let cases = [
        ("OFT", ProbeExit::Exited(1), "", "wrong-status", "exit status 1, not 29; it may not know flag T"),
        ("OFT", ProbeExit::Exited(29), NAME, "ok", ""),
        ("FL", ProbeExit::Refused(Errno::ENOEXEC), "", "unused", "flag L of qemu-s390x is for loaders"),
    ];
    for (flags, end, written, result, detail) in cases {
        let entries = entries(&[("qemu-s390x", entry(flags))]);
        expect(&diagnosed(&entries, &Ok(()), &ran(end, written), Isolation::Namespace), result, detail);
    }
}

#[test]
fn what_memory_files_hide_is_read_from_the_emulator() {
    let dynamic = Err(Unfit::Dynamic("/lib/ld.so".into()));
    let run = ran(ProbeExit::Exited(29), "/proc/se");
    let with = |flags| entries(&[("qemu-s390x", entry(flags))]);
    expect(
        &diagnosed(&with("F"), &dynamic, &run, Isolation::Memory),
        "dynamic",
        "/usr/bin/qemu-s390x-static runs only",
    );
    expect(
        &diagnosed(&with(""), &dynamic, &run, Isolation::Memory),
        "ok",
        "without flag F: only where /usr/bin/qemu-s390x",
    );
}

#[test]
fn which_entry_is_ours() {
    let run = ran(ProbeExit::Exited(29), "/qemu-s3");
    let theirs = || Entry { interpreter: "/opt/s390x".into(), ..entry("F") };
    let other = Entry { rule: Entry::parse(b"\nflags: \noffset 0\nmagic 00\n").rule, ..entry("F") };
    let refused = ran(ProbeExit::Refused(Errno::ENOEXEC), "");
    let cases = [
        (entries(&[("qemu-s390x.registrar", entry("F"))]), &run, "ok", ""),
        (entries(&[("theirs", entry("F"))]), &run, "served", "by theirs (/usr/bin/qemu-s390x-static)"),
        (entries(&[("qemu-s390x", theirs())]), &run, "served", "by qemu-s390x (/opt/s390x)"),
        (entries(&[("theirs", entry("F")), ("qemu-s390x", entry("F"))]), &run, "shadowed", "by theirs (/usr/bin/"),
        (entries(&[("qemu-s390x", entry("F")), ("theirs", entry("F"))]), &run, "ok", ""),
        (
            entries(&[("qemu-s390x", entry("PF")), ("theirs", theirs())]),
            &run,
            "shadowed",
            "by theirs (/opt/s390x), which",
        ),
        (entries(&[]), &run, "served", "by an entry that does not show"),
        (entries(&[("qemu-s390x", other.clone())]), &refused, "absent", "qemu-s390x has another magic or mask"),
        (
            entries(&[("qemu-s390x", Entry { enabled: false, ..other })]),
            &refused,
            "disabled",
            "to enable it: echo 1 > /b/",
        ),
    ];
    for (entries, run, result, detail) in cases {
        expect(&diagnosed(&entries, &Ok(()), run, Isolation::Namespace), result, detail);
    }
    // What was executed counts more than any order.
    let run = ProbeResult { emulator: Some("/opt/s390x".into()), ..run };
    let link = Entry { interpreter: "/opt/link".into(), ..theirs() };
    for theirs in [theirs(), link] {
        let entries = entries(&[("qemu-s390x", entry("F")), ("theirs", theirs)]);
        expect(&diagnosed(&entries, &Ok(()), &run, Isolation::Namespace), "shadowed", "by theirs (/opt/");
    }
}

#[test]
fn who_was_at_fault() {
    let cases = [
        (ProbeExit::Exited(30), Some(ProbeExit::Exited(29)), "no-second-program"),
        (ProbeExit::Exited(0), Some(ProbeExit::Exited(29)), "no-second-program"),
        (ProbeExit::Exited(30), Some(ProbeExit::Exited(1)), "wrong-status"),
        (ProbeExit::Exited(30), Some(ProbeExit::Killed(11)), "wrong-status"),
        (ProbeExit::Killed(11), Some(ProbeExit::Exited(29)), "crashed"),
    ];
    let entries = entries(&[("qemu-s390x", entry("F"))]);
    for (end, alone, result) in cases {
        let ran = ProbeResult { alone, ..ran(end, "/qemu-s3") };
        assert_eq!(diagnosed(&entries, &Ok(()), &ran, Isolation::Namespace).result, result, "{end:?} {alone:?}");
    }
}

#[test]
fn flags_count_of_the_entry_that_ran_the_program() {
    let run = ProbeResult { set_user_id: SetUserId::Ignored, ..ran(ProbeExit::Exited(29), "/qemu-s3") };
    let theirs = || Entry { interpreter: "/opt/s390x".into(), ..entry("POCF") };
    let below = entries(&[("qemu-s390x", entry("F")), ("theirs", theirs())]);
    expect(&diagnosed(&below, &Ok(()), &run, Isolation::Namespace), "ok", "");
    let unchecked = ProbeResult { set_user_id: SetUserId::NotChecked("why".into()), ..run.clone() };
    expect(&diagnosed(&below, &Ok(()), &unchecked, Isolation::Namespace), "ok", "");
    let of_its_own = entries(&[("qemu-s390x", entry("OCF"))]);
    expect(&diagnosed(&of_its_own, &Ok(()), &run, Isolation::Namespace), "set-user-id-ignored", "flag C is set");
}

#[test]
fn kinds_of_programs_that_other_entries_take() {
    let rule = Entry::parse(b"\nflags: \noffset 16\nmagic 0003\n").rule;
    let some = || ("theirs", Entry { rule: rule.clone(), ..entry("F") });
    let kinds = |named: &[(&str, Entry)]| {
        let entries = entries(named);
        MatchingEntries::of(handler(), &entries).iter().map(|found| found.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&[("qemu-s390x", entry("F"))]), [0]);
    assert_eq!(kinds(&[some(), ("qemu-s390x", entry("F"))]), [0, 2], "whichever is asked first");
    assert_eq!(kinds(&[some()]), [0, 1, 2]);
    assert_eq!(kinds(&[]), [0, 1, 2, 3], "of entries that do not show nothing is known");
    let ok = || Diagnosis::of("ok", None);
    let shadowed = || Diagnosis::of("shadowed", Some("by theirs".into()));
    expect(&merged([(0, ok())]), "ok", "");
    expect(&merged([(0, ok()), (2, ok())]), "ok", "");
    expect(&merged([(0, ok()), (2, shadowed())]), "shadowed", "position-independent programs: by theirs");
    expect(&merged([(0, shadowed()), (2, shadowed())]), "shadowed", "by theirs");
    let served = |by: &str| Diagnosis::of("served", Some(format!("by {by}")));
    let detail = "programs of type ET_EXEC: by a; position-independent programs: by b";
    expect(&merged([(0, served("a")), (2, served("b"))]), "served", detail);
}

/// As Linux 7.3 does where an entry is enabled after a newer one was registered.
#[test]
fn a_missing_emulator_is_of_the_entry_that_opens_it_for_each_program() {
    let theirs = Entry { interpreter: "/nonexistent/theirs".into(), ..entry("") };
    let entries = entries(&[("qemu-s390x", entry("POF")), ("theirs", theirs)]);
    let gone = Err(Unfit::Unreadable(Errno::ENOENT));
    let refused = ran(ProbeExit::Refused(Errno::ENOENT), "");
    let found = diagnosed(&entries, &gone, &refused, Isolation::Namespace);
    expect(&found, "no-emulator", "/nonexistent/theirs, which theirs names, is not there");
}
