//! What `cargo xtask image` writes, as engines read it: skopeo, podman and docker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::registrar;
use xtask::compile;
use xtask::host::Host;
use xtask::system;
use xtask::tables::target_dir;

use crate::docker::Docker;
use crate::fixture;
use crate::podman::Podman;

/// What the image is called.
const NAME: &str = "localhost/registrar:11.1.3-rc1-1";

/// A folder for one test, removed after it, with an image of small emulators and the real `registrar`.
struct Made(PathBuf);

impl Made {
    fn new(name: &str) -> Self {
        let folder = target_dir().join("containers").join(name);
        let _ = fs::remove_dir_all(&folder);
        let registrar = registrar::build().unwrap_or_else(|error| panic!("{error}"));
        let program = fs::read(registrar).expect("registrar");
        fixture::make(&folder, Host::named(None).expect("this machine").name, &program);
        Self(folder)
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
        assert!(said.contains("36 handlers of 35 targets"), "{options:?}: {said}");
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
fn docker_loads_and_runs_an_archive_for_it() {
    let made = Made::new("image-docker");
    let image = made.image(&["--format", "docker"]);
    let docker = Docker::new(&made.0.join("docker"));
    let said = docker.run(&["load", "--input", &image]);
    assert!(said.contains(NAME), "{said}");
    let options = ["--rm", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"];
    let said = docker.run(&[&["run"], &options[..], &[NAME, "--version"]].concat());
    assert!(said.contains("36 handlers of 35 targets"), "{said}");
}
