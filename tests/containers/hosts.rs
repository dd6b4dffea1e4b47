//! Images for other hosts than this one, the whole way: Debian's packages for each host, made into a mirror as Fedora's
//! are; a build from it; one index; and what is in there, held against the host and run by its emulator.
//!
//! Each runs in a user namespace with a `binfmt_misc` of its own: the host's shows what it has and is not touched.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use codegen::elf;
use codegen::targets::{self, Target};
use fedora_mirror::Options;
use serde_json::Value;
use tests::binfmt_misc::{self, DEFAULT_MOUNT_POINT};
use tests::debian::{self, KEYS};
use tests::emulators;
use xtask::build::compile;
use xtask::source;
use xtask::system;
use xtask::system::host::Host;
use xtask::workspace::target_dir;

use crate::base;

/// A host, and its name in images.
const HOSTS: [(&str, &str); 4] =
    [("aarch64", "arm64"), ("ppc64le", "ppc64le"), ("s390x", "s390x"), ("x86_64", "amd64")];

/// Of each host's family all, and some that are nobody's.
const TARGETS: [&str; 8] = ["aarch64", "arm", "i386", "ppc64le", "riscv64", "s390x", "sparc64", "x86_64"];

/// `i386` has two entries.
const HANDLERS: usize = TARGETS.len() + 1;

/// What every run that changes something must be told in a user namespace.
const SCOPE: &str = "--scope=userns";

#[test]
fn each_hosts_image_is_for_that_host_and_its_registrar_runs_there() {
    let folder = Folder::new();
    let images = folder.images();
    let roots = HOSTS.map(|(host, architecture)| (host, folder.unpacked(&images, architecture)));
    let (_, own) = roots.iter().find(|(host, _)| *host == this()).expect("this machine's image");
    for (host, root) in &roots {
        check_files(root, targets::by_qemu_name(host).expect("a host"));
        let hosted = Hosted { host, registrar: &root.join("registrar"), namespace: Namespace::new() };
        hosted.check(&own.join("registrar"));
    }
}

