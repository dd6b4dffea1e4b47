//! What `cargo xtask image` writes, as engines read it: skopeo, podman, docker and containerd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use codegen::targets;
use serde_json::Value;
use tests::docker::Docker;
use tests::emulators::{self, TARGETS, counted};
use tests::podman::Podman;
use tests::registrar;
use xtask::compile;
use xtask::host::Host;
use xtask::system;
use xtask::tables::target_dir;

use crate::containerd::Containerd;
use crate::fixture;

/// What the image is called.
const NAME: &str = "localhost/registrar:11.1.3-rc1-1";

/// A folder for one test, removed after it, with an image of small emulators and the real `registrar`.
struct Made(PathBuf);

impl Made {
    fn new(name: &str) -> Self {
        let folder = target_dir().join("containers").join(name);
        let _ = fs::remove_dir_all(&folder);
        let registrar = registrar::build().unwrap_or_else(|error| panic!("{error}"));
        let made = Self(folder);
        made.add(Host::named(None).expect("this machine"), &registrar);
        made
    }

    /// Adds what goes into a host's image.
    fn add(&self, host: Host, registrar: &Path) {
        fixture::make(&self.0, host.name, &fs::read(registrar).expect("registrar"));
    }

    /// Writes the image with these options; gives where it is.
    fn image(&self, options: &[&str]) -> String {
        let out = self.0.join("image.tar");
        let mut command = compile::cargo();
        command.args(["xtask", "image", "--dist"]).arg(&self.0).arg("--out").arg(&out).args(options);
        system::run(command.env_remove("SOURCE_DATE_EPOCH")).expect("an image");
        out.to_str().expect("a path that is text").into()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The next run tries again, and says what stands in the way.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn podman_loads_and_runs_every_kind_of_image() {
    let made = Made::new("image-podman");
    let podman = Podman::new(&target_dir().join("containers"));
    for options in [&[][..], &["--release"], &["--format", "docker"]] {
        let image = made.image(options);
        podman.run(&["load", "--input", &image]);
        let said = podman.run(&["run", "--rm", "--network=none", "--cap-drop=ALL", "--read-only", NAME, "--version"]);
        assert!(said.contains(&counted(&TARGETS)), "{options:?}: {said}");
        // A file by its second name is the file, and no layer holds it twice.
        let container = podman.run(&["create", NAME]);
        let copy = made.0.join("copy");
        podman.run(&["cp", &format!("{}:/usr/bin/qemu-aarch64", container.trim()), copy.to_str().expect("text")]);
        assert_eq!(fs::read(&copy).expect("a copy").len(), emulator(&made.0).len(), "{options:?}");
        podman.run(&["rm", container.trim()]);
        let size: usize = podman.run(&["image", "inspect", "--format={{.Size}}", NAME]).trim().parse().expect("a size");
        let once = emulator(&made.0).len() * fixture::TARGETS.len() + 1_000_000;
        assert!(size < once, "{options:?}: {size} bytes");
        podman.run(&["rmi", NAME]);
    }
}

fn emulator(folder: &Path) -> Vec<u8> {
    let host = Host::named(None).expect("this machine").name;
    fs::read(folder.join(host).join("rootfs/usr/bin/qemu-aarch64-static")).expect("an emulator")
}

#[test]
fn skopeo_copies_all_of_an_image_as_it_is() {
    let made = Made::new("image-skopeo");
    let image = format!("oci-archive:{}", made.image(&["--release"]));
    let copy = format!("oci:{}:copy", made.0.join("copied").display());
    system::run(Command::new("skopeo").args(["copy", "--all", "--preserve-digests", &image, &copy])).expect("a copy");
    let raw = |place: &str| system::run(Command::new("skopeo").args(["inspect", "--raw", place])).expect("a manifest");
    assert_eq!(raw(&image).stdout, raw(&copy).stdout, "the index, and so all that it leads to");
    let said = system::run(Command::new("skopeo").args(["inspect", &image])).expect("an image of this machine");
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("\"org.opencontainers.image.version\": \"11.1.3~rc1\""), "{said}");
}

#[test]
fn one_index_holds_an_image_for_each_host_that_its_machines_run() {
    let made = Made::new("image-hosts");
    let this = Host::named(None).expect("this machine").name;
    let hosts = [("aarch64", "arm64"), ("ppc64le", "ppc64le"), ("s390x", "s390x"), ("x86_64", "amd64")];
    for host in hosts.iter().map(|(host, _)| *host).filter(|host| *host != this) {
        let host = Host::named(Some(host)).expect("a host");
        let registrar = compile::registrar(host, None, false).unwrap_or_else(|error| panic!("{error:#}"));
        made.add(host, &registrar);
    }
    let names = hosts.map(|(host, _)| host).join(",");
    let image = format!("oci-archive:{}", made.image(&["--host", &names, "--compression", "gzip"]));
    for (host, architecture) in hosts {
        let copied = made.0.join(format!("copied-{host}"));
        let mut copy = Command::new("skopeo");
        copy.args(["copy", &format!("--override-arch={architecture}"), &image, &format!("dir:{}", copied.display())]);
        system::run(&mut copy).expect("a copy");
        let manifest = fs::read(copied.join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        let layer = manifest["layers"][1]["digest"].as_str().expect("a layer").replace("sha256:", "");
        system::run(Command::new("tar").arg("-C").arg(&copied).arg("-xzf").arg(copied.join(layer))).expect("unpacked");
        let program = copied.join("usr/bin/binfmt");
        let mut registrar = if host == this {
            Command::new(program)
        } else {
            // So that the kernel need not be told.
            let mut emulator = Command::new(emulators::path(host));
            emulator.arg(program);
            emulator
        };
        // Those of other machines have the committed table.
        let expected = if host == this { TARGETS.as_slice() } else { targets::TARGETS };
        let said = system::run(registrar.arg("--version")).expect("registrar");
        let said = String::from_utf8_lossy(&said.stdout);
        assert!(said.contains(&counted(expected)), "{host}: {said}");
    }
}

#[test]
fn docker_loads_and_runs_an_archive_for_it_and_a_release() {
    let made = Made::new("image-docker");
    let docker = Docker::new(&made.0.join("docker"));
    for options in [&["--format", "docker"][..], &["--release"]] {
        let said = docker.run(&["load", "--input", &made.image(options)]);
        assert!(said.contains(NAME), "{options:?}: {said}");
        let run =
            ["run", "--rm", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"];
        let said = docker.run(&[&run[..], &[NAME, "--version"]].concat());
        assert!(said.contains(&counted(&TARGETS)), "{options:?}: {said}");
        docker.run(&["rmi", NAME]);
    }
}

/// It reads both compressions of an archive of OCI's layout, and chooses by the machine alone: the first.
#[test]
fn containerd_imports_and_runs_every_kind_of_image() {
    let made = Made::new("image-containerd");
    let containerd = Containerd::new(&made.0.join("containerd"));
    const GZIP: &[u8] = b"\x1f\x8b";
    const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
    let cases = [
        (&[][..], ZSTD),
        (&["--release"], GZIP),
        (&["--compression", "gzip:1"], GZIP),
        (&["--format", "docker"], GZIP),
    ];
    for (options, magic) in cases {
        containerd.run(&["image", "import", &made.image(options)]);
        let layers = containerd.unpacked();
        assert_eq!(layers.len(), 2, "{options:?}: {layers:?}");
        for layer in layers {
            assert!(fs::read(&layer).expect("a layer").starts_with(magic), "{options:?}: {}", layer.display());
        }
        let said = containerd.run(&["run", "--rm", "--read-only", NAME, "registrar", "/registrar", "--version"]);
        assert!(said.contains(&counted(&TARGETS)), "{options:?}: {said}");
        containerd.run(&["image", "rm", "--sync", NAME]);
    }
}
