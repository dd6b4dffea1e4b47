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
use xtask::build::compile;
use xtask::system;
use xtask::system::host::Host;
use xtask::workspace::target_dir;

use crate::containerd::Containerd;
use crate::fixture;

/// For engines of any age.
const BOTH: &[&str] = &["--compression", "gzip:9,zstd:19"];

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
        self.image_in(&out, options);
        out.to_str().expect("a path that is text").into()
    }

    /// The same, in a file or folder.
    fn image_in(&self, out: &Path, options: &[&str]) {
        let mut command = compile::cargo();
        command.args(["xtask", "image", "--dist"]).arg(&self.0).arg("--out").arg(out).args(options);
        system::run(command.env_remove("SOURCE_DATE_EPOCH")).expect("an image");
    }

    /// Size of the program.
    fn registrar(&self) -> usize {
        let host = Host::named(None).expect("this machine").name;
        fs::read(self.0.join(host).join("rootfs/registrar")).expect("registrar").len()
    }

    /// Loads the image into an engine, as `settings` say which; gives what is said.
    fn load(&self, engine: &str, settings: &[(&str, &Path)]) -> String {
        let mut command = compile::cargo();
        command.args(["xtask", "image", "--load", engine, "--dist"]).arg(&self.0).env_remove("SOURCE_DATE_EPOCH");
        let printed = system::run(command.envs(settings.iter().copied())).expect("a loaded image");
        String::from_utf8_lossy(&printed.stdout).into_owned()
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
    for options in [&[][..], &["--release"], BOTH, &["--format", "docker"]] {
        let image = made.image(options);
        podman.run(&["load", "--input", &image]);
        let printed =
            podman.run(&["run", "--rm", "--network=none", "--cap-drop=ALL", "--read-only", NAME, "--version"]);
        assert!(printed.contains(&counted(&TARGETS)), "{options:?}: {printed}");
        // registrar by its other names is the same file, which no layer holds twice.
        for (entry, word) in [("/entrypoint.sh", "--version"), ("/usr/bin/binfmt", "-version")] {
            let entry = format!("--entrypoint={entry}");
            let printed = podman.run(&["run", "--rm", "--network=none", "--cap-drop=ALL", &entry, NAME, word]);
            assert!(printed.contains(&counted(&TARGETS)), "{options:?}: {printed}");
        }
        let size: usize = podman.run(&["image", "inspect", "--format={{.Size}}", NAME]).trim().parse().expect("a size");
        let once = emulator(&made.0).len() * fixture::TARGETS.len() + made.registrar() + 500_000;
        assert!(size < once, "{options:?}: {size} bytes instead of {once}");
        podman.run(&["rmi", NAME]);
    }
}

fn emulator(folder: &Path) -> Vec<u8> {
    let host = Host::named(None).expect("this machine").name;
    fs::read(folder.join(host).join("rootfs/usr/bin/qemu-aarch64-static")).expect("an emulator")
}

/// A wildcard copies a file once for each of its names.
#[test]
fn all_emulators_are_copied_out_once_each() {
    let made = Made::new("image-copied");
    let podman = Podman::new(&target_dir().join("containers"));
    podman.run(&["load", "--input", &made.image(&[])]);
    let context = made.0.join("context");
    fs::create_dir(&context).expect("a folder");
    let text = format!("FROM scratch\nCOPY --from={NAME} /usr/bin/qemu-* /usr/bin/\nCMD [\"/\"]\n");
    fs::write(context.join("Containerfile"), text).expect("a file");
    podman.run(&["build", "--layers=false", "--tag=localhost/copied", context.to_str().expect("text")]);
    let files = podman.files("localhost/copied");
    let copied: Vec<_> = files.iter().filter_map(|path| path.strip_prefix("usr/bin/qemu-")).collect();
    assert_eq!(copied, fixture::TARGETS.map(|target| format!("{target}-static")));
    let printed = podman.run(&["image", "inspect", "--format={{.Size}}", "localhost/copied"]);
    let size: usize = printed.trim().parse().expect("a size");
    assert!(size < emulator(&made.0).len() * fixture::TARGETS.len() + 100_000, "{size} bytes");
    podman.run(&["rmi", "localhost/copied", NAME]);
}

