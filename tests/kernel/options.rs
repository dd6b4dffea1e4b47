//! Options of `register`: flags, all or nothing, only looking, how much is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use codegen::targets;
use tests::emulators::TARGETS;

use crate::register::runs;
use crate::sandbox::{Ran, Sandbox, entry_names, host, line};
use crate::verify::stand_ins;
use crate::{Test, test};

/// A user who is not root in the namespace either.
const ORDINARY: u32 = 1000;

pub(crate) const TESTS: &[Test] = &[
    test("options/flags", flags),
    test("options/argv0_is_preserved", argv0_is_preserved),
    test("options/dry_run", dry_run),
    Test { mounted: false, ..test("options/dry_run_mounts_nothing", dry_run_mounts_nothing) },
    test("options/dry_run_tells_what_would_be_refused", dry_run_tells_what_would_be_refused),
    Test { uid: ORDINARY, ..test("options/dry_run_of_an_ordinary_user", dry_run_of_an_ordinary_user) },
    Test {
        uid: ORDINARY,
        mounted: false,
        ..test("options/dry_run_of_who_may_not_mount", dry_run_of_who_may_not_mount)
    },
    test("options/quiet_and_verbose", quiet_and_verbose),
    test("options/atomic_takes_back_what_it_added", atomic_takes_back_what_it_added),
    test("options/atomic_restores_what_it_removed", atomic_restores_what_it_removed),
    test("options/atomic_starts_nothing_that_must_fail", atomic_starts_nothing_that_must_fail),
    test("options/atomic_that_succeeds", atomic_that_succeeds),
    test("options/another_file_is_replaced", another_file_is_replaced),
    test("options/a_copy_of_the_same_build_is_unchanged", a_copy_of_the_same_build_is_unchanged),
    test("options/without_a_build_id_each_byte_counts", without_a_build_id_each_byte_counts),
    test(
        "options/emulators_that_are_looked_at_leave_nothing_running",
        emulators_that_are_looked_at_leave_nothing_running,
    ),
    test("options/emulators_that_cannot_be_held", emulators_that_cannot_be_held),
];

fn flags(sandbox: &Sandbox) {
    let cases: [(&[&str], &str); 7] = [
        (&[], "F"),
        (&["--credentials"], "OCF"),
        (&["--preserve-argv0"], "PF"),
        (&["--no-fix-binary"], ""),
        (&["--credentials", "--preserve-argv0", "--no-fix-binary"], "POC"),
        (&["--flags", "FOP"], "POF"),
        (&["--flags="], ""),
    ];
    for (options, shown) in cases {
        let register = [&["register", "s390x"], options].concat();
        sandbox.succeeds(&register);
        assert!(sandbox.entries()["qemu-s390x"].contains(&format!("\nflags: {shown}\n")), "{options:?}");
        assert!(sandbox.succeeds(&register).contains("1 unchanged"), "{options:?}");
        assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")), "{options:?}");
    }
    let refused = "registering qemu-s390x: the kernel does not take this rule";
    for (flags, hint) in [("Z", "; it may not know flag Z"), ("ZYF", "; it may not know flags YZ")] {
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
fn argv0_is_preserved(sandbox: &Sandbox) {
    let source = sandbox.scratch().join("name.c");
    fs::write(&source, "#include <stdio.h>\nint main(int n, char **v) { return puts(v[0]) < 0; }\n").expect("written");
    let program = sandbox.scratch().join("name");
    let compiled = Command::new("s390x-linux-gnu-gcc").arg("-static").arg("-o").arg(&program).arg(&source).status();
    assert!(compiled.expect("s390x-linux-gnu-gcc; install gcc-s390x-linux-gnu").success());
    let name = || {
        use std::os::unix::process::CommandExt;
        let output = Command::new(&program).arg0("another name").output().expect("it ran");
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    };
    sandbox.succeeds(&["register", "s390x"]);
    assert_eq!(name(), program.to_str().expect("text"));
    sandbox.succeeds(&["register", "s390x", "--preserve-argv0"]);
    assert_eq!(name(), "another name");
}

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
                    /proc/sys/fs/binfmt_misc\n";
    assert_eq!(out, expected);
    assert!(!sandbox.folder().join("status").exists());
}

/// In the same words.
fn refused_alike(sandbox: &Sandbox, arguments: &[&str]) {
    let real = sandbox.run(&[&["register"], arguments].concat());
    assert_eq!((real.code, real.err.lines().count()), (Some(1), 1), "{arguments:?}: {}", real.err);
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
    let rule = line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "OCF");
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
    let Ran { code, out, err } = sandbox.run(&["register", "--quiet", "--bindir", "/etc", "s390x"]);
    assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1));
}

