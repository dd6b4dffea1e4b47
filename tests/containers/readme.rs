//! Each command of README.md, taken from its text and run as it stands: with docker, with root's podman in its place, and
//! without root. IMAGE is the one that was built, and one called `alpine` was made here. A command that README
//! gains must be run here too, or stand in [`NOT_RUN`] with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::docker::Docker;
use tests::documents::{Document, split};
use tests::host::{self, Host};
use tests::podman::{Podman, SETTINGS};
use xtask::system;
use xtask::workspace::target_dir;

use crate::rootless::User;
use crate::{build, hello};

/// What `--load` calls the image, and the quick start too.
pub(crate) const IMAGE: &str = "localhost/registrar";

/// Commands that this test does not run, and why.
const NOT_RUN: [(&str, &str); 5] = [
    (
        "cosign verify ghcr.io/OWNER/REPOSITORY:latest --certificate-identity \
         https://github.com/OWNER/REPOSITORY/.github/workflows/image.yml@refs/heads/main --certificate-oidc-issuer \
         https://token.actions.githubusercontent.com",
        "nothing is published yet; `publish` verifies an image of its own with a local key",
    ),
    ("docker run --rm --privileged IMAGE register", "for docker in a container: `docker_in_docker` runs it"),
    ("cargo xtask test", "`.ci/run` runs it, with `--all`"),
    ("docker build .", "its base image is in a registry; `build` runs it with another one"),
    ("podman build .", "its base image is in a registry; `build` runs it with another one"),
];

/// README.md, and which of its commands have not been run yet.
struct Readme {
    document: Document,
    left: BTreeSet<String>,
}

impl Readme {
    fn read() -> Self {
        let document = Document::read("README.md");
        let left = document.commands().map(str::to_owned).collect();
        Self { document, left }
    }

    fn block(&self, part: &str) -> Vec<String> {
        self.document.block(part).to_vec()
    }

    /// Commands in running text that begin so.
    fn inline(&self, start: &str) -> Vec<String> {
        let found: Vec<_> = self.document.inline.iter().filter(|code| code.starts_with(start)).cloned().collect();
        assert!(!found.is_empty(), "README.md has no `{start}`");
        found
    }

    fn done(&mut self, line: &str) {
        self.left.remove(split(line).0);
    }
}

/// Where commands are typed.
pub(crate) struct Shell<'a> {
    /// A new `sh`, as the user and with the environment of an engine.
    pub(crate) sh: &'a dyn Fn() -> Command,
    /// The checkout.
    pub(crate) folder: &'a Path,
}

impl Shell<'_> {
    /// Runs a line of a document, and holds what it prints against a comment of one word; gives what it prints.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        let (command, comment) = split(line);
        let mut sh = (self.sh)();
        // As the outer cargo has set them, they are of another package.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_")) {
            sh.env_remove(name);
        }
        sh.env("CARGO_TARGET_DIR", target()).env_remove("CI");
        sh.args(["-ec", command]).current_dir(self.folder).stdin(Stdio::null());
        let output = sh.output().expect("running sh");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("$ {command}\n{out}{err}");
        assert!(output.status.success(), "{command}: {}", output.status);
        if !comment.is_empty() && !comment.contains(' ') {
            assert_eq!(out.trim(), comment, "{command}");
        }
        out.into_owned()
    }
}

/// Folder of this test. What is compiled there stays for the next run.
pub(crate) fn scratch() -> PathBuf {
    target_dir().join("containers/readme")
}

fn target() -> PathBuf {
    scratch().join("target")
}

/// A root file system for arm64 whose one program, `uname`, says what it runs on: an archive in the folder `context`, which
/// docker can build.
pub(crate) fn alpine(folder: &Path) -> String {
    let root = folder.join("alpine");
    fs::create_dir_all(root.join("bin")).expect("a folder");
    fs::rename(hello(folder), root.join("bin/uname")).expect("a program");
    let context = folder.join("context");
    fs::create_dir(&context).expect("a folder");
    fs::write(context.join("Dockerfile"), "FROM scratch\nADD alpine.tar /\n").expect("a file");
    let archive = context.join("alpine.tar").to_str().expect("text").to_owned();
    let packed = Command::new("tar").arg("-C").arg(&root).args(["-cf", &archive, "bin"]).status();
    assert!(packed.expect("running tar").success());
    // The ordinary user reads it too.
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o644)).expect("a mode");
    archive
}

