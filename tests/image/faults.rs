//! What is wrong, and the one line that says so: nothing is written then, and what was there is as it was.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{PROGRAM, fixture, image};

/// All below a folder, with contents.
pub(crate) fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.push((path.display().to_string(), vec![]));
            found.extend(tree(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

#[test]
fn each_fault_is_one_line_and_leaves_nothing() {
    type Prepare = fn(&Path);
    let nothing: Prepare = |_| {};
    let faults: &[(&str, Prepare, &[&str])] = &[
        (
            "nothing is built for s390x in DIR; run `cargo xtask fetch-and-build --host s390x --out DIR`",
            nothing,
            &["--host", "s390x"],
        ),
        (
            "what is built for x86_64 has the emulators aarch64, aarch64_be, x86_64; run `cargo xtask fetch-and-build --host \
             x86_64 --target common --out DIR`",
            nothing,
            &["--target", "common"],
        ),
        ("images are made for hosts aarch64, ppc64le, s390x, x86_64, not for riscv64", nothing, &["--host", "riscv64"]),
        ("--compression: name zstd and gzip once each", nothing, &["--compression", "zstd:1,zstd:19"]),
        ("--load takes one host's image; name one --host", nothing, &["--load", "podman", "--host", "arm64"]),
        (
            "docker load takes one host's image; name one --host, or leave out --format docker",
            nothing,
            &["--format", "docker", "--host", "arm64"],
        ),
        (
            "DIR/out: docker load takes an archive; name a file *.tar",
            nothing,
            &["--format", "docker", "--out", "DIR/out"],
        ),
        (
            "DIR/thesis.tar is there, and no image of this command's; name another file",
            |dist| fs::write(dist.join("thesis.tar"), "mine").expect("a file"),
            &["--out", "DIR/thesis.tar"],
        ),
        (
            "DIR/out is neither empty nor what this command has made; name another folder",
            |dist| {
                fs::create_dir(dist.join("out")).expect("a folder");
                fs::write(dist.join("out/index.json"), "{\"schemaVersion\":2}").expect("a file");
            },
            &["--out", "DIR/out"],
        ),
        (
            "DIR/folder.tar is there, and no image of this command's; name another file",
            |dist| fs::create_dir(dist.join("folder.tar")).expect("a folder"),
            &["--out", "DIR/folder.tar"],
        ),
        ("making /proc/self/image.partial: ", nothing, &["--out", "/proc/self/image"]),
        (
            "DIR/x86_64/rootfs/usr/bin/qemu-x86_64-static is not as recorded beside it; run `cargo xtask fetch-and-build` again",
            |dist| {
                let emulator = dist.join("x86_64/rootfs/usr/bin/qemu-x86_64-static");
                let half = fs::metadata(&emulator).expect("an emulator").len() / 2;
                fs::remove_file(&emulator).expect("removed");
                fs::write(&emulator, vec![0; usize::try_from(half).expect("a size")]).expect("another file");
            },
            &[],
        ),
        (
            "DIR/x86_64/rootfs/registrar is not as recorded beside it; run `cargo xtask fetch-and-build` again",
            |dist| fs::write(dist.join("x86_64/rootfs/registrar"), "1234").expect("another file"),
            &[],
        ),
        (
            "reading DIR/x86_64/rootfs/registrar: No such file",
            |dist| fs::remove_file(dist.join("x86_64/rootfs/registrar")).expect("removed"),
            &[],
        ),
        (
            "reading DIR/x86_64/sbom.spdx.json: damaged; run `cargo xtask fetch-and-build --host x86_64 --out DIR`: ",
            |dist| fs::write(dist.join("x86_64/sbom.spdx.json"), "{}").expect("another file"),
            &[],
        ),
    ];
    for (expected, prepare, arguments) in faults {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dist = folder.path();
        fixture::make(dist, "x86_64", PROGRAM);
        prepare(dist);
        let before = tree(dist);
        let with_dist = |text: &str| text.replace("DIR", dist.to_str().expect("text"));
        let arguments: Vec<_> = arguments.iter().map(|argument| with_dist(argument)).collect();
        let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        arguments.extend(
            ["--host", "x86_64"].iter().filter(|_| *expected != faults[0].0 && !expected.starts_with("images")),
        );
        let printed = image(dist, &arguments);
        let stderr = String::from_utf8_lossy(&printed.stderr).into_owned();
        let error = stderr.lines().last().unwrap_or_default();
        assert!(
            !printed.status.success() && error.starts_with(&format!("error: {}", with_dist(expected))),
            "{expected}: {stderr}"
        );
        assert_eq!(stderr.lines().filter(|line| line.starts_with("error")).count(), 1, "{stderr}");
        let changed: Vec<_> =
            tree(dist).into_iter().filter(|file| !before.contains(file)).map(|(path, _)| path).collect();
        assert!(changed.is_empty() && tree(dist).len() == before.len(), "{expected}: {changed:?}");
    }
}

#[test]
fn on_a_full_disk_the_old_image_stays() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = folder.path().join("small");
    fs::create_dir(&small).expect("a folder");
    fixture::make(folder.path(), "x86_64", PROGRAM);
    // Room for an image in gzip, but not for a second one beside it.
    let script = "mount -t tmpfs -o size=3m tmpfs \"$1\" && out=\"$1/image.tar\" && shift &&
        \"$@\" --out \"$out\" --compression gzip && sha256sum \"$out\" && head -c 1M /dev/zero >\"$(dirname \"$out\")/rest\" &&
        ! \"$@\" --out \"$out\" --compression gzip:9 && sha256sum \"$out\" && ls \"$(dirname \"$out\")\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(&small);
    command.arg(env!("CARGO_BIN_EXE_tested-xtask")).args(["image", "--host", "x86_64", "--dist"]).arg(folder.path());
    let printed = command.output().expect("running unshare");
    let (stdout, stderr) = (String::from_utf8_lossy(&printed.stdout), String::from_utf8_lossy(&printed.stderr));
    assert!(printed.status.success(), "{stdout}{stderr}");
    assert!(stderr.trim_end().ends_with("No space left on device (os error 28)"), "{stderr}");
    let sums: Vec<_> = stdout.lines().filter(|line| line.ends_with("/image.tar") && line.len() > 64).collect();
    let sums: Vec<_> = sums.into_iter().filter(|line| !line.starts_with("made ")).collect();
    assert!(sums.len() == 2 && sums[0] == sums[1], "{stdout}");
    assert!(stdout.ends_with("image.tar\nrest\n"), "nothing half-written: {stdout}");
}