/// Emulators of all but one target.
fn all_but(sandbox: &Sandbox, missing: &str) -> String {
    let targets: Vec<_> = TARGETS.iter().map(|target| target.qemu).filter(|qemu| *qemu != missing).collect();
    sandbox.emulators(&targets).to_str().expect("text").into()
}

fn atomic_takes_back_what_it_added(sandbox: &Sandbox) {
    let folder = all_but(sandbox, "s390x");
    sandbox.succeeds(&["register", "m68k", "s390x", "sh4"]);
    let err = format!(
        "registering qemu-s390x: {folder}/qemu-s390x-static: no such file; --bindir names the folder of the emulators"
    );
    let arguments = ["register", "--atomic", "m68k,s390x,sh4,hppa", "--bindir", &folder];
    let expected = "qemu-hppa   taken back\nqemu-m68k   taken back\nqemu-s390x  failed        the entry that was there \
                    stays\nqemu-sh4    not tried\n0 registered, 0 replaced, 0 unchanged, 1 failed, 2 taken back, 1 not \
                    tried\n";
    assert_eq!(sandbox.fails(&arguments, &err), expected);
    // Without it, what can be done is done.
    sandbox.run(&["register", "m68k,s390x,sh4,hppa", "--bindir", &folder]);
    assert_eq!(sandbox.names(), ["qemu-hppa", "qemu-m68k", "qemu-s390x", "qemu-sh4"]);
}

/// What fails only after something has been removed.
fn atomic_restores_what_it_removed(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "m68k", "s390x", "--credentials"]);
    sandbox.add(&line("sh4", "qemu-sh4", "/usr/bin/qemu-sh4-static", "F"));
    sandbox.write("qemu-sh4", "0");
    let before = sandbox.entries();
    // Three second entries are written, then each own one is removed, written, and the second removed.
    for failing in 4..=12 {
        let inject = format!("write:error=ENOMEM:when={failing}");
        let (ran, _) = sandbox.run_injected(&inject, None, &["register", "--atomic", "m68k", "s390x", "sh4"]);
        assert_eq!((ran.code, ran.err.lines().count()), (Some(1), 1), "{failing}: {}", ran.err);
        assert!(ran.out.contains("1 failed") && !ran.out.contains(", 1 replaced"), "{}", ran.out);
        assert_eq!(sandbox.entries(), before, "{failing}");
    }
    sandbox.succeeds(&["register", "--atomic", "m68k", "s390x", "sh4"]);
    assert_ne!(sandbox.entries(), before);
}

fn atomic_starts_nothing_that_must_fail(sandbox: &Sandbox) {
    for name in ["qemu-s390x", "qemu-s390x.registrar"] {
        sandbox.add(&line("s390x", name, "/opt/theirs", ""));
    }
    let before = sandbox.entries();
    let ran = sandbox.run(&["register", "--atomic", "m68k", "s390x"]);
    assert_eq!((ran.code, sandbox.entries() == before), (Some(1), true));
    assert!(ran.out.starts_with("qemu-m68k   not tried\n"), "{}", ran.out);
}

fn atomic_that_succeeds(sandbox: &Sandbox) {
    let others = entry_names(|target| ["m68k", "s390x"].contains(&target.qemu));
    sandbox.succeeds(&["register", "m68k", "--credentials"]);
    let out = sandbox.succeeds(&["register", "--atomic", "m68k", "s390x"]);
    assert!(out.ends_with("1 registered, 1 replaced, 0 unchanged\n"), "{out}");
    assert_eq!(sandbox.names(), others);
}

