//! What goes wrong: each gives one clear line and a non-zero exit, and leaves nothing behind.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::sandbox::{Sandbox, line};
use crate::{Test, test};

/// A user who is not root in the namespace either.
const ORDINARY: u32 = 1000;

pub(crate) const TESTS: &[Test] = &[
    Test { uid: ORDINARY, ..test("faults/ordinary_user", ordinary_user) },
    Test { uid: ORDINARY, mounted: false, ..test("faults/ordinary_user_mounting", ordinary_user_mounting) },
    test("faults/read_only", read_only),
    test("faults/switched_off", switched_off),
    test("faults/emulator_missing", emulator_missing),
    test("faults/all_emulators_missing", all_emulators_missing),
    test("faults/emulator_not_executable", emulator_not_executable),
    test("faults/emulator_open_for_writing", emulator_open_for_writing),
    test("faults/emulator_folder", emulator_folder),
    test("faults/name_taken", name_taken),
    test("faults/failed_replacement_keeps_the_old", failed_replacement_keeps_the_old),
];

/// An emulator folder with nothing in it but what the test puts there.
fn empty_folder(sandbox: &Sandbox) -> String {
    sandbox.emulators(&[]).to_str().expect("text").into()
}

fn ordinary_user(sandbox: &Sandbox) {
    let err = "writing /proc/sys/fs/binfmt_misc/register: permission denied; run as root";
    for arguments in [&["register"][..], &["register", "s390x"]] {
        assert_eq!(sandbox.fails(arguments, err), "0 registered, 0 replaced, 0 unchanged, stopped\n");
    }
    sandbox.succeeds(&["status"]);
}

fn ordinary_user_mounting(sandbox: &Sandbox) {
    let err = "mounting binfmt_misc at /proc/sys/fs/binfmt_misc: not permitted; run as root, or in a container with \
               -v /proc/sys/fs/binfmt_misc:/binfmt_misc";
    for command in ["register", "unregister"] {
        assert_eq!(sandbox.fails(&[command], err), "");
    }
}

fn read_only(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(None::<&str>, sandbox.folder(), None::<&str>, flags, None::<&str>).expect("mounted read-only");
    let cure = "mounted read-only; mount it writable, in a container with -v /proc/sys/fs/binfmt_misc:/binfmt_misc";
    sandbox.fails(&["register"], &format!("writing /proc/sys/fs/binfmt_misc/register: {cure}"));
    sandbox.fails(&["unregister"], &format!("writing /proc/sys/fs/binfmt_misc/qemu-s390x: {cure}"));
    // What is so already needs no writing.
    sandbox.succeeds(&["register", "s390x"]);
}

fn switched_off(sandbox: &Sandbox) {
    sandbox.write("status", "0");
    let err = "binfmt_misc is switched off, so that no handler would be used; \
               to switch it on: echo 1 > /proc/sys/fs/binfmt_misc/status";
    assert_eq!(sandbox.fails(&["register"], err), "");
}

fn emulator_missing(sandbox: &Sandbox) {
    let folder = empty_folder(sandbox);
    let err = format!(
        "registering qemu-s390x: {folder}/qemu-s390x-static: no such file; --bindir names the folder of the emulators"
    );
    let out = sandbox.fails(&["register", "s390x", "--bindir", &folder], &err);
    let expected = format!(
        "qemu-s390x  failed        {folder}/qemu-s390x-static\n0 registered, 0 replaced, 0 unchanged, 1 failed\n"
    );
    assert_eq!(out, expected);
}

fn all_emulators_missing(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let folder = folder.to_str().expect("text");
    let ran = sandbox.run(&["register", "arm64,s390x,m68k", "--bindir", folder]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(sandbox.names(), ["qemu-s390x"], "what can be done is done");
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[2].starts_with("2 failed, first: registering qemu-aarch64: ") && lines[2].len() < 200,
        "{}",
        lines[2]
    );
}

fn emulator_not_executable(sandbox: &Sandbox) {
    let folder = empty_folder(sandbox);
    let emulator = format!("{folder}/qemu-s390x-static");
    fs::write(&emulator, "no program").expect("written");
    fs::set_permissions(&emulator, fs::Permissions::from_mode(0o644)).expect("not executable");
    let err = format!("registering qemu-s390x: {emulator}: not executable, or on a file system mounted noexec");
    sandbox.fails(&["register", "s390x", "--bindir", &folder], &err);
}

fn emulator_open_for_writing(sandbox: &Sandbox) {
    let folder = empty_folder(sandbox);
    let emulator = format!("{folder}/qemu-s390x-static");
    fs::copy("/usr/bin/qemu-s390x-static", &emulator).expect("copied");
    let writer = File::options().append(true).open(&emulator).expect("opened");
    let err = format!("registering qemu-s390x: {emulator}: open for writing; try again when it is complete");
    sandbox.fails(&["register", "s390x", "--bindir", &folder], &err);
    drop(writer);
    sandbox.succeeds(&["register", "s390x", "--bindir", &folder]);
}

fn emulator_folder(sandbox: &Sandbox) {
    let long = format!("/{}", "x".repeat(1920));
    let cases = [
        ("/nonexistent".into(), "emulator folder /nonexistent: no such directory".into()),
        ("/etc/passwd".into(), "emulator folder /etc/passwd: not a directory".into()),
        ("bin".into(), "emulator folder 'bin': not an absolute path".into()),
        ("/a:b".into(), "emulator folder '/a:b': a colon or control character cannot stand in a rule".into()),
        (long.clone(), format!("emulator folder '{long}': too long for a rule")),
    ];
    for (folder, err) in cases {
        let err: String = err;
        let folder: String = folder;
        assert_eq!(sandbox.fails(&["register", "--bindir", &folder], &err), "");
    }
}

fn name_taken(sandbox: &Sandbox) {
    let theirs = "/usr/libexec/qemu-binfmt/s390x-binfmt-P";
    sandbox.add(&line("s390x", "qemu-s390x", theirs, "PO"));
    let err = format!(
        "registering qemu-s390x: the name belongs to {theirs}; \
         to remove that: echo -1 > /proc/sys/fs/binfmt_misc/qemu-s390x"
    );
    let out = sandbox.fails(&["register", "s390x"], &err);
    let expected =
        format!("qemu-s390x  left alone    belongs to {theirs}\n0 registered, 0 replaced, 0 unchanged, 1 failed\n");
    assert_eq!(out, expected);
    // The others are registered all the same.
    let ran = sandbox.run(&["register"]);
    assert_eq!((ran.code, ran.err.trim_end()), (Some(1), err.as_str()));
    assert!(Path::new("/proc/sys/fs/binfmt_misc/qemu-arm").exists());
}

fn failed_replacement_keeps_the_old(sandbox: &Sandbox) {
    let folder = empty_folder(sandbox);
    sandbox.succeeds(&["register", "s390x"]);
    let err = format!(
        "registering qemu-s390x: {folder}/qemu-s390x-static: no such file; --bindir names the folder of the emulators"
    );
    sandbox.fails(&["register", "s390x", "--bindir", &folder], &err);
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}
