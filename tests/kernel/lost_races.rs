//! Entries of ours that become somebody else's after `registrar` has looked at them: they are left alone.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::sandbox::{CommandResult, Sandbox, line, scoped};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("lost_races/changed_before_it_is_opened", changed_before_it_is_opened),
    test("lost_races/changed_before_it_is_written", changed_before_it_is_written),
];

/// Somebody who asks for no lock replaces an entry of ours by his own, while `registrar`, which has seen ours, is held up
/// at a system call on it. Returns how it ended.
fn replaced_before(sandbox: &Sandbox, inject: &str, arguments: &[&str]) -> CommandResult {
    const NAME: &str = "qemu-s390x";
    let log = sandbox.scratch().join("held-up");
    let _ = fs::remove_file(&log);
    let path = sandbox.folder().join(NAME);
    let mut strace = Command::new("strace");
    strace.args(["--quiet=all", "-e", "trace=?open,openat,read,write", "-e", inject, "-P"]).arg(&path);
    strace.arg("-o").arg(&log).arg(sandbox.registrar()).args(scoped(arguments));
    let mut child = strace.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("strace starts");
    // What comes before the call that is held up: reading it once, and opening it to be read once more. strace does not
    // take its first opening, by the folder's descriptor, for one of this path.
    let calls = if inject.contains("read") { 2 } else { 1 };
    let begin = Instant::now();
    while fs::read_to_string(&log).unwrap_or_default().lines().count() < calls {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", fs::read_to_string(&log));
        sleep(Duration::from_millis(5));
    }
    sandbox.write(NAME, "-1");
    sandbox.add(&line("s390x", NAME, "/opt/theirs", "P"));
    assert!(child.try_wait().expect("a child").is_none(), "it was too fast");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    CommandResult { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn changed_before_it_is_opened(sandbox: &Sandbox) {
    let cause = "/proc/sys/fs/binfmt_misc/qemu-s390x: belongs to /opt/theirs since a moment ago, so that it is left \
                 alone; run this again\n";
    let hold_up = "inject=?open,openat:delay_enter=2s";
    sandbox.succeeds(&["register", "s390x"]);
    let ran = replaced_before(sandbox, hold_up, &["unregister", "s390x"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), cause));
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    assert!(sandbox.entries()["qemu-s390x"].contains("/opt/theirs"));

    // What was added serves, and the next run keeps it.
    sandbox.write("qemu-s390x", "-1");
    sandbox.succeeds(&["register", "s390x"]);
    let ran = replaced_before(sandbox, hold_up, &["register", "s390x", "--credentials"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), cause));
    assert!(ran.out.starts_with("qemu-s390x  failed        removed; left over: qemu-s390x.registrar\n"), "{}", ran.out);
    assert_eq!(sandbox.names(), ["qemu-s390x", "qemu-s390x.registrar"]);
    let out = sandbox.succeeds(&["register", "s390x", "--credentials"]);
    assert!(out.contains("1 replaced") || out.contains("1 refreshed"), "{out}");
    assert!(sandbox.entries()["qemu-s390x"].contains("/opt/theirs"));
    sandbox.succeeds(&["unregister"]);
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

/// What is written to the file of an entry that is gone does not reach the one that has its name.
fn changed_before_it_is_written(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let ran = replaced_before(sandbox, "inject=read:delay_exit=2s:when=2", &["unregister", "s390x"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    assert!(sandbox.entries()["qemu-s390x"].contains("/opt/theirs"));
}
