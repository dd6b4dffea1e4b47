//! What goes wrong: each gives one clear line and a non-zero exit, and leaves nothing behind.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::sandbox::{CommandResult, Sandbox, entry_names, host, line, ran, scoped, way_out};
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
    test("faults/emulator_that_is_opened_later", emulator_that_is_opened_later),
    test("faults/emulator_open_for_writing", emulator_open_for_writing),
    test("faults/emulator_folder", emulator_folder),
    test("faults/names_taken", names_taken),
    test("faults/many_names_taken", many_names_taken),
    test("faults/second_name_taken", second_name_taken),
    test("faults/third_name_taken", third_name_taken),
    test("faults/unreadable_entry", unreadable_entry),
    test("faults/unreadable_entries", unreadable_entries),
    Test { second_user: true, ..test("faults/root_of_a_namespace", root_of_a_namespace) },
    Test { mounted: false, ..test("faults/root_of_a_namespace_mounting", root_of_a_namespace_mounting) },
    test("faults/one_fails_the_others_are_tried", one_fails_the_others_are_tried),
    test("faults/failed_replacement_keeps_the_old", failed_replacement_keeps_the_old),
];

/// An emulator folder with nothing in it but what the test puts there.
fn empty_folder(sandbox: &Sandbox) -> String {
    sandbox.emulators(&[]).to_str().expect("text").into()
}