/// As after an upgrade: another file at the same path, which the kernel does not show.
fn another_file_is_replaced(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let option = folder.to_str().expect("text");
    let register = ["register", "s390x", "--bindir", option];
    let emulator = folder.join("qemu-s390x-static");
    sandbox.succeeds(&register);
    assert!(sandbox.succeeds(&register).contains("1 unchanged"));
    // The same program with another build ID, and then none.
    let mut program = fs::read("/usr/bin/qemu-s390x-static").expect("an emulator");
    let note = b"\x03\0\0\0GNU\0";
    let at = program.windows(note.len()).position(|part| part == note).expect("a build ID") + note.len();
    for byte in [program[at] ^ 1, program[at]] {
        program[at] = byte;
        let new = folder.join("new");
        fs::write(&new, &program).expect("written");
        fs::set_permissions(&new, fs::metadata("/usr/bin/qemu-s390x-static").expect("it").permissions()).expect("set");
        fs::rename(&new, &emulator).expect("renamed");
        let out = sandbox.succeeds(&register);
        assert!(out.contains("(before: another file)"), "{out}");
        assert!(sandbox.succeeds(&register).contains("1 unchanged"));
        assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")));
    }
}

/// As in another container of the same image: another inode, the same program.
fn a_copy_of_the_same_build_is_unchanged(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&[]);
    let emulator = folder.join("qemu-s390x-static");
    fs::copy("/usr/bin/qemu-s390x-static", &emulator).expect("copied");
    let register = ["register", "s390x", "--bindir", folder.to_str().expect("text")];
    sandbox.succeeds(&register);
    fs::remove_file(&emulator).expect("removed");
    fs::copy("/usr/bin/qemu-s390x-static", &emulator).expect("copied");
    assert!(sandbox.succeeds(&register).contains("1 unchanged"));
}

/// In a copy with a build ID only its length counts besides.
fn without_a_build_id_each_byte_counts(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&[]);
    let emulator = folder.join("qemu-s390x-static");
    let register = ["register", "s390x", "--bindir", folder.to_str().expect("text")];
    let put = |program: &[u8]| {
        let new = folder.join("new");
        fs::write(&new, program).expect("written");
        fs::set_permissions(&new, Permissions::from_mode(0o755)).expect("executable");
        fs::rename(&new, &emulator).expect("renamed");
    };
    let with_id = fs::read("/usr/bin/qemu-s390x-static").expect("an emulator");
    let note = b"\x03\0\0\0GNU\0";
    let at = with_id.windows(note.len()).position(|part| part == note).expect("a build ID");
    // A note of another type.
    let mut without_id = with_id.clone();
    without_id[at] = 99;
    let mut with_last_byte_changed = without_id.clone();
    *with_last_byte_changed.last_mut().expect("a byte") ^= 1;
    let and_a_byte = |program: &[u8]| [program, b"\0"].concat();
    let cases = [
        ("another inode, no build ID", &without_id, without_id.clone(), true),
        ("another last byte, no build ID", &without_id, with_last_byte_changed, false),
        ("a byte more, no build ID", &without_id, and_a_byte(&without_id), false),
        ("the build ID of another length", &with_id, and_a_byte(&with_id), false),
        ("a build ID instead of none", &without_id, with_id.clone(), false),
    ];
    for (what, old, new, is_unchanged) in cases {
        put(old);
        sandbox.succeeds(&register);
        put(&new);
        let out = sandbox.succeeds(&register);
        assert_eq!(out.contains("(before: another file)"), !is_unchanged, "{what}: {out}");
        assert_eq!(out.contains("1 unchanged"), is_unchanged, "{what}: {out}");
    }
}

/// One that starts another process before it waits.
fn emulators_that_are_looked_at_leave_nothing_running(sandbox: &Sandbox) {
    let folder = stand_ins(sandbox, &["hppa"]);
    let program = fs::canonicalize(folder.join("qemu-hppa-static")).expect("a program");
    let register = ["register", "hppa", "--bindir", folder.to_str().expect("text")];
    sandbox.succeeds(&register);
    // It is looked at, and has started the other, when it is killed.
    let late = "kill,?pidfd_send_signal:delay_enter=500000";
    let (ran, calls) = sandbox.run_injected(late, None, &register);
    assert!(ran.out.contains("1 unchanged") && calls.contains("(DELAYED)"), "{ran:?} {calls}");
    let processes = || fs::read_dir("/proc").expect("processes").flatten();
    let runs = || processes().any(|process| fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == program));
    // A killed process is there a little longer.
    let start = Instant::now();
    while runs() {
        assert!(start.elapsed() < Duration::from_secs(5), "it is still running");
        thread::sleep(Duration::from_millis(10));
    }
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
