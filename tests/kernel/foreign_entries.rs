//! Entries of somebody else that serve what ours would: which one wins, and what comes back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use codegen::targets::{self, EXIT_STATUS};

use crate::register::{runs, test_program};
use crate::sandbox::{CommandResult, Sandbox, line};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("foreign_entries/ours_wins_and_theirs_comes_back", ours_wins_and_theirs_comes_back),
    test("foreign_entries/under_our_name", under_our_name),
    test("foreign_entries/a_newer_one_is_outdone", a_newer_one_is_outdone),
    test("foreign_entries/keep", keep),
    test("foreign_entries/name_that_became_free", name_that_became_free),
    test("foreign_entries/what_takes_only_some_programs", what_takes_only_some_programs),
    test("foreign_entries/keep_of_what_takes_only_some", keep_of_what_takes_only_some),
];

/// An interpreter that fails: what it serves does not run.
const THEIRS: &str = "/bin/false";

/// Whether ours runs the target's programs, rather than theirs.
fn is_ours(sandbox: &Sandbox, target: &str) -> bool {
    runs(sandbox, targets::by_qemu_name(target).expect("known"))
}

fn ours_wins_and_theirs_comes_back(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "theirs", THEIRS, "P"));
    let before = sandbox.entries();
    assert!(!is_ours(sandbox, "s390x"));
    let expected = "qemu-s390x  registered    /usr/bin/qemu-s390x-static, before theirs (/bin/false), which stays\n\
                    1 registered, 0 replaced, 0 unchanged\n";
    assert_eq!(sandbox.succeeds(&["register", "s390x"]), expected);
    assert!(is_ours(sandbox, "s390x"));
    assert_eq!(sandbox.entries()["theirs"], before["theirs"]);
    sandbox.succeeds(&["unregister", "s390x"]);
    assert!(!is_ours(sandbox, "s390x"));
    assert_eq!(sandbox.entries(), before);
}

/// As where a distribution, or Docker Desktop, has registered emulators of its own.
fn under_our_name(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", THEIRS, "P"));
    let before = sandbox.entries();
    let registered = "qemu-s390x  registered    /usr/bin/qemu-s390x-static, as qemu-s390x.registrar: \
                      the name qemu-s390x belongs to /bin/false\n1 registered, 0 replaced, 0 unchanged\n";
    assert_eq!(sandbox.succeeds(&["register", "s390x"]), registered);
    assert!(is_ours(sandbox, "s390x"));
    for (arguments, word) in [
        (&["register", "s390x"][..], "refreshed"),
        (&["register", "s390x", "--credentials"], "replaced"),
        (&["register", "s390x"], "replaced"),
    ] {
        let out = sandbox.succeeds(arguments);
        assert!(out.starts_with(&format!("qemu-s390x  {word} ")), "{out}");
        assert!(is_ours(sandbox, "s390x"));
        assert_eq!(sandbox.names(), ["qemu-s390x", "qemu-s390x.registrar"]);
    }
    assert_eq!(sandbox.succeeds(&["unregister"]), "qemu-s390x  unregistered\n1 unregistered\n");
    assert_eq!(sandbox.entries(), before);
}

fn a_newer_one_is_outdone(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    sandbox.add(&line("s390x", "theirs", THEIRS, ""));
    assert!(!is_ours(sandbox, "s390x"));
    let expected = "qemu-s390x  replaced      /usr/bin/qemu-s390x-static (before: shadowed by a newer entry), before \
                    theirs (/bin/false), which stays\n0 registered, 1 replaced, 0 unchanged\n";
    assert_eq!(sandbox.succeeds(&["register", "s390x"]), expected);
    assert!(is_ours(sandbox, "s390x"));
    assert!(sandbox.succeeds(&["register", "s390x"]).contains("1 refreshed"));
    // Who matches other programs is not in the way.
    sandbox.add(&line("m68k", "theirs-m68k", THEIRS, ""));
    assert!(sandbox.succeeds(&["register", "s390x"]).contains("1 refreshed"));
}

fn keep(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "theirs", THEIRS, "P"));
    sandbox.add(&line("m68k", "qemu-m68k", THEIRS, "P"));
    sandbox.add(&line("sh4", "qemu-sh4", THEIRS, "P"));
    sandbox.write("qemu-sh4", "0");
    let before = sandbox.entries();
    let expected = "qemu-hppa   registered    /usr/bin/qemu-hppa-static\n\
                    qemu-m68k   left alone    already served by qemu-m68k, /bin/false\n\
                    qemu-s390x  left alone    already served by theirs, /bin/false\n\
                    qemu-sh4    registered    /usr/bin/qemu-sh4-static, as qemu-sh4.registrar: \
                    the name qemu-sh4 belongs to /bin/false\n2 registered, 0 replaced, 0 unchanged\n";
    assert_eq!(sandbox.succeeds(&["register", "--keep", "s390x,m68k,sh4,hppa"]), expected);
    assert!(!is_ours(sandbox, "s390x") && !is_ours(sandbox, "m68k"));
    assert!(is_ours(sandbox, "sh4") && is_ours(sandbox, "hppa"));
    sandbox.succeeds(&["unregister"]);
    assert_eq!(sandbox.entries(), before);
}

