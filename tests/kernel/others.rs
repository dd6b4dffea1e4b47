//! Entries of somebody else that serve what ours would: which one wins, and what comes back.

use crate::register::runs;
use crate::sandbox::{Ran, Sandbox, line};
use crate::{Test, test};
use codegen::targets;

pub(crate) const TESTS: &[Test] = &[
    test("others/ours_wins_and_theirs_comes_back", ours_wins_and_theirs_comes_back),
    test("others/under_our_name", under_our_name),
    test("others/a_newer_one_is_outdone", a_newer_one_is_outdone),
    test("others/keep", keep),
    test("others/name_that_became_free", name_that_became_free),
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
        (&["register", "s390x"][..], "unchanged"),
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
    assert!(sandbox.succeeds(&["register", "s390x"]).contains("1 unchanged"));
    // Who matches other programs is not in the way.
    sandbox.add(&line("m68k", "theirs-m68k", THEIRS, ""));
    assert!(sandbox.succeeds(&["register", "s390x"]).contains("1 unchanged"));
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
    let Ran { code, out, .. } = sandbox.run(&["register", "s390x"]);
    assert_eq!((code, out.contains("1 registered")), (Some(0), true), "{out}");
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    assert!(is_ours(sandbox, "s390x"));
}