/// The quick start, and the table of other images' command lines, with one engine.
fn with_engine(readme: &mut Readme, engine: &str, shell: &Shell<'_>) {
    let in_its_place = |line: &str| line.replace("docker", engine);
    let block = readme.block("--load docker");
    for line in &block {
        shell.run(&in_its_place(line));
        readme.done(line);
    }
    let find = |end: &str| {
        let line = block.iter().find(|line| split(line).0.ends_with(end)).unwrap_or_else(|| panic!("no line … {end}"));
        in_its_place(line)
    };
    let (register, runs, unregister) = (find(" register"), find(" uname -m"), find(" unregister"));
    let with_words = |words: &str| register.replace(&format!("{IMAGE} register"), &format!("{IMAGE} {words}"));
    for typed in readme.inline("IMAGE ") {
        shell.run(&with_words(typed.trim_start_matches("IMAGE ")));
        shell.run(&runs);
        shell.run(&unregister);
        readme.done(&typed);
    }
    shell.run(&register);
    for typed in readme.inline("registrar ") {
        shell.run(&with_words(typed.trim_start_matches("registrar ")));
        readme.done(&typed);
    }
    shell.run(&unregister);
    for typed in readme.inline("COPY ") {
        let script =
            format!("printf 'FROM scratch\\n{typed}\\n' | {engine} build --tag=copied -").replace("IMAGE", IMAGE);
        shell.run(&script);
        readme.done(&typed);
    }
}

#[test]
fn each_command_does_what_it_says() {
    let scratch = scratch();
    let checkout = scratch.join("checkout");
    let _ = fs::remove_dir_all(&checkout);
    fs::create_dir_all(&scratch).expect("a folder");
    build::copy_source(&checkout);
    let folder = tempfile::tempdir_in(&scratch).expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let alpine = alpine(folder.path());
    let mut readme = Readme::read();
    let host = Host::mounted();
    {
        let docker = Docker::new(&folder.path().join("docker"));
        // `docker import` takes no architecture but the daemon's own.
        let mut build = docker.command();
        build.args(["build", "--platform=linux/arm64", "--tag=alpine"]).arg(folder.path().join("context"));
        system::run(build.env("DOCKER_BUILDKIT", "0")).expect("an image");
        let address = docker.host();
        let sh = || {
            let mut sh = Command::new("sh");
            // Its other builder has no network to fetch itself by.
            sh.env("DOCKER_HOST", &address).env("DOCKER_BUILDKIT", "0");
            sh
        };
        with_engine(&mut readme, "docker", &Shell { sh: &sh, folder: &checkout });
    }
    // No network of the host's is changed for these containers.
    let settings = SETTINGS.replace("[containers]\n", "[containers]\nnetns = \"none\"\n");
    {
        // podman takes no long path of a folder for what runs.
        let podman = Podman::new(&target_dir().join("containers"));
        let [(conf, _), path] = podman.settings();
        let file = folder.path().join("containers.conf");
        fs::write(&file, &settings).expect("podman's settings");
        podman.run(&["import", "--quiet", "--arch=arm64", "--os=linux", &alpine, "alpine"]);
        let sh = || {
            let mut sh = Command::new("sh");
            sh.envs([(conf, &file), (path.0, &path.1)]);
            sh
        };
        with_engine(&mut readme, "podman", &Shell { sh: &sh, folder: &checkout });
        podman.run(&["rmi", "--force", "localhost/alpine", "localhost/copied"]);
    }
    assert_eq!(host::entries(), host.before);

    let user = User::new();
    fs::write(user.path("containers.conf"), [&settings, crate::rootless::ROOTLESS].concat()).expect("settings");
    user.succeeds("podman", &["import", "--quiet", "--arch=arm64", "--os=linux", &alpine, "alpine"]);
    let sh = || user.command("sh");
    for line in readme.block("podman unshare") {
        Shell { sh: &sh, folder: &checkout }.run(&line);
        readme.done(&line);
    }
    assert_eq!(host::entries(), host.before);

    let sh = || Command::new("sh");
    for line in readme.block("cargo xtask test") {
        if !NOT_RUN.iter().any(|(command, _)| *command == split(&line).0) {
            Shell { sh: &sh, folder: &checkout }.run(&line);
            readme.done(&line);
        }
    }
    let not_run: BTreeSet<_> = NOT_RUN.iter().map(|(command, _)| (*command).to_owned()).collect();
    assert_eq!(readme.left, not_run, "commands of README.md that no test runs, and those that say why");
}