/// Somebody has removed the entry that had our name.
fn name_that_became_free(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", THEIRS, ""));
    sandbox.succeeds(&["register", "s390x"]);
    sandbox.write("qemu-s390x", "-1");
    assert!(is_ours(sandbox, "s390x"));
    let CommandResult { code, out, .. } = sandbox.run(&["register", "s390x"]);
    assert_eq!((code, out.contains("1 registered")), (Some(0), true), "{out}");
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    assert!(is_ours(sandbox, "s390x"));
}

/// A rule that takes only some of the target's programs: `\x00\x03` for those that may be anywhere in memory, or `\x03`
/// for those with GNU's extensions, where these bytes are.
fn partial(name: &str, at: usize, magic: &str, mask: &str) -> String {
    let whole = line("s390x", name, THEIRS, "P");
    let mut fields: Vec<_> = whole.split(':').map(str::to_owned).collect();
    // Four characters for each byte, but for the letters of its name.
    let digits = [at * 4 - 3 * "ELF".len(), at * 4];
    for ((field, at), bytes) in [4, 5].into_iter().zip(digits).zip([magic, mask]) {
        fields[field].replace_range(at..at + bytes.len(), bytes);
    }
    fields.join(":")
}

/// One that may be anywhere in memory: the test program, which needs no fixed address, says so.
fn pie(sandbox: &Sandbox) -> PathBuf {
    marked(sandbox, "pie", 17, 3)
}

/// One with GNU's extensions: the test program, which uses none, says so.
fn gnu(sandbox: &Sandbox) -> PathBuf {
    marked(sandbox, "gnu", 7, 3)
}

/// The test program with another byte in its header.
fn marked(sandbox: &Sandbox, name: &str, at: usize, byte: u8) -> PathBuf {
    let plain = test_program(sandbox, targets::by_qemu_name("s390x").expect("known"));
    let program = sandbox.scratch().join(name);
    fs::copy(&plain, &program).expect("copied");
    let mut bytes = fs::read(&plain).expect("read");
    bytes[at] = byte;
    fs::write(&program, bytes).expect("written");
    program
}

/// Whether a program runs as it should.
fn ends_well(program: &Path) -> bool {
    let status = Command::new(program).status();
    status.is_ok_and(|status| status.code() == Some(i32::from(EXIT_STATUS)))
}

fn what_takes_only_some_programs(sandbox: &Sandbox) {
    let cases = [
        (pie(sandbox), partial("theirs", 16, r"\x00\x03", r"\xff\xff")),
        (gnu(sandbox), partial("theirs", 7, r"\x03", r"\xff")),
    ];
    sandbox.succeeds(&["register", "s390x"]);
    for (program, rule) in cases {
        assert!(ends_well(&program));
        sandbox.add(&rule);
        assert!(!ends_well(&program), "theirs takes it");
        assert!(is_ours(sandbox, "s390x"), "and no other");
        let out = sandbox.succeeds(&["status", "s390x"]);
        assert!(out.ends_with(" shadowed  F      /usr/bin/qemu-s390x-static (some programs by theirs)\n"), "{out}");
        let err = "qemu-s390x is shadowed; registrar register fixes it";
        sandbox.fails(
            &["status", "--check", "--keep", "s390x"],
            &err.replace("register fixes", "register with the same options fixes"),
        );
        sandbox.fails(&["status", "--check", "s390x"], err);
        let expected = "qemu-s390x  replaced      /usr/bin/qemu-s390x-static (before: shadowed by a newer entry), before \
                        theirs (/bin/false), which matches only some programs and stays\n0 registered, 1 replaced, 0 unchanged\n";
        assert_eq!(sandbox.succeeds(&["register", "s390x"]), expected);
        assert!(ends_well(&program) && is_ours(sandbox, "s390x"));
        sandbox.succeeds(&["status", "--check", "s390x"]);
        sandbox.write("theirs", "-1");
    }
}

/// To be kept is what leaves no program without an emulator.
fn keep_of_what_takes_only_some(sandbox: &Sandbox) {
    let pie = pie(sandbox);
    sandbox.add(&partial("theirs", 16, r"\x00\x03", r"\xff\xff"));
    assert!(!ends_well(&pie));
    let absent = "s390x  absent  P      /bin/false (some programs by theirs)\n";
    let out = sandbox.succeeds(&["status", "s390x"]);
    assert!(out.ends_with(absent), "{out}");
    let expected = "qemu-s390x  registered    /usr/bin/qemu-s390x-static, before theirs (/bin/false), which matches \
                    only some programs and stays\n1 registered, 0 replaced, 0 unchanged\n";
    assert_eq!(sandbox.succeeds(&["register", "--keep", "s390x"]), expected);
    assert!(ends_well(&pie) && is_ours(sandbox, "s390x"));
    sandbox.succeeds(&["unregister"]);
    // The rest is another one's: all is served, though by two.
    sandbox.add(&partial("theirs-too", 16, r"\x00\x02", r"\xff\xff"));
    let out = sandbox.succeeds(&["register", "--keep", "s390x"]);
    assert!(out.starts_with("qemu-s390x  left alone    already served by theirs-too, /bin/false\n"), "{out}");
    assert_eq!(sandbox.names(), ["theirs", "theirs-too"]);
}
