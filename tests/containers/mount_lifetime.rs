//! A container on a host that has not mounted `binfmt_misc`: what it registers in a mount of its own goes with it, so
//! that it must not say that all is well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::host::{self, Host};
use tests::podman::Podman;
use tests::{emulators, registrar};
use xtask::workspace::target_dir;

use crate::hello;

/// What `--privileged` gives, as far as it matters here.
const PRIVILEGED: [&str; 3] = ["--cap-add=SYS_ADMIN", "--security-opt=systempaths=unconfined", "--network=none"];

#[test]
fn a_container_says_where_its_handlers_would_not_last() {
    let scratch = target_dir().join("containers");
    fs::create_dir_all(&scratch).expect("a folder for podman");
    let podman = Podman::new(&scratch);
    import(&podman);
    let folder = tempfile::tempdir().expect("a folder");
    let hello = hello(folder.path());
    let runs = || Command::new(&hello).output().is_ok_and(|output| output.stdout == b"aarch64\n");
    let run = |words: &[&str]| {
        let words: Vec<&str> = [&["run", "--rm"][..], &PRIVILEGED, &["localhost/small", "/registrar"], words].concat();
        let output = podman.command().args(&words).output().expect("running podman");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        println!("$ podman {}\n{}{}", words.join(" "), text(&output.stdout), text(&output.stderr));
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let register = &["register", "arm64"];
    let dry_run = |words: &[&str]| run(&[words, &["--dry-run"]].concat());

    let _host = Host::not_mounted();
    let foreseen = dry_run(register);
    let (code, out, printed) = run(register);
    assert_eq!(foreseen, (code, out, printed.clone()));
    let last = printed.lines().last().unwrap_or_default();
    assert_eq!(code, Some(1), "{printed}");
    for fix in [
        &format!("-v {DEFAULT_MOUNT_POINT}:/binfmt_misc"),
        "--stay",
        &format!("mount -t binfmt_misc binfmt_misc {DEFAULT_MOUNT_POINT}"),
    ] {
        assert!(last.contains(fix), "no {fix} in: {last}");
    }
    assert!(!runs() && !host::is_mounted());

    // Once the host holds the instance, a mount in the container is one more of the same.
    host::mount_it();
    let (code, out, printed) = dry_run(register);
    assert_eq!((code, printed.as_str(), out.contains("1 to register")), (Some(0), "", true), "{out}");
    assert!(!runs());
    let (code, _, printed) = run(register);
    assert_eq!((code, printed.as_str()), (Some(0), ""));
    assert!(runs(), "the container is gone, and with it its handler");
    // What is there shows, though this container has no mount of it.
    assert!(dry_run(register).1.contains("1 to refresh") && dry_run(&["unregister"]).1.contains("1 to remove"));
}

/// The image `localhost/small`.
pub(crate) fn import(podman: &Podman) {
    let folder = tempfile::tempdir().expect("a folder");
    podman.run(&["import", "--quiet", archive(folder.path()).to_str().expect("text"), "localhost/small"]);
}

/// An archive of `registrar` and one emulator, in a folder: an image takes less time of it than of the Containerfile.
pub(crate) fn archive(folder: &Path) -> PathBuf {
    let (root, archive) = (folder.join("root"), folder.join("image.tar"));
    fs::create_dir_all(root.join("usr/bin")).expect("folders");
    fs::copy(registrar::build().expect("registrar"), root.join("registrar")).expect("copying registrar");
    let emulator = "usr/bin/qemu-aarch64-static";
    fs::copy(emulators::path("aarch64"), root.join(emulator)).expect("copying an emulator");
    let packed = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".").status();
    assert!(packed.expect("running tar").success());
    archive
}
