//! The weekly workflows from end to end: `update.yml` and `image.yml`, their scripts as the files have them, in a checkout of its own,
//! with the stand-in mirror, a local registry and a local key. Then both engines pull what was pushed.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use codegen::targets;
use fedora_mirror::{Mirror, Options, Server, Updates};
use serde_json::Value;
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::docker::Docker;
use tests::host::{self, Host};
use tests::podman::Podman;
use tests::registry::Registry;
use tests::tools;
use tests::workflows::{Finished, Runner};
use xtask::system;
use xtask::workspace::target_dir;

use crate::base::Root;
use crate::hello;

const UPDATE: &str = ".github/workflows/update.yml";
const IMAGE: &str = ".github/workflows/image.yml";
const AUDIT: &str = ".github/workflows/audit.yml";

/// As short as SLSA's provenance may be.
const PROVENANCE: &str = r#"{"buildDefinition":{"buildType":"https://example.com/build/v1","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/builder"}}}"#;

/// The jobs' places in the matrix of `image.yml`.
const SETS: [&str; 2] = ["whole", "common"];
const TURNS: [&str; 2] = ["first", "second"];

/// More than the common targets, so that the two images differ.
fn mirror(folder: &Path, updates: Updates) -> (Mirror, Server) {
    let targets = [&targets::COMMON[..], &["alpha"]].concat();
    let options = Options { updates, ..Options::quick(folder, &targets) };
    let mirror = fedora_mirror::make(&options).expect("a mirror");
    let server = fedora_mirror::serve(&mirror.root).expect("a server");
    (mirror, server)
}