fn ordinary_user(sandbox: &Sandbox) {
    let err = "writing /proc/sys/fs/binfmt_misc/register: permission denied; run as root";
    let expected = "qemu-hppa   failed        /usr/bin/qemu-hppa-static\nqemu-m68k   not tried\nqemu-s390x  not tried\n\
                    0 registered, 0 replaced, 0 unchanged, 1 failed, 2 not tried\n";
    assert_eq!(sandbox.fails(&["register", "s390x,m68k,hppa"], err), expected);
    let out = sandbox.fails(&["register"], err);
    for name in entry_names(|target| target.family != host().family) {
        assert!(out.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {out}");
    }
    sandbox.succeeds(&["status"]);
}

fn ordinary_user_mounting(sandbox: &Sandbox) {
    let err = "mounting binfmt_misc at /proc/sys/fs/binfmt_misc: not permitted; run as root, or in a container with \
               -v /proc/sys/fs/binfmt_misc:/binfmt_misc";
    assert_eq!(sandbox.fails(&["register"], err), "");
}

fn read_only(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(None::<&str>, sandbox.folder(), None::<&str>, flags, None::<&str>).expect("mounted read-only");
    let fix = "mounted read-only; mount it writable, in a container with -v /proc/sys/fs/binfmt_misc:/binfmt_misc";
    let out =
        sandbox.fails(&["register", "m68k,s390x,sh4"], &format!("writing /proc/sys/fs/binfmt_misc/register: {fix}"));
    let expected = "qemu-m68k   failed        /usr/bin/qemu-m68k-static\n\
                    qemu-s390x  not tried\nqemu-sh4    not tried\n\
                    0 registered, 0 replaced, 0 unchanged, 1 failed, 2 not tried\n";
    assert_eq!(out, expected);
    sandbox.fails(&["unregister"], &format!("writing /proc/sys/fs/binfmt_misc/qemu-s390x: {fix}"));
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

fn switched_off(sandbox: &Sandbox) {
    sandbox.write("status", "0");
    let err = "binfmt_misc is disabled, so no handler would be used; \
               to enable it: echo 1 > /proc/sys/fs/binfmt_misc/status";
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
    let err = format!(
        "registering 2 handlers (qemu-aarch64, qemu-m68k): {folder}/qemu-ARCH-static: no such file; \
         --bindir names the folder of the emulators\n"
    );
    assert_eq!(ran.err, err);
}

fn emulator_not_executable(sandbox: &Sandbox) {
    let folder = empty_folder(sandbox);
    let emulator = format!("{folder}/qemu-s390x-static");
    fs::copy("/usr/bin/qemu-s390x-static", &emulator).expect("copied");
    fs::set_permissions(&emulator, fs::Permissions::from_mode(0o644)).expect("not executable");
    let err = format!("registering qemu-s390x: {emulator}: not executable, or on a file system mounted noexec");
    sandbox.fails(&["register", "s390x", "--bindir", &folder], &err);
}

/// Without flag F the kernel looks at no file, so that it would take all of these.
fn emulator_that_is_opened_later(sandbox: &Sandbox) {
    let folder = empty_folder(sandbox);
    let emulator = format!("{folder}/qemu-s390x-static");
    let register = ["register", "s390x", "--no-fix-binary", "--bindir", &folder];
    let missing =
        format!("registering qemu-s390x: {emulator}: no such file; --bindir names the folder of the emulators");
    let refused = format!("registering qemu-s390x: {emulator}: not executable, or on a file system mounted noexec");
    let printed = format!("qemu-s390x  failed        {emulator}\n0 registered, 0 replaced, 0 unchanged, 1 failed\n");
    assert_eq!(sandbox.fails(&register, &missing), printed);
    assert!(sandbox.names().is_empty());
    fs::create_dir(&emulator).expect("a folder");
    sandbox.fails(&register, &refused);
    fs::remove_dir(&emulator).expect("removed");
    fs::copy("/usr/bin/qemu-s390x-static", &emulator).expect("copied");
    fs::set_permissions(&emulator, fs::Permissions::from_mode(0o644)).expect("not executable");
    sandbox.fails(&register, &refused);
    fs::set_permissions(&emulator, fs::Permissions::from_mode(0o755)).expect("executable");
    sandbox.succeeds(&register);
    // One that is there serves no program either.
    fs::remove_file(&emulator).expect("removed");
    assert_eq!(sandbox.fails(&register, &missing), printed);
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    let all = sandbox.run(&["register", "--flags=", "--bindir", &folder]);
    assert!(all.code == Some(1) && all.err.contains("/qemu-ARCH-static: no such file; "), "{}", all.err);
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
        ("/nonexistent".into(), "--bindir /nonexistent: no such directory".into()),
        ("/etc/passwd".into(), "--bindir /etc/passwd: not a directory".into()),
        ("bin".into(), "--bindir 'bin': not an absolute path".into()),
        ("/a:b".into(), "--bindir '/a:b': colons and control characters cannot be in a rule".into()),
        (long.clone(), format!("--bindir '/{}…{}': too long for a rule", "x".repeat(55), "x".repeat(111))),
    ];
    for (folder, err) in cases {
        let err: String = err;
        let folder: String = folder;
        assert_eq!(sandbox.fails(&["register", "--bindir", &folder], &err), "");
    }
}

/// Both names, that is; with the own name alone there is still the second.
fn names_taken(sandbox: &Sandbox) {
    let theirs = "/usr/libexec/qemu-binfmt/s390x-binfmt-P";
    for name in ["qemu-s390x", "qemu-s390x.registrar"] {
        sandbox.add(&line("s390x", name, theirs, "PO"));
    }
    let err = format!(
        "registering qemu-s390x: the name qemu-s390x.registrar belongs to {theirs}; \
         to remove that: echo -1 > /proc/sys/fs/binfmt_misc/qemu-s390x.registrar"
    );
    let out = sandbox.fails(&["register", "s390x"], &err);
    let expected = format!(
        "qemu-s390x  left alone    qemu-s390x.registrar belongs to {theirs}\n\
         0 registered, 0 replaced, 0 unchanged, 1 failed\n"
    );
    assert_eq!(out, expected);
    // The others are registered all the same.
    let ran = sandbox.run(&["register"]);
    assert_eq!((ran.code, ran.err.trim_end()), (Some(1), err.as_str()));
    assert!(Path::new("/proc/sys/fs/binfmt_misc/qemu-arm").exists());
}

/// The name that serves while the entry under the second name is exchanged.
fn third_name_taken(sandbox: &Sandbox) {
    for name in ["qemu-s390x", "qemu-s390x.registrar2"] {
        sandbox.add(&line("s390x", name, "/opt/theirs", "P"));
    }
    sandbox.succeeds(&["register", "s390x"]);
    let err = "registering qemu-s390x: the name qemu-s390x.registrar2 belongs to /opt/theirs; \
               to remove that: echo -1 > /proc/sys/fs/binfmt_misc/qemu-s390x.registrar2";
    let out = sandbox.fails(&["register", "s390x", "--credentials"], err);
    let expected = "qemu-s390x  failed        the old entry stays; qemu-s390x.registrar2 belongs to \
                    /opt/theirs\n0 registered, 0 replaced, 0 unchanged, 1 failed\n";
    assert_eq!(out, expected);
    let status = ["status", "--check", "--credentials", "s390x"];
    let advice = "registrar register with the same options says why it cannot be registered";
    sandbox.fails(&status, &format!("qemu-s390x is different; {advice}"));
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

fn many_names_taken(sandbox: &Sandbox) {
    for target in ["aarch64", "m68k", "s390x", "sh4"] {
        let theirs = format!("/usr/libexec/qemu-binfmt/{target}-binfmt-P");
        for suffix in ["", ".registrar"] {
            sandbox.add(&line(target, &format!("qemu-{target}{suffix}"), &theirs, "P"));
        }
    }
    let cause = "the names with .registrar belong to other tools; to remove one: \
                 echo -1 > /proc/sys/fs/binfmt_misc/NAME.registrar";
    let err = format!("registering 4 handlers (qemu-aarch64, qemu-m68k, qemu-s390x, …): {cause}");
    let out = sandbox.fails(&["register", "arm64,m68k,s390x,sh4"], &err);
    assert_eq!(out.lines().filter(|line| line.contains("  left alone ")).count(), 4);
    // Another cause is another line, and the last one sums up.
    let folder = empty_folder(sandbox);
    let ran = sandbox.run(&["register", "arm64,hppa,m68k", "--bindir", &folder]);
    let lines: Vec<_> = ran.err.lines().collect();
    let expected = format!("registering 2 handlers (qemu-aarch64, qemu-m68k): {cause}");
    assert_eq!((lines.len(), lines[0]), (3, expected.as_str()));
    assert!(lines[2].starts_with("3 failed, first: registering 2 handlers (qemu-aarch64, qemu-m68k): the names"));
}

fn second_name_taken(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x", "m68k"]);
    let folder = folder.to_str().expect("text");
    sandbox.add(&line("s390x", "qemu-s390x.registrar", "/opt/theirs", "P"));
    sandbox.succeeds(&["register", "s390x"]);
    let err = "registering qemu-s390x: the name qemu-s390x.registrar belongs to /opt/theirs; \
               to remove that: echo -1 > /proc/sys/fs/binfmt_misc/qemu-s390x.registrar";
    let out = sandbox.fails(&["register", "s390x", "--bindir", folder], err);
    let expected = "qemu-s390x  failed        the old entry stays; qemu-s390x.registrar belongs to /opt/theirs\n\
                    0 registered, 0 replaced, 0 unchanged, 1 failed\n";
    assert_eq!(out, expected);
}

fn unreadable_entry(sandbox: &Sandbox) {
    sandbox.add(crate::sandbox::PYTHON.1);
    sandbox.succeeds(&["register", "m68k"]);
    let unreadable = |name: &str, arguments: &[&str]| {
        let path = sandbox.folder().join(name);
        sandbox.run_injected("read:error=EIO", path.to_str(), arguments).0
    };
    for arguments in [&["register", "s390x"][..], &["status"], &["unregister", "s390x"]] {
        let ran = unreadable("python3.11", arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
    for (command, doing) in [("register", "registered"), ("unregister", "unregistered")] {
        let CommandResult { code, out, err } = unreadable("qemu-m68k", &[command, "m68k,s390x"]);
        assert_eq!((code, err.as_str()), (Some(1), "reading /proc/sys/fs/binfmt_misc/qemu-m68k: i/o error\n"));
        let mut lines = out.lines();
        assert_eq!(lines.next(), Some("qemu-m68k   failed        cannot read qemu-m68k: i/o error"));
        assert!(
            lines.next().is_some_and(
                |line| line.starts_with(&format!("qemu-s390x  {doing} ")) || line == format!("qemu-s390x  {doing}")
            ),
            "{out}"
        );
    }
    assert_eq!(sandbox.names(), ["python3.11", "qemu-m68k"]);
    // The second name, where the first is somebody else's.
    for name in ["qemu-sh4", "qemu-sh4.registrar"] {
        sandbox.add(&line("sh4", name, "/opt/theirs", ""));
    }
    let CommandResult { code, out, err } = unreadable("qemu-sh4.registrar", &["register", "sh4"]);
    assert_eq!((code, err.as_str()), (Some(1), "reading /proc/sys/fs/binfmt_misc/qemu-sh4.registrar: i/o error\n"));
    assert!(out.starts_with("qemu-sh4  failed        cannot read qemu-sh4.registrar: i/o error\n"), "{out}");
}

/// What may forbid it is said of several as of one.
fn unreadable_entries(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "m68k,s390x"]);
    let cause = "permission denied; SELinux or AppArmor may forbid it; in a container: --security-opt label=disable\n";
    let cases = [
        (&["m68k"][..], format!("reading /proc/sys/fs/binfmt_misc/qemu-m68k: {cause}")),
        (&["m68k", "s390x"], format!("registering 2 handlers (qemu-m68k, qemu-s390x): reading their entries: {cause}")),
    ];
    for (targets, err) in cases {
        let mut strace = Command::new("strace");
        strace.args(["--quiet=all", "-o", "/dev/null", "-einject=read:error=EACCES"]);
        for target in targets {
            strace.arg("-P").arg(sandbox.folder().join(format!("qemu-{target}")));
        }
        let ran = ran(strace.arg(sandbox.registrar()).args(scoped(&["register"])).args(targets));
        assert_eq!((ran.code, ran.err), (Some(1), err));
        let reported =
            ran.out.lines().filter(|line| line.contains("cannot read qemu-") && line.ends_with(": permission denied"));
        assert_eq!(reported.count(), targets.len(), "{}", ran.out);
    }
}

/// The folder is another user namespace's, whose root's id none in here has, and this root may mount none of its own.
fn root_of_a_namespace(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    fs::set_permissions(sandbox.scratch(), fs::Permissions::from_mode(0o755)).expect("open to all");
    let program = sandbox.scratch().join("registrar");
    fs::copy(sandbox.registrar(), &program).expect("copied");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=1", "--regid=1", "--clear-groups", "unshare", "--user", "--map-root-user", "--mount"]);
    command.args(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "sh", "-c"]);
    command.arg("readlink /proc/self/ns/user; $0 register m68k --scope userns; $0 unregister --scope userns");
    let CommandResult { out, err, .. } = ran(command.arg(&program));
    let (namespace, printed) = out.split_once('\n').expect("a namespace");
    let expected = format!(
        "writing /proc/sys/fs/binfmt_misc/register: permission denied; this is root of {namespace}, the folder is \
         another's: {}\n",
        way_out()
    );
    assert_eq!(err, expected);
    assert!(printed.contains(" failed ") && printed.ends_with("\nnothing was registered\n"), "{printed}");
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

/// As before Linux 6.7.
fn root_of_a_namespace_mounting(sandbox: &Sandbox) {
    let (ran, _) = sandbox.run_injected("mount:error=EPERM", None, &["register", "s390x"]);
    let namespace = fs::read_link("/proc/self/ns/user").expect("a namespace");
    let err = format!(
        "mounting binfmt_misc at /proc/sys/fs/binfmt_misc: not permitted; {} (this is root of {}), \
         or with -v /proc/sys/fs/binfmt_misc:/binfmt_misc\n",
        way_out(),
        namespace.display()
    );
    assert_eq!((ran.code, ran.err), (Some(1), err));
}

fn one_fails_the_others_are_tried(sandbox: &Sandbox) {
    let (ran, _) = sandbox.run_injected("write:error=ENOMEM:when=1", None, &["register", "m68k,s390x"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    sandbox.succeeds(&["register", "m68k,sh4"]);
    let path = "/proc/sys/fs/binfmt_misc/qemu-m68k";
    let (ran, _) = sandbox.run_injected("?open,openat:error=EACCES:when=1", Some(path), &["unregister"]);
    let expected = "qemu-m68k   failed        the old entry stays\nqemu-s390x  unregistered\n\
                    qemu-sh4    unregistered\n2 unregistered, 1 failed\n";
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), expected));
    assert_eq!(sandbox.names(), ["qemu-m68k"]);
}
