//! Handlers that would go with this process: refused, unless that is wanted. On Linux 6.7 or later, as all tests here.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tests::binfmt_misc;

use crate::sandbox::{SCOPE, Sandbox, line, ran, remark, way_out};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    Test { mounted: false, ..test("mount_lifetime/refused_where_nothing_keeps_the_mount", refused) },
    Test { mounted: false, ..test("mount_lifetime/kept_by_another_session", kept_by_another_session) },
    Test { mounted: false, ..test("mount_lifetime/not_kept_by_the_same_session", not_kept_by_the_same_session) },
    Test { mounted: false, ..test("mount_lifetime/not_kept_by_who_waits_for_it", not_kept_by_who_waits_for_it) },
    Test { mounted: false, ..test("mount_lifetime/held_by_another_mount", held_by_another_mount) },
    Test { mounted: false, ..test("mount_lifetime/temporary", temporary) },
    test("scope/must_be_named", scope_must_be_named),
    test("scope/is_told", scope_is_told),
];

fn mounts() -> Vec<String> {
    binfmt_misc::mounts().expect("mounts can be read")
}

fn refusal() -> String {
    let namespace = fs::read_link("/proc/self/ns/user").expect("a namespace");
    format!(
        "handlers would disappear with this process: nothing else keeps the binfmt_misc mount of {}; \
         see run, --stay and --temporary in registrar --help\n",
        namespace.display()
    )
}

fn refused(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let ran = sandbox.run(&["register", "s390x"]);
    assert_eq!((ran.code, ran.err, ran.out.as_str()), (Some(1), refusal(), ""));
    assert_eq!(mounts(), Vec::<String>::new());
}

fn kept_by_another_session(sandbox: &Sandbox) {
    let out = sandbox.succeeds(&["register", "s390x"]);
    assert!(out.ends_with("1 registered, 0 replaced, 0 unchanged; as long as this mount namespace\n"), "{out}");
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    // What is mounted already is not judged: who mounted it has been told.
    sandbox.lose_keeper();
    assert!(sandbox.succeeds(&["register", "m68k"]).ends_with("1 registered, 0 replaced, 0 unchanged\n"));
}

/// As in `sh -c 'sleep 1 & registrar register | cat'`.
fn not_kept_by_the_same_session(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let mut beside = Command::new("sleep").arg("60").spawn().expect("started");
    let ran = sandbox.run(&["register", "s390x"]);
    beside.kill().and_then(|()| beside.wait()).expect("ended");
    assert_eq!((ran.code, ran.err), (Some(1), refusal()));
}

/// As in `buildah unshare`: who waits is of another session, and ends too.
fn not_kept_by_who_waits_for_it(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let mut command = Command::new("setsid");
    let ran = ran(command.arg("--wait").arg(sandbox.registrar()).args(["register", SCOPE, "s390x"]));
    assert_eq!((ran.code, ran.err), (Some(1), refusal()));
}

/// A mount elsewhere, as the host's.
fn held_by_another_mount(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let held = sandbox.scratch().join("held");
    fs::create_dir(&held).expect("created");
    tests::namespace::mount_binfmt_misc(&held).expect("mounted");
    thread::sleep(Duration::from_millis(20));
    let is_over = AtomicBool::new(false);
    // Entries that come and go while it looks make the instance no newer.
    let ran = thread::scope(|scope| {
        let theirs = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                fs::write(held.join("register"), line("m68k", "theirs", "/bin/false", "")).expect("registered");
                fs::write(held.join("theirs"), "-1").expect("removed");
            }
        });
        let (ran, _) = sandbox.run_injected("mount:delay_exit=100000", None, &["register", "s390x"]);
        is_over.store(true, Ordering::Relaxed);
        theirs.join().expect("it went on");
        ran
    });
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.ends_with("1 registered, 0 replaced, 0 unchanged\n"), "{}", ran.out);
    assert!(binfmt_misc::entries(&held).expect("read").contains_key("qemu-s390x"));
}

fn temporary(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let out = sandbox.succeeds(&["register", "--temporary", "s390x"]);
    assert!(out.ends_with("1 registered, 0 replaced, 0 unchanged\n"), "{out}");
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

fn scope_must_be_named(sandbox: &Sandbox) {
    let namespace = fs::read_link("/proc/self/ns/user").expect("a namespace");
    let instead = match way_out() {
        "run as the host's root" => "or if that is wanted add --scope userns",
        _ => "or: podman unshare registrar register --scope userns",
    };
    let advice = format!("{}, {instead}", way_out());
    let err = format!("handlers would serve programs of {} only, not the host's: {advice}\n", namespace.display());
    for arguments in [&["register"][..], &["unregister"], &["register", "--dry-run"], &["register", "--stay"]] {
        let ran = ran(Command::new(sandbox.registrar()).args(arguments).stdin(Stdio::null()));
        assert_eq!((ran.code, ran.err.as_str(), ran.out.as_str()), (Some(1), err.as_str(), ""), "{arguments:?}");
    }
    assert!(sandbox.names().is_empty());
}

fn scope_is_told(sandbox: &Sandbox) {
    let output_of = |arguments: &[&str]| {
        let output = Command::new(sandbox.registrar()).args(arguments).output().expect("it ran");
        String::from_utf8(output.stdout).expect("text")
    };
    let expected = format!("1 registered, 0 replaced, 0 unchanged; {}\n", remark());
    assert!(output_of(&["register", SCOPE, "s390x"]).ends_with(&expected));
    assert!(output_of(&["status"]).starts_with(&format!("binfmt_misc at /proc/sys/fs/binfmt_misc, {}\n", remark())));
}
