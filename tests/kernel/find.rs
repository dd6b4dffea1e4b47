//! Where `registrar` finds `binfmt_misc`, and where it mounts it.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::unistd::chroot;
use tests::{binfmt_misc, namespace};

use crate::sandbox::{Sandbox, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    Test { mounted: false, ..test("find/mounts_when_absent", mounts_when_absent) },
    Test { mounted: false, ..test("find/takes_its_mount_back", takes_its_mount_back) },
    Test { mounted: false, ..test("find/unregister_leaves_no_mount", unregister_leaves_no_mount) },
    Test { mounted: false, ..test("find/status_never_mounts", status_never_mounts) },
    Test { mounted: false, ..test("find/bind_mount_first", bind_mount_first) },
    Test { mounted: false, ..test("find/mount_option", mount_option) },
    Test { mounted: false, ..test("find/mount_option_without_folder", mount_option_without_folder) },
];

fn is_mounted(folder: &Path) -> bool {
    folder.join("status").exists()
}

fn mounts_when_absent(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

fn takes_its_mount_back(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&[]);
    sandbox.run(&["register", "s390x", "--bindir", folder.to_str().expect("text")]);
    assert!(!is_mounted(sandbox.folder()));
}

fn unregister_leaves_no_mount(sandbox: &Sandbox) {
    assert_eq!(sandbox.succeeds(&["unregister"]), "nothing was registered\n");
    assert!(!is_mounted(sandbox.folder()));
}

fn status_never_mounts(sandbox: &Sandbox) {
    sandbox.fails(
        &["status"],
        "binfmt_misc is not mounted at /proc/sys/fs/binfmt_misc; `registrar register` as root mounts it, \
         a container needs -v /proc/sys/fs/binfmt_misc:/binfmt_misc",
    );
    assert!(!is_mounted(sandbox.folder()));
}

/// In a root folder of its own, as in a container with `-v /proc/sys/fs/binfmt_misc:/binfmt_misc`.
fn bind_mount_first(sandbox: &Sandbox) {
    let root = sandbox.scratch();
    for folder in ["usr/bin", "binfmt_misc"] {
        fs::create_dir_all(root.join(folder)).expect(folder);
    }
    fs::copy("/usr/bin/qemu-s390x-static", root.join("usr/bin/qemu-s390x-static")).expect("copied");
    fs::copy(sandbox.registrar(), root.join("registrar")).expect("copied");
    namespace::mount_binfmt_misc(&root.join("binfmt_misc")).expect("mounted");
    chroot(root).expect("another root");
    std::env::set_current_dir("/").expect("inside");
    let ran = ran(Command::new("/registrar").args(["register", "s390x"]));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(Path::new("/binfmt_misc/qemu-s390x").exists());
}

fn mount_option(sandbox: &Sandbox) {
    let here = sandbox.scratch().join("here");
    fs::create_dir(&here).expect("created");
    let option = here.to_str().expect("text");
    for expected in ["registered", "unchanged"] {
        let out = sandbox.succeeds(&["--mount", option, "register", "s390x"]);
        assert!(out.contains(expected), "{out}");
        assert!(binfmt_misc::entries(&here).expect("read").contains_key("qemu-s390x"));
        assert!(!is_mounted(sandbox.folder()));
    }
    assert!(
        sandbox.succeeds(&["status", "s390x", "--mount", option]).starts_with(&format!("binfmt_misc at {option}\n"))
    );
}

fn mount_option_without_folder(sandbox: &Sandbox) {
    let cases = [
        ("/nonexistent", "mounting binfmt_misc at /nonexistent: no such directory; create it"),
        ("/etc/passwd", "mounting binfmt_misc at /etc/passwd: not a directory"),
    ];
    for (folder, err) in cases {
        assert_eq!(sandbox.fails(&["register", "--mount", folder], err), "");
    }
}