#[test]
fn skopeo_copies_all_of_an_image_as_it_is() {
    let made = Made::new("image-skopeo");
    let raw = |reference: &str| {
        system::run(Command::new("skopeo").args(["inspect", "--raw", reference])).expect("a manifest")
    };
    let mut image = String::new();
    for options in [BOTH, &["--compression", "gzip"], &[], &["--release"]] {
        image = format!("oci-archive:{}", made.image(options));
        let folder = made.0.join("copied");
        let _ = fs::remove_dir_all(&folder);
        let copy = format!("oci:{}:copy", folder.display());
        system::run(Command::new("skopeo").args(["copy", "--all", &image, &copy])).expect("a copy");
        assert_eq!(raw(&image).stdout, raw(&copy).stdout, "{options:?}: the index, and so all that it leads to");
    }
    // A folder has SBOMs beside the index, so the tag is needed.
    let layout = made.0.join("layout");
    made.image_in(&layout, &["--release"]);
    let (folder, copy) =
        (format!("oci:{}:11.1.3-rc1-1", layout.display()), format!("oci:{}-copied:copy", layout.display()));
    system::run(Command::new("skopeo").args(["copy", "--all", &folder, &copy])).expect("a copy");
    assert_eq!(raw(&folder).stdout, raw(&copy).stdout);
    assert_eq!(raw(&folder).stdout, raw(&image).stdout, "the same image in a folder and in an archive");
    let printed = system::run(Command::new("skopeo").args(["inspect", &image])).expect("an image of this machine");
    let printed = String::from_utf8_lossy(&printed.stdout);
    assert!(printed.contains("\"org.opencontainers.image.version\": \"11.1.3~rc1\""), "{printed}");
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
        let printed = system::run(registrar.arg("--version")).expect("registrar");
        let printed = String::from_utf8_lossy(&printed.stdout);
        assert!(printed.contains(&counted(expected)), "{host}: {printed}");
    }
}

#[test]
fn docker_loads_and_runs_an_archive_for_it_and_a_release() {
    let made = Made::new("image-docker");
    let docker = Docker::new(&made.0.join("docker"));
    let major: u32 = {
        let version = docker.run(&["version", "--format={{.Server.Version}}"]);
        version.split('.').next().and_then(|major| major.parse().ok()).expect(&version)
    };
    for options in [&["--format", "docker"][..], BOTH, &["--release"]] {
        let image = made.image(options);
        if options == ["--release"] && major < 23 {
            let refused = docker.command().args(["load", "--input", &image]).output().expect("running docker");
            let printed = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(
                !refused.status.success() && printed.contains("invalid tar header"),
                "docker {major} reads zstd? {printed}"
            );
            continue;
        }
        let printed = docker.run(&["load", "--input", &image]);
        assert!(printed.contains(NAME), "{options:?}: {printed}");
        let run =
            ["run", "--rm", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"];
        let printed = docker.run(&[&run[..], &[NAME, "--version"]].concat());
        assert!(printed.contains(&counted(&TARGETS)), "{options:?}: {printed}");
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
        (&["--release"], ZSTD),
        (BOTH, GZIP),
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
        let printed = containerd.run(&["run", "--rm", "--read-only", NAME, "registrar", "/registrar", "--version"]);
        assert!(printed.contains(&counted(&TARGETS)), "{options:?}: {printed}");
        containerd.run(&["image", "rm", "--sync", NAME]);
    }
}

/// And the line that it prints runs, here with another word than `register`: the emulators are none.
#[test]
fn an_image_is_loaded_into_each_engine() {
    let made = Made::new("image-loaded");
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    let before = names(&made.0);
    let runs = |printed: &str, settings: &[(&str, &Path)]| {
        let (first, line) = printed.split_once('\n').expect(printed);
        assert_eq!(first, format!("loaded {NAME}; next, to register:"));
        let line = line.replace(" register", " --version");
        let mut shell = Command::new("sh");
        let printed =
            system::run(shell.args(["-c", &line]).envs(settings.iter().copied())).expect("the line that was printed");
        assert!(String::from_utf8_lossy(&printed.stdout).contains("36 handlers of 35 targets"), "{line}");
    };
    let _host = tests::host::Host::mounted();
    {
        let docker = Docker::new(&target_dir().join("containers/image-loaded-docker"));
        let host = docker.host();
        let settings = [("DOCKER_HOST", Path::new(&host))];
        runs(&made.load("docker", &settings), &settings);
        docker.run(&["rmi", NAME]);
    }
    let podman = Podman::new(&target_dir().join("containers"));
    let settings = podman.settings();
    let settings = settings.each_ref().map(|(name, file)| (*name, file.as_path()));
    runs(&made.load("podman", &settings), &settings);
    podman.run(&["rmi", NAME]);
    assert_eq!(names(&made.0), before, "nothing is left behind");
}
