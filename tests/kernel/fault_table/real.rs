//! Conditions that need no injection, as far as `faults` has not had them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::sandbox::Sandbox;

/// What is at the emulator's path, how it comes there, and what is told of it.
struct Case {
    what: &'static str,
    put: fn(&Path),
    cause: &'static str,
}

const CASES: &[Case] = &[
    Case {
        what: "a directory",
        put: |emulator| fs::create_dir(emulator).expect("created"),
        cause: "not executable, or on a file system mounted noexec",
    },
    Case {
        what: "below a file",
        put: |emulator| symlink("/etc/passwd/qemu", emulator).expect("a link"),
        cause: "part of the path is no directory; check --bindir",
    },
    Case {
        what: "a loop",
        put: |emulator| symlink(emulator, emulator).expect("a link"),
        cause: "symbolic links that lead nowhere; check --bindir",
    },
    Case {
        what: "on a file system mounted noexec",
        put: on_noexec,
        cause: "not executable, or on a file system mounted noexec",
    },
];

fn on_noexec(emulator: &Path) {
    let folder = emulator.parent().expect("a folder");
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::MS_NOEXEC, None::<&str>).expect("mounted");
    fs::copy("/usr/bin/qemu-s390x-static", emulator).expect("copied");
}

pub(super) fn conditions(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    for Case { what, put, cause } in CASES {
        let folder = sandbox.scratch().join(what.replace(' ', "-"));
        fs::create_dir(&folder).expect("created");
        let emulator = folder.join("qemu-s390x-static");
        put(&emulator);
        let err = format!("registering qemu-s390x: {}: {cause}", emulator.display());
        sandbox.fails(&["register", "s390x", "--bindir", folder.to_str().expect("text")], &err);
    }
}
