//! Options of `register`: flags, only looking, how much is told.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use codegen::targets;

use crate::register::runs;
use crate::sandbox::{CommandResult, Sandbox, host, line, ran, scoped};
use crate::{Test, test};

/// A user who is not root in the namespace either.
const ORDINARY: u32 = 1000;

pub(crate) const TESTS: &[Test] = &[
    test("options/flags", flags),
    test("options/dry_run", dry_run),
    Test { mounted: false, ..test("options/dry_run_mounts_nothing", dry_run_mounts_nothing) },
    test("options/dry_run_of_unregister", dry_run_of_unregister),
    test("options/dry_run_tells_what_would_be_refused", dry_run_tells_what_would_be_refused),
    Test { uid: ORDINARY, ..test("options/dry_run_of_an_ordinary_user", dry_run_of_an_ordinary_user) },
    Test {
        uid: ORDINARY,
        mounted: false,
        ..test("options/dry_run_of_who_may_not_mount", dry_run_of_who_may_not_mount)
    },
    test("options/quiet_and_verbose", quiet_and_verbose),
    test("options/the_file_that_is_there_now_is_opened_again", refreshed),
    test("options/a_dry_run_starts_nothing", a_dry_run_starts_nothing),
    Test { mounted: false, ..test("options/dry_run_of_what_would_disappear", dry_run_of_what_would_disappear) },
    test("options/emulators_that_cannot_be_held", emulators_that_cannot_be_held),
];

fn flags(sandbox: &Sandbox) {
    let cases: [(&[&str], &str); 7] = [
        (&[], "POF"),
        (&["--credentials"], "POCF"),
        (&["--preserve-argv0"], "POF"),
        (&["--no-fix-binary"], "PO"),
        (&["--credentials", "--preserve-argv0", "--no-fix-binary"], "POC"),
        (&["--flags", "FOP"], "POF"),
        (&["--flags="], ""),
    ];
    for (options, shown) in cases {
        let register = [&["register", "s390x"], options].concat();
        sandbox.succeeds(&register);
        assert!(sandbox.entries()["qemu-s390x"].contains(&format!("\nflags: {shown}\n")), "{options:?}");
        let again = if shown.contains('F') { "1 refreshed, 0 unchanged" } else { "1 unchanged" };
        assert!(sandbox.succeeds(&register).contains(again), "{options:?}");
        assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")), "{options:?}");
    }
    let refused = "registering qemu-s390x: the kernel does not take this rule";
    for (flags, hint) in [
        ("Z", "; it may not know flag Z, or the emulator does not fit it"),
        ("ZYF", "; it may not know flags YZ, or the emulator does not fit them"),
    ] {
        sandbox.fails(&["register", "s390x", "--flags", flags], &format!("{refused}{hint}"));
    }
    sandbox.succeeds(&["unregister"]);
    for (flags, hint) in [("F", "; before Linux 4.8 it takes none with flag F"), ("P", "")] {
        let register = ["register", "s390x", "--flags", flags];
        let (ran, _) = sandbox.run_injected("write:error=EINVAL:when=1", None, &register);
        assert_eq!((ran.code, ran.err), (Some(1), format!("{refused}{hint}\n")));
    }
}

/// A program that says who it is.
fn dry_run(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "m68k"]);
    let before = sandbox.entries();
    let out = sandbox.succeeds(&["register", "--dry-run", "--credentials", "s390x", "sh4"]);
    let expected = "qemu-s390x  to replace    /usr/bin/qemu-s390x-static (now: other flags)\n\
                    qemu-sh4    to register   /usr/bin/qemu-sh4-static\n\
                    nothing done: 1 to register, 1 to replace, 0 unchanged\n";
    assert_eq!(out, expected);
    let out = sandbox.succeeds(&["unregister", "--dry-run"]);
    assert_eq!(out, "qemu-m68k   to remove\nqemu-s390x  to remove\nnothing done: 2 to remove\n");
    assert_eq!(sandbox.entries(), before);
}

fn dry_run_mounts_nothing(sandbox: &Sandbox) {
    let out = sandbox.succeeds(&["register", "--dry-run", "s390x"]);
    let expected = "qemu-s390x  to register   /usr/bin/qemu-s390x-static\n\
                    nothing done: 1 to register, 0 to replace, 0 unchanged; binfmt_misc to be mounted at \
                    /proc/sys/fs/binfmt_misc; as long as this mount namespace\n";
    assert_eq!(out, expected);
    assert!(!sandbox.folder().join("status").exists());
}

