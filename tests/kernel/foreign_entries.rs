//! Entries of somebody else that serve what ours would: which one wins, and what comes back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use codegen::targets::{self, EXIT_STATUS};

use crate::register::{runs, test_program};
use crate::sandbox::{CommandResult, Sandbox, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("foreign_entries/ours_wins_and_theirs_comes_back", ours_wins_and_theirs_comes_back),
    test("foreign_entries/under_our_name", under_our_name),
    test("foreign_entries/a_newer_one_is_outdone", a_newer_one_is_outdone),
    test("foreign_entries/keep", keep),
    test("foreign_entries/all_leaves_what_a_translator_serves", all_leaves_what_a_translator_serves),
    test("foreign_entries/all_replaces_what_does_not_work", all_replaces_what_does_not_work),
    test("foreign_entries/all_replaces_another_qemu", all_replaces_another_qemu),
    test("foreign_entries/credentials_that_go", credentials_that_go),
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

/// A translator that is no QEMU by its name or path: a copy of the emulator under another name.
fn translator(sandbox: &Sandbox, target: &str) -> String {
    let path = sandbox.scratch().join(format!("translator-{target}"));
    fs::copy(format!("/usr/bin/qemu-{target}-static"), &path).expect("copied");
    path.to_str().expect("text").into()
}

/// Runs another image's command line.
fn as_other_image(sandbox: &Sandbox, words: &[&str]) -> CommandResult {
    ran(Command::new(sandbox.registrar()).args(words).env("REGISTRAR_SCOPE", "userns"))
}

/// As Rosetta on a Mac, which serves amd64 several times faster than QEMU.
fn all_leaves_what_a_translator_serves(sandbox: &Sandbox) {
    let rosetta = translator(sandbox, "s390x");
    sandbox.add(&line("s390x", "rosetta", &rosetta, "OCF"));
    let riscv64 = translator(sandbox, "riscv64");
    sandbox.add(&line("riscv64", "FEX", &riscv64, "POCF"));
    let before = sandbox.entries();
    let skipped = "s390x skipped: served by rosetta";
    for arguments in [&["register", "--dry-run"][..], &["register"], &["register", "--verify"]] {
        let out = sandbox.succeeds(arguments);
        let is_row = |line: &str| line.starts_with("qemu-s390x ") && line.ends_with(" skipped       served by rosetta");
        assert!(out.lines().any(is_row), "{out}");
        assert!(out.contains(skipped) && out.contains("riscv64 skipped: served by FEX"), "{out}");
    }
    let registered = sandbox.names();
    assert!(!registered.iter().any(|name| name.contains("s390x") || name.contains("riscv64")), "{registered:?}");
    assert_eq!(sandbox.entries()["rosetta"], before["rosetta"]);
    sandbox.succeeds(&["status", "--check"]);
    let out = sandbox.succeeds(&["status", "s390x"]);
    assert!(out.contains("  served  OCF") && out.contains("(by rosetta)"), "{out}");
    for words in [&["--install", "all"][..], &["--reset", "-p", "yes"], &["-s", "--", "-p"]] {
        let ran = as_other_image(sandbox, words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.err);
        assert!(!sandbox.names().contains(&"qemu-s390x".to_owned()), "{words:?}");
    }
    // A target that is named wins, and gives it back.
    sandbox.succeeds(&["register", "s390x"]);
    let serves = |name: &str| {
        let out = sandbox.succeeds(&["verify", "--json", "s390x"]);
        assert!(out.contains(&format!("\"entry\": \"{name}\"")), "{out}");
    };
    serves("qemu-s390x");
    sandbox.succeeds(&["unregister", "s390x"]);
    serves("rosetta");
    sandbox.succeeds(&["unregister"]);
    assert_eq!(sandbox.entries(), before);
    serves("rosetta");
}

fn all_replaces_what_does_not_work(sandbox: &Sandbox) {
    sandbox.add(&line("m68k", "box64", THEIRS, "F"));
    sandbox.fails(&["status", "--check", "s390x"], "qemu-s390x is absent; registrar register fixes it");
    let out = sandbox.succeeds(&["register"]);
    let expected = ", before box64 (/bin/false), which does not work: exit status 1 of a test program, not 29\n";
    assert!(out.lines().any(|line| line.starts_with("qemu-m68k ") && line.ends_with(expected.trim_end())), "{out}");
    assert!(is_ours(sandbox, "m68k"));
    sandbox.succeeds(&["status", "--check"]);
}

/// As Debian's on the host, which users come to replace; tonistiigi's image leaves it.
fn all_replaces_another_qemu(sandbox: &Sandbox) {
    let path = sandbox.scratch().join("qemu-s390x");
    fs::copy("/usr/bin/qemu-s390x-static", &path).expect("copied");
    sandbox.add(&line("s390x", "theirs", path.to_str().expect("text"), "F"));
    sandbox.add(&line("m68k", "theirs-m68k", THEIRS, "F"));
    let ran = as_other_image(sandbox, &["--install", "all"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("installing: s390x skipped: served by theirs\n"), "{}", ran.err);
    assert!(ran.err.contains("installing: m68k OK\n"), "{}", ran.err);
    let names = sandbox.names();
    assert!(!names.contains(&"qemu-s390x".into()) && names.contains(&"qemu-m68k".into()), "{names:?}");
    sandbox.succeeds(&["register", "--keep"]);
    assert!(!sandbox.names().contains(&"qemu-s390x".into()));
    let out = sandbox.succeeds(&["register"]);
    assert!(out.contains("registered    /usr/bin/qemu-s390x-static, before theirs ("), "{out}");
}

/// Who has had set-user-ID programs run learns that they will not.
fn credentials_that_go(sandbox: &Sandbox) {
    let remark =
        "; flag C taken away from 1: set-user-ID programs such as sudo lose their rights; --credentials keeps it";
    sandbox.succeeds(&["register", "--credentials", "s390x"]);
    assert!(!sandbox.succeeds(&["register", "--credentials", "s390x"]).contains("flag C"));
    assert!(sandbox.succeeds(&["register", "s390x"]).contains(remark));
    assert!(!sandbox.succeeds(&["register", "s390x"]).contains("flag C"));
    // As tonistiigi's image leaves it.
    sandbox.add(&line("m68k", "qemu-m68k", "/usr/bin/qemu-m68k", "OC"));
    assert!(sandbox.succeeds(&["register", "m68k"]).contains(remark));
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
        assert!(out.ends_with(" shadowed  POF    /usr/bin/qemu-s390x-static (some programs by theirs)\n"), "{out}");
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
