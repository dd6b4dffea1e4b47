//! The image as a user builds and runs it: `podman build` from the Containerfile, `podman run … register`, a foreign
//! program on the host, `unregister`; what `cargo xtask image` writes, as engines load it; what is said where handlers
//! would not last; and handlers of ordinary users.
//!
//! Needs root, podman and the package registries; changes the host's `binfmt_misc` and puts it back. Not part of
//! `cargo test --workspace`: `cargo xtask test --containers` runs it.

mod action;
mod base;
mod build;
mod capabilities;
mod containerd;
mod deploy;
mod docker_in_docker;
mod documents;
#[path = "../image/fixture.rs"]
mod fixture;
mod hosts;
mod image;
mod mount_lifetime;
mod privilege;
mod publish;
mod readme;
mod rootless;
mod systemd;
mod trace;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use codegen::probe;
use codegen::targets::{EXIT_STATUS, Target};
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::emulators::{TARGETS, counted};
use tests::host::{self, Host};
use tests::podman::Podman;
use xtask::build::rootfs::ALIAS_HARDLINKS;
use xtask::workspace::target_dir;

/// A static arm64 program that says what it runs on.
fn hello(folder: &Path) -> std::path::PathBuf {
    let source = folder.join("hello.c");
    let program = folder.join("hello");
    let text = "#include <stdio.h>\n#include <sys/utsname.h>\n\
                int main(void) { struct utsname u; uname(&u); return puts(u.machine) < 0; }\n";
    fs::write(&source, text).expect("writing a program");
    let compiled = Command::new("aarch64-linux-gnu-gcc").arg("-static").arg("-o").arg(&program).arg(&source).status();
    assert!(compiled.expect("running aarch64-linux-gnu-gcc").success());
    program
}

/// Whether this machine runs a target's programs while nothing is registered.
fn runs_itself(folder: &Path, target: &Target) -> bool {
    let program = folder.join("probe");
    fs::write(&program, probe::executable(target, target.machines[0]).expect("a test program")).expect("written");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("executable");
    Command::new(&program).status().is_ok_and(|status| status.code() == Some(EXIT_STATUS.into()))
}

#[test]
fn the_image_is_built_registers_and_unregisters() {
    let scratch = target_dir().join("containers");
    fs::create_dir_all(&scratch).expect("a folder for podman");
    let podman = Podman::new(&scratch);
    base::import(&podman, &scratch);
    // Steps that an earlier run has left would say nothing.
    podman.run(&["image", "prune", "--force"]);
    let folder = tempfile::tempdir_in(&scratch).expect("a folder");
    let context = build::source(folder.path());
    let options = ["--isolation=oci", "--network=host", "--layers"];
    let engine = build::Engine { command: &|| podman.command(), options: &options };
    let printed = engine.image(&context);
    // A line of its own: the text of the step has these words too.
    assert!(printed.lines().any(|line| line == "built without a network"), "{printed}");
    build::check_cache(&engine, &context);
    podman.run(&["rmi", "localhost/fetched"]);
    podman.run(&["image", "prune", "--force"]);
    let labels = podman.run(&["image", "inspect", "--format={{json .Labels}}", "localhost/registrar"]);
    assert!(labels.contains("\"registrar.qemu.origin\":\"apt\""), "{labels}");

    let host = Host::mounted();
    let hello = hello(&scratch);
    let runs = || Command::new(&hello).output().is_ok_and(|output| output.stdout == b"aarch64\n");
    assert!(!runs(), "arm64 programs run before anything is registered");

    let volume = format!("--volume={DEFAULT_MOUNT_POINT}:/binfmt_misc");
    let image = |arguments: &[&str]| {
        let options =
            ["run", "--rm", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none", "--read-only"];
        podman.run(&[&options[..], &[&volume, "localhost/registrar"], arguments].concat())
    };
    let version = image(&["--version"]);
    // The base image is of this machine's release.
    assert!(version.contains("QEMU ") && version.contains(&counted(&TARGETS)), "{version}");
    let foreign = TARGETS.iter().filter(|target| !runs_itself(&scratch, target));
    let count: usize = foreign.map(|target| target.machines.len()).sum();

    let printed = image(&["register"]);
    assert!(printed.contains(&format!("{count} registered")), "{printed}");
    assert!(runs(), "arm64 programs do not run although the container is gone and said: {printed}");
    let printed = image(&["register"]);
    assert!(printed.contains(&format!("{count} refreshed")), "{printed}");
    let printed = image(&["unregister"]);
    assert!(printed.contains(&format!("{count} unregistered")), "{printed}");
    assert!(!runs());

    // By the names that other images' manifests call, with their words.
    let entry = |words: &[&str]| {
        let entry = format!("--entrypoint={}", words[0]);
        let run = ["run", "--rm", "--cap-drop=ALL", "--network=none", "--read-only", &volume, &entry];
        podman.run(&[&run[..], &["localhost/registrar"], &words[1..]].concat())
    };
    for words in [
        &["/entrypoint.sh", "register"][..],
        &["/register", "-p", "yes"],
        &["/register", "--reset", "-p", "yes"],
        &["/qus/register", "-s", "--", "-p"],
        &["/usr/bin/binfmt", "--install", "arm64"],
    ] {
        let printed = entry(words);
        assert!(runs(), "{words:?}: {printed}");
        let printed = entry(&["/entrypoint.sh", "unregister"]);
        assert!(!runs(), "{words:?}: {printed}");
    }
    assert!(entry(&["/entrypoint.sh"]).contains("Usage: registrar"));
    assert_eq!(host::entries(), host.before);

    let files = podman.files("localhost/registrar");
    let unexpected: Vec<_> = files.iter().filter(|path| !is_expected(path)).collect();
    assert!(files.iter().any(|path| path == "usr/bin/qemu-aarch64-static"), "{files:?}");
    assert_eq!(unexpected, Vec::<&String>::new(), "files in the image that nobody asked for");
}

/// Emulators, registrar, license files, the list of packages, and the folders that hold them.
fn is_expected(path: &str) -> bool {
    let folder = path.trim_end_matches('/');
    ["registrar", "qus", "usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/licenses"].contains(&folder)
        || ALIAS_HARDLINKS.contains(&folder)
        || (path.starts_with("usr/bin/qemu-") && path.ends_with("-static"))
        || path.starts_with("usr/share/doc/registrar")
        || path.starts_with("usr/share/licenses/registrar")
        || path.starts_with("usr/share/licenses/qemu-user")
}