/// Without its capabilities root may not write to an entry whose mode forbids it.
fn dry_run_of_unregister(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "m68k"]);
    let entry = sandbox.folder().join("qemu-s390x");
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o444)).expect("its mode");
    let unregister = |more: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-all", "--bounding-set=-all"]).arg(sandbox.registrar());
        ran(command.args(scoped(&["unregister", "s390x"])).args(more))
    };
    let would = unregister(&["--dry-run"]);
    assert_eq!(sandbox.names(), ["qemu-m68k", "qemu-s390x"]);
    let real = unregister(&[]);
    assert_eq!((real.code, would.code, would.err), (Some(1), Some(1), real.err));
    assert_eq!(sandbox.names(), ["qemu-m68k", "qemu-s390x"]);
}

/// In the same words.
fn refused_alike(sandbox: &Sandbox, arguments: &[&str]) {
    let real = sandbox.run(&[&["register"], arguments].concat());
    assert_eq!((real.code, real.err.lines().count()), (Some(1), 1), "{arguments:?}: {}", real.err);
    if !sandbox.folder().join("status").exists() {
        assert_eq!(sandbox.run(&[&["register", "--dry-run"], arguments].concat()), real, "{arguments:?}");
        return;
    }
    sandbox.fails(&[&["register", "--dry-run"], arguments].concat(), real.err.trim_end());
}

fn dry_run_tells_what_would_be_refused(sandbox: &Sandbox) {
    refused_alike(sandbox, &["--mount", "/etc"]);
    refused_alike(sandbox, &["--mount", "/nonexistent"]);
    refused_alike(sandbox, &["--mount", "/etc/passwd"]);
    refused_alike(sandbox, &["--no-fix-binary", "--bindir", "/etc"]);
}

fn dry_run_of_an_ordinary_user(sandbox: &Sandbox) {
    refused_alike(sandbox, &["s390x", "m68k"]);
    let out = sandbox.run(&["register", "--dry-run", "s390x", "m68k"]).out;
    let expected = "qemu-m68k   failed        /usr/bin/qemu-m68k-static\nqemu-s390x  not tried\n\
                    nothing done: 0 to register, 0 to replace, 0 unchanged, 1 failed, 1 not tried\n";
    assert_eq!(out, expected);
    // What is so already needs no writing, and so it is no failure.
    sandbox.succeeds(&["register", "--dry-run", host().qemu]);
}

fn dry_run_of_who_may_not_mount(sandbox: &Sandbox) {
    let real = sandbox.run(&["register", "s390x"]);
    let would = sandbox.run(&["register", "--dry-run", "s390x"]);
    assert!(real.err.starts_with("mounting binfmt_misc at "), "{}", real.err);
    assert_eq!((would.code, would.err), (Some(1), real.err));
}

fn quiet_and_verbose(sandbox: &Sandbox) {
    assert_eq!(sandbox.succeeds(&["register", "-q", "s390x"]), "");
    let out = sandbox.succeeds(&["register", "--verbose", "--credentials", "s390x"]);
    let rule = line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "POCF");
    let expected = format!(
        "binfmt_misc at /proc/sys/fs/binfmt_misc\n\
         qemu-s390x  replaced      /usr/bin/qemu-s390x-static (before: other flags)\n\
         qemu-s390x    written     {}\nqemu-s390x    written     -1 to qemu-s390x\nqemu-s390x    written     {rule}\n\
         qemu-s390x    written     -1 to qemu-s390x.registrar\n0 registered, 1 replaced, 0 unchanged\n",
        rule.replacen("qemu-s390x", "qemu-s390x.registrar", 1)
    );
    assert_eq!(out, expected);
    // Only what is written is said to be.
    let before = sandbox.entries();
    let out = sandbox.succeeds(&["register", "-v", "--dry-run", "s390x"]);
    assert_eq!((out.matches("  to write    ").count(), out.contains("written")), (4, false), "{out}");
    let bindir = sandbox.emulators(&["m68k"]);
    let bindir = bindir.to_str().expect("text");
    let out = sandbox.fails(
        &["register", "-v", "--bindir", bindir, "s390x"],
        &format!("registering qemu-s390x: {bindir}/qemu-s390x-static: no such file; --bindir names the folder of the emulators"),
    );
    assert!(!out.contains("written") && sandbox.entries() == before, "{out}");
    let CommandResult { code, out, err } = sandbox.run(&["register", "--quiet", "--bindir", "/etc", "s390x"]);
    assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1));
}

