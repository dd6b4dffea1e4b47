//! The whole pipeline: from a repository to a root file system with a `registrar` that knows it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::command::{Ran, names};
use crate::fixture::{MIRROR, key, text};

/// Paths below a folder with modes, or where links lead.
fn tree(folder: &Path, prefix: &str) -> Vec<String> {
    let mut tree = Vec::new();
    for name in names(folder) {
        let (path, shown) = (folder.join(&name), format!("{prefix}{name}"));
        let metadata = path.symlink_metadata().expect("a file");
        if metadata.is_symlink() {
            tree.push(format!("{shown} -> {}", text(&fs::read_link(&path).expect("a link"))));
            continue;
        }
        tree.push(format!("{shown} {:o}", metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() {
            tree.extend(self::tree(&path, &format!("{shown}/")));
        }
    }
    tree
}

#[test]
fn a_root_file_system_with_what_was_wanted_and_nothing_else() {
    let repository = MIRROR.repo();
    let arguments = ["--source", text(&repository), "--key", key(), "--target", "arm", "386", "--offline"];
    let first = Ran::build(tempfile::tempdir().expect("a temporary folder"), &arguments);
    assert!(first.good, "{}", first.stderr);
    for line in
        ["qemu-arm-static ", "qemu-i386-static ", &MIRROR.key.fingerprint, "next, as root:", "3 rules: 1 packaged"]
    {
        assert!(first.stdout.contains(line), "no {line:?} in {}", first.stdout);
    }
    let host = first.out().join(MIRROR.host);
    let rootfs = host.join("rootfs");
    assert_eq!(
        tree(&rootfs, ""),
        [
            "registrar 755",
            "usr 755",
            "usr/bin 755",
            "usr/bin/binfmt -> /registrar",
            "usr/bin/qemu-arm -> qemu-arm-static",
            "usr/bin/qemu-arm-static 755",
            "usr/bin/qemu-i386 -> qemu-i386-static",
            "usr/bin/qemu-i386-static 755",
            "usr/share 755",
            "usr/share/doc 755",
            "usr/share/doc/registrar 755",
            "usr/share/doc/registrar/packages 644",
            "usr/share/licenses 755",
            "usr/share/licenses/qemu-user-static 755",
            "usr/share/licenses/qemu-user-static/COPYING 644",
            "usr/share/licenses/qemu-user-static/COPYING.LIB 644",
            "usr/share/licenses/qemu-user-static/LICENSE 644",
            "usr/share/licenses/registrar 755",
            "usr/share/licenses/registrar/LICENSE-APACHE 644",
            "usr/share/licenses/registrar/LICENSE-MIT 644",
        ]
    );
    let version = Command::new(rootfs.join("registrar")).arg("--version").output().expect("running registrar");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(
        version.contains(&format!("QEMU {}", MIRROR.version)) && version.contains("3 handlers of 2 targets"),
        "{version}"
    );

    let made = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).expect("a time");
    let before = made(&rootfs);
    let second = Ran::build(first.into_folder(), &arguments);
    assert!(second.good, "{}", second.stderr);
    assert_eq!(made(&rootfs), before, "nothing has changed, so nothing is made");

    fs::remove_file(rootfs.join("usr/bin/qemu-arm-static")).expect("removing an emulator");
    let third = Ran::build(second.into_folder(), &arguments);
    assert!(third.good, "{}", third.stderr);
    assert!(rootfs.join("usr/bin/qemu-arm-static").exists(), "what is missing is put back");
}