/// A folder for the test, removed after it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = target_dir().join("containers/hosts");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// Makes the index of all hosts; gives it by the name that skopeo has for it.
    fn images(&self) -> String {
        let targets = TARGETS.join(",");
        let hosts = HOSTS.map(|(host, _)| host);
        let mut options = Options::quick(self.0.join("mirror"), &TARGETS);
        options.emulators.clear();
        options.emulators.extend(hosts.map(|host| self.emulators(host, &targets)));
        let mirror = fedora_mirror::make(&options).expect("a mirror");
        let server = fedora_mirror::serve(&mirror.root).expect("a server");
        let (servers, hosts) = (server.url(""), hosts.join(","));
        let source = ["--source", "fedora", "--servers", &servers, "--fingerprint", &mirror.key.fingerprint];
        let dist = self.0.join("dist");
        let of_all = ["--host", &hosts];
        xtask(&[&["fetch-and-build", "--target", &targets], &source[..], &of_all].concat(), &dist);
        let image = self.0.join("image.tar");
        let from = ["image", "--dist", dist.to_str().expect("text"), "--compression", "gzip:1"];
        xtask(&[&from[..], &of_all].concat(), &image);
        format!("oci-archive:{}", image.display())
    }

    /// The emulators that Debian has for a host. Its main archive has every host's, its others need not.
    fn emulators(&self, host: &str, targets: &str) -> PathBuf {
        let sources = format!("deb [signed-by={KEYS}] {} {} main\n", debian::mirror(), base::release());
        let (list, configuration) = (self.0.join("sources.list"), self.0.join("apt.conf"));
        fs::write(&list, sources).expect("apt's sources");
        let words = format!("Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"none\";\n", list.display());
        fs::write(&configuration, words).expect("apt's configuration");
        let out = self.0.join(host);
        let mut command = compile::cargo();
        command.args(["run", "--quiet", "--package", "xtask", "--target-dir"]).arg(target_dir()).arg("--");
        command.args(["extract", "--source", "apt", "--host", host, "--target", targets, "--out"]).arg(&out);
        // What a user's builds know of this machine's archives stays as it is.
        command.env("CARGO_TARGET_DIR", target_dir().join("containers/apt")).env("APT_CONFIG", &configuration);
        system::run(&mut command).unwrap_or_else(|error| panic!("{host}: {error:#}"));
        out.join("emulators")
    }

    /// The root file system of an architecture's image, as skopeo takes it out of the index.
    fn unpacked(&self, images: &str, architecture: &str) -> PathBuf {
        let (image, root) = (self.0.join(format!("{architecture}.image")), self.0.join(format!("{architecture}.root")));
        let mut copy = Command::new("skopeo");
        copy.args(["copy", &format!("--override-arch={architecture}"), images, &format!("dir:{}", image.display())]);
        system::run(&mut copy).expect("a copy of the image");
        let json = |file: &str| -> Value {
            serde_json::from_slice(&fs::read(image.join(file)).expect("a document")).expect("JSON")
        };
        let manifest = json("manifest.json");
        let blob = |descriptor: &Value| descriptor["digest"].as_str().expect("a digest").replace("sha256:", "");
        assert_eq!(json(&blob(&manifest["config"]))["architecture"], architecture);
        fs::create_dir(&root).expect("a folder");
        for layer in manifest["layers"].as_array().expect("layers") {
            let mut unpack = Command::new("tar");
            unpack.arg("-C").arg(&root).arg("-xzf").arg(image.join(blob(layer)));
            system::run(&mut unpack).expect("a layer");
        }
        root
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next run tries again, and says what stands in the way.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs `cargo xtask` as a user does.
fn xtask(arguments: &[&str], out: &Path) {
    let mut command = compile::cargo();
    command.arg("xtask").args(arguments).arg("--out").arg(out);
    system::run(command.env_remove("SOURCE_DATE_EPOCH")).unwrap_or_else(|error| panic!("{arguments:?}: {error:#}"));
}

/// That the emulators of all targets are there, and every program is a static one of the host.
fn check_files(root: &Path, host: &Target) {
    let programs = fs::read_dir(root.join("usr/bin")).expect("a folder").map(|file| file.expect("a file").path());
    let mut emulators = 0;
    for program in programs.chain([root.join("registrar")]) {
        let facts = elf::facts(&*fs::read(&program).expect("a program"));
        let facts = facts.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        facts.check_emulator(host).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        emulators += usize::from(program.to_string_lossy().ends_with("-static"));
    }
    assert_eq!(emulators, TARGETS.len(), "{}", host.qemu);
}

/// A host's registrar, run here in a user namespace.
struct Hosted<'a> {
    host: &'static str,
    registrar: &'a Path,
    namespace: Namespace,
}