/// As after an upgrade: another file at the same path, which the kernel does not show. What serves is the file that is
/// there now, and at every moment something does.
fn refreshed(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&[]);
    let option = folder.to_str().expect("text");
    let register = ["register", "s390x", "--bindir", option];
    let emulator = folder.join("qemu-s390x-static");
    let s390x = targets::by_qemu_name("s390x").expect("known");
    fs::copy("/usr/bin/qemu-m68k-static", &emulator).expect("copied");
    sandbox.succeeds(&register);
    assert!(!runs(sandbox, s390x));
    fs::remove_file(&emulator).expect("removed");
    fs::copy("/usr/bin/qemu-s390x-static", &emulator).expect("copied");
    let before = sandbox.entries();
    let dry = sandbox.succeeds(&[&register[..], &["--dry-run"]].concat());
    let path = emulator.display();
    let expected = "nothing done: 0 to register, 0 to replace, 1 to refresh, 0 unchanged\n";
    assert_eq!(dry, format!("qemu-s390x  to refresh    {path}\n{expected}"));
    assert!(!runs(sandbox, s390x), "nothing was done");
    // Nothing is made to fail; the writes are seen.
    let (ran, log) = sandbox.run_injected("write:error=EIO:when=65535", None, &register);
    let expected = format!("qemu-s390x  refreshed     {path}\n0 registered, 0 replaced, 1 refreshed, 0 unchanged\n");
    assert_eq!((ran.code, ran.err.as_str(), ran.out), (Some(0), "", expected));
    assert!(runs(sandbox, s390x));
    assert_eq!(sandbox.entries(), before);
    let written = log.lines().filter_map(|line| line.split('"').nth(1));
    let written = written.filter_map(|text| text.strip_prefix(':').or(Some(text).filter(|text| *text == "-1")));
    let written: Vec<_> = written.map(|text| text.split(':').next().unwrap_or_default()).collect();
    assert_eq!(written, ["qemu-s390x.registrar", "-1", "qemu-s390x", "-1"]);
}

fn a_dry_run_starts_nothing(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "m68k"]);
    // One that a translator serves, which the real run would try.
    let translator = sandbox.scratch().join("translator");
    fs::copy("/usr/bin/qemu-sh4-static", &translator).expect("copied");
    sandbox.add(&line("sh4", "theirs", translator.to_str().expect("text"), "F"));
    let cases: [(&[&str], &str); 5] = [
        (&["register", "--dry-run", "s390x", "m68k"], "2 to refresh"),
        (&["register", "--dry-run"], "served by theirs"),
        (&["unregister", "--dry-run"], "2 to remove"),
        (&["register", "--dry-run", "--mount", "/nonexistent"], ""),
        (&["--scope=userns", "--dry-run", "register", "--keep"], "served by theirs"),
    ];
    for (arguments, said) in cases {
        assert!(starts_nothing(sandbox, arguments).out.contains(said), "{arguments:?}");
    }
}

fn starts_nothing(sandbox: &Sandbox, arguments: &[&str]) -> CommandResult {
    let calls = "execve,fork,vfork,clone,clone3:error=EPERM:when=65535";
    let (ran, log) = sandbox.run_injected(calls, None, arguments);
    // The program itself is the only one.
    assert_eq!(log.lines().filter(|line| line.contains('(')).count(), 1, "{arguments:?}: {log}");
    ran
}

fn dry_run_of_what_would_disappear(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    refused_alike(sandbox, &["s390x"]);
    refused_alike(sandbox, &["--keep"]);
    let ran = starts_nothing(sandbox, &["register", "--dry-run", "s390x"]);
    assert!(ran.code == Some(1) && ran.err.starts_with("handlers would disappear with this process"), "{ran:?}");
    let would = sandbox.succeeds(&["register", "--dry-run", "--temporary", "s390x"]);
    assert!(would.contains("1 to register") && !sandbox.folder().join("status").exists(), "{would}");
}

/// In a folder of the user's.
fn emulators_that_cannot_be_held(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&[]);
    let emulator = folder.join("qemu-s390x-static");
    let path = emulator.to_str().expect("text");
    let script = sandbox.scratch().join("script");
    fs::write(&script, "#!/bin/sh\n").expect("written");
    let foreign = sandbox.scratch().join("foreign");
    let m68k = targets::by_qemu_name("m68k").expect("known");
    fs::write(&foreign, codegen::probe::executable(m68k, m68k.machines[0]).expect("a program")).expect("written");
    let cases = [
        (Path::new("/usr/bin/env"), "not static: it needs /lib"),
        (&script, "a script"),
        (&foreign, "for another machine (e_machine 4)"),
    ];
    for (file, why) in cases {
        symlink(file, &emulator).expect("a link");
        let register = ["register", "s390x", "--bindir", folder.to_str().expect("text")];
        let ran = sandbox.run(&register);
        assert_eq!(ran.code, Some(1), "{why}");
        let cause = format!("{path}: {why}");
        assert!(ran.err.contains(&cause) && ran.err.ends_with("or --no-fix-binary\n"), "{}", ran.err);
        assert!(sandbox.names().is_empty());
        fs::remove_file(&emulator).expect("removed");
    }
}