fn git(folder: &Path, words: &[&str]) -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["-c", "user.name=test", "-c", "user.email=test@localhost"]).args(words);
    let output = system::run(&mut git).unwrap_or_else(|error| panic!("git {words:?}: {error:#}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A checkout of the source as it is here, whose `cargo xtask` is the one that cargo has built with this test.
struct Checkout {
    folder: PathBuf,
    runner: Runner,
}

impl Checkout {
    fn new(scratch: &Path, registry: &Registry) -> Self {
        let folder = crate::build::source(scratch);
        for beside in ["target", "dist", "mirror", ".git"] {
            fs::remove_dir_all(folder.join(beside)).expect("a folder of the build tests");
        }
        git(&folder, &["init", "--quiet", "--initial-branch=main"]);
        git(&folder, &["add", "--all"]);
        git(&folder, &["commit", "--quiet", "--message=a checkout"]);
        fs::create_dir(folder.join("target")).expect("a folder");

        let programs = scratch.join("bin");
        fs::create_dir(&programs).expect("a folder");
        symlink(tools::sid_root().join("usr/bin/cosign"), programs.join("cosign")).expect("a link");
        write_cargo(&programs, &folder);
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("PATH"));
        let mut environment = vec![
            ("PATH".to_owned(), path),
            ("CARGO_TARGET_DIR".to_owned(), target_dir().join("containers/publish-target").display().to_string()),
            ("HOME".to_owned(), registry.home(scratch).display().to_string()),
            ("COSIGN_PASSWORD".to_owned(), String::new()),
        ];
        // cargo's and rustup's folders are in the user's home, unless they are named.
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let in_home = |home: String| format!("{home}/{folder}");
            let found = std::env::var(name).or_else(|_| std::env::var("HOME").map(in_home));
            environment.extend(found.into_iter().map(|folder| (name.to_owned(), folder)));
        }
        let runner = Runner { folder: folder.clone(), contexts: BTreeMap::new(), environment };
        Self { folder, runner }
    }

    fn set(&mut self, variable: &str, value: &str) {
        self.runner.contexts.insert(variable.to_owned(), value.to_owned());
    }

    /// What fetches is told where the stand-in is, and which key it has.
    fn fetch_from(&mut self, (mirror, server): &(Mirror, Server)) {
        self.set(
            "vars.FETCH",
            &format!("--fedora-base-url {} --fingerprint {}", server.url(""), mirror.key.fingerprint),
        );
    }

    fn cosign(&self, words: &[&str]) -> String {
        let mut cosign = tools::sid("usr/bin/cosign");
        let output = system::run(cosign.args(words).current_dir(&self.folder).env("COSIGN_PASSWORD", ""));
        let output = output.unwrap_or_else(|error| panic!("cosign {words:?}: {error:#}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the action does, with the local key in place of the workflow's identity.
    fn attest_provenance(&self, inputs: &BTreeMap<String, String>) {
        let image = format!("{}@{}", inputs["subject-name"], inputs["subject-digest"]);
        let predicate = self.folder.join("target/provenance.json");
        fs::write(&predicate, PROVENANCE).expect("a predicate");
        let predicate = predicate.to_str().expect("text");
        let signed = ["--key", "target/cosign.key", "--signing-config", "target/signing.json", "--yes"];
        let kind = ["--type", "slsaprovenance1"];
        self.cosign(&[&["attest"], &signed[..], &kind, &["--predicate", predicate, &image]].concat());
        let verified = ["--key", "target/cosign.pub", "--insecure-ignore-tlog"];
        self.cosign(&[&["verify-attestation"], &verified[..], &kind, &[&image]].concat());
    }

    /// `verify.sh`, by another key than the one that has signed.
    fn verify_by(&self, key: &str, image: &str) -> Result<(), String> {
        let mut verify = Command::new(".github/scripts/verify.sh");
        verify
            .arg(image)
            .current_dir(&self.folder)
            .envs(self.runner.environment.iter().map(|(name, value)| (name, value)));
        verify.env("COSIGN_VERIFY", format!("--key {key} --insecure-ignore-tlog"));
        system::run(&mut verify).map(drop).map_err(|error| format!("{error:#}"))
    }

    /// `update.yml`; gives the title of what it proposes, and what `cargo xtask update` said.
    fn update(&self) -> (Option<String>, String) {
        let finished = self.runner.job(UPDATE, "propose", &[], &mut |_, _| ());
        let title = finished.printed.last().and_then(|_| self.title());
        (title, finished.printed[0].clone())
    }

    /// Title of the commit that `update.yml` has made.
    fn title(&self) -> Option<String> {
        let branch = git(&self.folder, &["branch", "--list", "update-packages", "--format=%(contents:subject)"]);
        (!branch.is_empty()).then_some(branch)
    }

    fn merge(&self) {
        git(&self.folder, &["switch", "--quiet", "main"]);
        git(&self.folder, &["merge", "--quiet", "--ff-only", "update-packages"]);
        git(&self.folder, &["branch", "--quiet", "--delete", "update-packages"]);
    }

    /// The jobs of `image.yml` up to the one that pushes; gives its outputs.
    fn build_and_push(&self, artifacts: &Path) -> Finished {
        for set in SETS {
            for turn in TURNS {
                let mut upload = |action: &str, inputs: &BTreeMap<String, String>| match action {
                    "actions/checkout" => {}
                    "actions/upload-artifact" => {
                        fs::create_dir_all(artifacts).expect("a folder");
                        let from = self.folder.join(&inputs["path"]);
                        fs::rename(from, artifacts.join(&inputs["name"])).expect("what was made");
                    }
                    other => panic!("what does {other} do?"),
                };
                self.runner.job(IMAGE, "build", &[("set", set), ("turn", turn)], &mut upload);
            }
        }
        let mut attested = Vec::new();
        let mut download = |action: &str, inputs: &BTreeMap<String, String>| match action {
            "actions/checkout" | "sigstore/cosign-installer" => {}
            "actions/download-artifact" => symlink(artifacts, self.folder.join(&inputs["path"])).expect("a link"),
            "actions/attest-build-provenance" => {
                self.attest_provenance(inputs);
                attested.push(inputs["subject-digest"].clone());
            }
            other => panic!("what does {other} do?"),
        };
        let pushed = self.runner.job(IMAGE, "push", &[], &mut download);
        assert_eq!(attested, SETS.map(|set| pushed.outputs[set].clone()));
        fs::remove_file(self.folder.join("target/made")).expect("a link");
        fs::remove_dir_all(artifacts).expect("artifacts");
        pushed
    }

    fn tags(&mut self, pushed: &Finished) {
        for set in SETS {
            self.set(&format!("needs.push.outputs.{set}"), &pushed.outputs[set]);
        }
        self.runner.job(IMAGE, "tags", &[], &mut |_, _| ());
    }

    fn skopeo(&self) -> Command {
        let mut skopeo = Command::new("skopeo");
        skopeo.envs(self.runner.environment.iter().map(|(name, value)| (name, value)));
        skopeo
    }

    /// The digests of an image's hosts.
    fn manifests(&self, image: &str) -> Vec<String> {
        let output = system::run(self.skopeo().args(["inspect", "--raw", &format!("docker://{image}")]));
        let index: Value = serde_json::from_slice(&output.expect("an index").stdout).expect("JSON");
        let manifests = index["manifests"].as_array().expect("manifests").iter();
        manifests.map(|manifest| manifest["digest"].as_str().expect("a digest").to_owned()).collect()
    }

    /// The digest that a tag leads to.
    fn tag(&self, repository: &str, tag: &str) -> String {
        self.inspect(repository, tag, "{{.Digest}}")
    }

    fn inspect(&self, repository: &str, tag: &str, format: &str) -> String {
        let image = format!("docker://{repository}:{tag}");
        let output = system::run(self.skopeo().args(["inspect", "--format", format, &image]));
        let output = output.unwrap_or_else(|error| panic!("{tag}: {error:#}"));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// Puts a `cargo` into a folder of programs whose `xtask` is the one that cargo has built with this test, and works in a checkout.
pub(crate) fn write_cargo(programs: &Path, checkout: &Path) {
    // cargo tells the program that it runs where the package is.
    let cargo = format!(
        "#!/bin/sh\nif [ \"$1\" = xtask ]; then\n  shift\n  CARGO_PKG_NAME=xtask CARGO_MANIFEST_DIR={}/xtask exec {} \"$@\"\nfi\n\
         exec {} \"$@\"\n",
        checkout.display(),
        env!("CARGO_BIN_EXE_tested-xtask"),
        env!("CARGO"),
    );
    fs::write(programs.join("cargo"), cargo).expect("a script");
    fs::set_permissions(programs.join("cargo"), fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn the_weekly_workflows_update_build_push_sign_and_tag() {
    let scratch = target_dir().join("containers/publish");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).expect("a folder");
    let registry = Registry::new(&scratch.join("registry"));
    let repository = registry.repository("owner/qemu");
    let mut checkout = Checkout::new(&scratch, &registry);
    checkout.cosign(&["generate-key-pair", "--output-key-prefix", "target/cosign"]);
    checkout.cosign(&["signing-config", "create", "--out", "target/signing.json"]);
    checkout.set("vars.HOSTS", xtask::system::host::Host::named(None).expect("this machine").name);
    checkout.set("vars.IMAGE_REPOSITORY", &repository);
    // That of a release takes minutes, and docker before 23 reads gzip alone.
    checkout.set("vars.COMPRESSION", "--compression gzip:1,zstd:1");
    checkout.set("vars.COSIGN_SIGN", "--key target/cosign.key --signing-config target/signing.json");
    checkout.set("vars.COSIGN_VERIFY", "--key target/cosign.pub --insecure-ignore-tlog");

    // The first week: nothing is locked yet.
    let old = mirror(&scratch.join("old"), Updates::Empty);
    checkout.fetch_from(&old);
    let (title, printed) = checkout.update();
    assert!(title.as_deref().is_some_and(|title| title.starts_with("QEMU ")), "{title:?}: {printed}");
    checkout.merge();
    assert_eq!(checkout.update().0, None, "nothing has changed since");
    let first = checkout.build_and_push(&scratch.join("artifacts"));
    // The SBOM of this host in each image, in both compressions.
    let count = |printed: &String| printed.matches(": registrar-image\n").count();
    assert!(first.printed.iter().any(|printed| count(printed) == 2 * SETS.len()), "{:?}", first.printed);
    // Another key has attested the SBOMs of the one image, and has signed the other: each alone is refused.
    let [attested, signed] = SETS.map(|set| format!("{repository}@{}", first.outputs[set]));
    checkout.cosign(&["generate-key-pair", "--output-key-prefix", "target/other"]);
    let by_other = ["--key", "target/other.key", "--signing-config", "target/signing.json", "--yes"];
    fs::write(checkout.folder.join("target/other.json"), r#"{"name":"other"}"#).expect("a predicate");
    let predicate = ["--type", "spdxjson", "--predicate", "target/other.json"];
    for manifest in checkout.manifests(&attested) {
        let manifest = format!("{repository}@{manifest}");
        checkout.cosign(&[&["attest"], &by_other[..], &predicate, &[&manifest]].concat());
    }
    checkout.cosign(&[&["sign"], &by_other[..], &[&signed]].concat());
    for image in [&attested, &signed] {
        checkout.verify_by("target/cosign.pub", image).expect("a signature");
        let error = checkout.verify_by("target/other.pub", image).expect_err("another key");
        assert!(error.contains("signature"), "{error}");
    }
    checkout.tags(&first);
    let version = title.expect("a title").trim_start_matches("QEMU ").to_owned();
    for (set, names) in [
        ("whole", [format!("{version}-1"), version.clone(), "latest".into()]),
        ("common", [format!("{version}-1-common"), format!("{version}-common"), "common".into()]),
    ] {
        for name in names {
            assert_eq!(checkout.tag(&repository, &name), first.outputs[set], "{name}");
        }
    }
    assert_ne!(first.outputs["whole"], first.outputs["common"]);
    let labels = checkout.inspect(&repository, "latest", "{{.Labels}}");
    let version_label = concat!("registrar.version:", env!("CARGO_PKG_VERSION"));
    assert!(labels.contains(version_label), "{labels}");
    let revision = git(&checkout.folder, &["rev-parse", "HEAD"]);
    assert!(labels.contains(&format!("org.opencontainers.image.revision:{revision}")), "{labels}");

    // The list of releases has one whose key is not pinned.
    let printed = |checkout: &Checkout| checkout.runner.job(AUDIT, "keys", &[], &mut |_, _| ()).printed.concat();
    assert!(!printed(&checkout).contains("::warning"));
    let list = scratch.join("old/releases.json");
    let releases = fs::read_to_string(&list).expect("the list").replacen('[', "[{\"version\":\"99\"},", 1);
    fs::write(list, releases).expect("the list");
    let warned = printed(&checkout);
    assert!(
        warned.lines().any(|line| line.starts_with("::warning title=new release of Fedora::Fedora 99 is out")),
        "{warned}"
    );

    // Another week: newer builds of the same QEMU.
    let new = mirror(&scratch.join("new"), Updates::Newer);
    checkout.fetch_from(&new);
    let (title, printed) = checkout.update();
    assert_eq!(title.as_deref(), Some("Newer builds of the same QEMU"), "{printed}");
    println!("the pull request's text:\n{printed}");
    assert!(printed.contains("~ qemu-user-static-alpha ") && printed.contains(" -> "), "{printed}");
    // What is pushed then is another image of this QEMU, twice: the second time, it has its tags.
    let (one, other) = (&first.outputs["whole"], &first.outputs["common"]);
    let outputs = [("whole", other), ("common", one)].map(|(set, digest)| (set.to_owned(), digest.clone()));
    let second = Finished { outputs: outputs.into(), printed: Vec::new() };
    for _ in 0..2 {
        checkout.tags(&second);
        for (tag, expected) in [("-1", one), ("-2", other), ("", other)] {
            assert_eq!(&checkout.tag(&repository, &format!("{version}{tag}")), expected, "{tag}");
        }
    }
    let none = format!("docker://{repository}:{version}-3");
    let error = system::run(checkout.skopeo().args(["inspect", &none])).expect_err("a third number");
    assert!(format!("{error:#}").contains("manifest unknown"), "{error:#}");

    pulled(&scratch, &checkout, &format!("{repository}@{other}"));
}

/// The environment variable that has the smoke test run too.
const SMOKE: &str = "TEST_SMOKE";

/// What [`smoke_base`] makes.
const SMOKE_BASE: &str = "localhost/debian-arm64";

/// An arm64 Debian with a compiler, which takes its own programs minutes to set up: once.
fn smoke_base(docker: &Docker) {
    let folder = target_dir().join("containers/smoke");
    let archive = folder.join("debian.tar");
    if !archive.exists() {
        fs::create_dir_all(&folder).expect("a folder");
        let root = Root::for_machine(folder.join("root"), "gcc,libc6-dev", "arm64");
        let partial = folder.join("debian.tar.partial");
        let mut tar = Command::new("tar");
        tar.arg("--create").arg("--file").arg(&partial).arg("--directory").arg(root.path()).arg(".");
        system::run(&mut tar).expect("an archive");
        fs::rename(partial, &archive).expect("an archive");
    }
    // `docker import` takes no architecture but the daemon's own.
    fs::write(folder.join("Dockerfile"), "FROM scratch\nADD debian.tar /\n").expect("a file");
    fs::write(folder.join(".dockerignore"), "root\n").expect("a file");
    let mut build = docker.command();
    build.args(["build", "--platform=linux/arm64", "--tag", SMOKE_BASE]).arg(&folder).env("DOCKER_BUILDKIT", "0");
    system::run(&mut build).expect("an image");
}

/// Both engines pull it, what it registers runs arm64 programs, and the workflow's own step unregisters it.
fn pulled(scratch: &Path, checkout: &Checkout, image: &str) {
    let docker = Docker::new(&target_dir().join("containers/docker-publish"));
    let podman = Podman::new(scratch);
    let (_, digest) = image.split_once('@').expect("a digest");
    let hello = hello(scratch);
    let runs = || Command::new(&hello).output().is_ok_and(|output| output.stdout == b"aarch64\n");
    let volume = format!("--volume={DEFAULT_MOUNT_POINT}:/binfmt_misc");
    let register = ["run", "--rm", "--cap-drop=ALL", "--network=none", &volume, image, "register"];
    let host = Host::mounted();

    let mut pull = podman.command();
    pull.args(register).env("HOME", scratch.join("home"));
    system::run(&mut pull).expect("podman run");
    assert!(runs());
    podman.run(&["run", "--rm", "--cap-drop=ALL", "--network=none", &volume, image, "unregister"]);
    assert!(!runs());

    println!("{}", docker.run(&["pull", "--quiet", image]));
    println!("{}", docker.run(&register));
    assert!(runs());
    if env::var_os(SMOKE).is_some() {
        smoke_test(checkout, &docker, digest, &runs);
    } else {
        println!("the smoke test is not run: its Debian takes minutes to set up; {SMOKE}=1 runs it");
    }
    docker.run(&["run", "--rm", "--cap-drop=ALL", "--network=none", &volume, image, "unregister"]);
    assert!(!runs());
    assert_eq!(host::entries(), host.before);
}

/// The workflow's job of that name, beside handlers that are registered.
fn smoke_test(checkout: &Checkout, docker: &Docker, digest: &str, runs: &dyn Fn() -> bool) {
    smoke_base(docker);
    let mut contexts = checkout.runner.contexts.clone();
    contexts.insert("needs.push.outputs.common".into(), digest.into());
    let mut environment = checkout.runner.environment.clone();
    environment.push(("DOCKER_HOST".into(), docker.host()));
    // This docker has no network of its own.
    let smoke = [("BASE", SMOKE_BASE), ("ARCHITECTURES", "arm64"), ("OPTIONS", "--network=host")];
    environment.extend(smoke.map(|(name, value)| (format!("SMOKE_{name}"), value.to_owned())));
    let runner = Runner { folder: checkout.folder.clone(), contexts, environment };
    let mut used = Vec::new();
    let mut action = |action: &str, inputs: &BTreeMap<String, String>| {
        // What docker/setup-qemu-action is to register has been.
        if action == "./" {
            assert!(!runs(), "the step before has unregistered");
            crate::deploy::action::run(docker, &[("image", &inputs["image"])]).expect("the action");
        }
        used.push(action.to_owned());
    };
    let tried = runner.job(IMAGE, "smoke", &[("set", "common")], &mut action);
    assert_eq!(used, ["actions/checkout", "docker/setup-qemu-action", "./"]);
    let compiled =
        tried.printed.iter().filter(|printed| printed.contains("== arm64") && printed.ends_with("aarch64\n"));
    assert_eq!(compiled.count(), 2, "{:?}", tried.printed);
}