impl Hosted<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        // So that the kernel need not be told.
        let emulator = (self.host != this()).then(|| emulators::path(self.host));
        self.namespace.command().args(emulator).arg(self.registrar).args(arguments).output().expect("nsenter starts")
    }

    /// Runs what must succeed without a word on standard error.
    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let [out, err] = [&output.stdout, &output.stderr].map(|printed| String::from_utf8_lossy(printed).into_owned());
        assert!(output.status.success() && err.is_empty(), "{} {arguments:?}: {out}{err}", self.host);
        out
    }

    /// What each command says where nothing is registered, where all is, and what it leaves.
    fn check(&self, own: &Path) {
        let host = self.host;
        let printed = self.succeeds(&["--version"]);
        let handlers = format!("{HANDLERS} handlers of {} targets", TARGETS.len());
        assert!(
            printed.contains(&format!("(Fedora {}", source::NEWEST_KNOWN)) && printed.contains(&handlers),
            "{host}: {printed}"
        );

        let states = self.states();
        assert_eq!(states[this()], "native", "{host}: {states:?}");
        let foreign: Vec<_> = TARGETS.into_iter().filter(|target| is_foreign(target)).collect();
        assert!(foreign.iter().all(|target| states[*target] == "absent"), "{host}: {states:?}");

        // Its own emulators: a program for another machine cannot be what the kernel starts on its host.
        let emulators = self.registrar.with_file_name("usr/bin");
        let bindir = emulators.to_str().expect("text");
        let foreseen = self.run(&["register", "--dry-run", "--temporary", SCOPE, "--bindir", bindir]);
        let printed = String::from_utf8_lossy(&foreseen.stdout).into_owned();
        let to_register: Vec<_> = printed.lines().filter(|line| line.contains("  to register  ")).collect();
        let is_meant = |target: &&str| to_register.iter().any(|line| line.starts_with(&format!("qemu-{target} ")));
        let expected: Vec<_> = foreign.iter().copied().filter(|target| *target != host).collect();
        assert!(expected.iter().all(is_meant) && to_register.len() == expected.len(), "{host}: {printed}");
        assert!(self.namespace.names().is_empty(), "{host}: what is registered after a dry run");

        if host == this() {
            self.succeeds(&["register", SCOPE]);
        } else {
            let refused = self.run(&["register", SCOPE]);
            let printed = String::from_utf8_lossy(&refused.stderr);
            assert_eq!((foreseen.status, &foreseen.stderr), (refused.status, &refused.stderr), "{host}");
            assert!(!refused.status.success() && printed.starts_with("this image is for"), "{host}: {printed}");
            assert!(self.namespace.names().is_empty(), "{host}: what is registered by who refused");
            // Of the machine's own image.
            system::run(self.namespace.command().arg(own).args(["register", SCOPE])).expect("registering");
        }
        let states = self.states();
        assert!(foreign.iter().all(|target| states[*target] == "registered"), "{host}: {states:?}");
        assert_eq!(self.namespace.names().len(), foreign.len());
        self.succeeds(&["unregister", SCOPE]);
        assert!(self.namespace.names().is_empty(), "{host}: what is left");
    }

    /// The state of each target, as `status` tells it.
    fn states(&self) -> BTreeMap<String, String> {
        let printed: Value = serde_json::from_str(&self.succeeds(&["status", "--json"])).expect("JSON");
        assert!(self.succeeds(&["status"]).starts_with("binfmt_misc at "));
        let text = |handler: &Value, key: &str| handler[key].as_str().expect("text").to_owned();
        let handlers = printed["handlers"].as_array().expect("handlers").iter();
        handlers.map(|handler| (text(handler, "target"), text(handler, "state"))).collect()
    }
}

/// Whether this machine runs no program of a target itself. Of its family that is for other tests.
fn is_foreign(target: &str) -> bool {
    let family = |target: &str| targets::by_qemu_name(target).expect("known").family;
    family(target) != family(this())
}

/// This machine.
fn this() -> &'static str {
    Host::named(None).expect("this machine").name
}

/// A user namespace with a `binfmt_misc` of its own, as long as this lives.
struct Namespace(Child);

impl Namespace {
    fn new() -> Self {
        let script = format!("mount -t binfmt_misc binfmt_misc {DEFAULT_MOUNT_POINT} && echo ready && read end");
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        let mut child = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare starts");
        let mut printed = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut printed).expect("what it says");
        let namespace = Self(child);
        assert_eq!(printed, "ready\n", "no user namespace with a binfmt_misc, which needs Linux 6.7");
        assert!(namespace.names().is_empty(), "it has somebody's entries");
        namespace
    }

    /// A call of what follows in there.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--user", "--mount", "--preserve-credentials", "--target", &self.0.id().to_string(), "--"]);
        command
    }

    fn names(&self) -> Vec<String> {
        let folder = format!("/proc/{}/root{DEFAULT_MOUNT_POINT}", self.0.id());
        binfmt_misc::entries(Path::new(&folder)).expect("entries").into_keys().collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
