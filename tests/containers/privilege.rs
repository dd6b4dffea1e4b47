//! What a container needs to register on the host, with each engine and each way to start one: the host's folder, writable,
//! and the host's root as its user; no capability. And what is said where it has less, or is in a user namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tests::docker::Docker;
use tests::host::{self, Host};
use tests::podman::Podman;
use xtask::workspace::target_dir;

use crate::rootless::{NAME, User};
use crate::{capabilities, hello, mount_lifetime};

/// What README has users bind into the container.
pub(crate) const VOLUME: &str = "--volume=/proc/sys/fs/binfmt_misc:/binfmt_misc";

/// As README has it.
pub(crate) const DOCUMENTED: &[&str] =
    &["--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none", "--read-only", VOLUME];

const REGISTERED: &str = "1 registered, 0 replaced, 0 unchanged";

/// A way to run a container.
struct Way {
    options: Vec<&'static str>,
    /// Beside `register arm64`.
    words: &'static [&'static str],
    /// The last line, on standard output where handlers are registered, else on standard error.
    printed: Result<&'static str, &'static str>,
}

fn way(options: &[&[&'static str]], printed: Result<&'static str, &'static str>) -> Way {
    Way { options: options.concat(), words: &[], printed }
}

/// What does not depend on the engine.
fn ways(privileged: &[&'static str]) -> Vec<Way> {
    const BARE: &[&str] = &["--network=none"];
    const REFUSED: &str = "mounting binfmt_misc at /proc/sys/fs/binfmt_misc: not permitted; run as root, or in a \
                           container with -v /proc/sys/fs/binfmt_misc:/binfmt_misc";
    vec![
        way(&[DOCUMENTED], Ok(REGISTERED)),
        way(&[BARE, &[VOLUME]], Ok(REGISTERED)),
        way(&[privileged, BARE], Ok(REGISTERED)),
        way(&[privileged, BARE, &[VOLUME]], Ok(REGISTERED)),
        way(&[BARE], Err(REFUSED)),
        way(&[&DOCUMENTED[..4]], Err(REFUSED)),
        way(
            &[&DOCUMENTED[..4], &["--volume=/proc/sys/fs/binfmt_misc:/binfmt_misc:ro"]],
            Err("writing /binfmt_misc/register: mounted read-only; mount it writable, in a container with -v \
                 /proc/sys/fs/binfmt_misc:/binfmt_misc"),
        ),
        way(&[DOCUMENTED, &["--user=1000:1000"]], Err("writing /binfmt_misc/register: permission denied; run as root")),
    ]
}

/// What is said in a user namespace that root's engine has made.
const MAPPED: &str = "handlers would serve programs of user:[] only, not the host's: run the container with --userns=host, \
                      or if that is wanted add --scope userns";

/// The same where that is said to be wanted, and the folder is the host's.
const MAPPED_AND_BOUND: &str = "writing /binfmt_misc/register: permission denied; this is root of user:[], the folder is \
                                another's: run the container with --userns=host";

/// What is said in a container of an ordinary user.
const ROOTLESS: &str = "handlers would serve programs of user:[] only, not the host's: run the container as the host's \
                        root, or: podman unshare registrar register --scope userns";

/// The host, an engine's calls, and a program that runs where arm64 programs do.
pub(crate) struct Engine<'a> {
    pub(crate) host: &'a Host,
    pub(crate) hello: &'a Path,
    pub(crate) name: &'a str,
    pub(crate) command: &'a dyn Fn() -> Command,
}

impl Engine<'_> {
    /// Whether arm64 programs run on the host.
    pub(crate) fn runs(&self) -> bool {
        Command::new(self.hello).output().is_ok_and(|output| output.stdout == b"aarch64\n")
    }

    /// Tries each way, and takes back what it has registered in the same way.
    fn try_all(&self, ways: &[Way]) {
        for Way { options, words, printed } in ways {
            let register = [&["register", "arm64"], *words].concat();
            let (code, out, err) = self.run(options, &register);
            let (code_expected, last) = match printed {
                Ok(last) => (0, (Some(*last), None)),
                Err(last) => (1, (None, Some(*last))),
            };
            let found = (out.lines().last().filter(|_| printed.is_ok()), err.lines().last());
            assert_eq!((code, found), (Some(code_expected), last), "{} {options:?} {words:?}", self.name);
            assert_eq!(self.runs(), printed.is_ok(), "{} {options:?}: arm64 programs on the host", self.name);
            if printed.is_ok() {
                let (code, out, err) = self.run(options, &["unregister", "arm64"]);
                let last = out.lines().last().unwrap_or_default();
                assert_eq!((code, last, err.as_str()), (Some(0), "1 unregistered", ""), "{options:?}");
            }
            assert_eq!(host::entries(), self.host.before, "{} {options:?}", self.name);
        }
    }

    /// Runs registrar in a container that is gone after it. Shows and returns what it says, with no namespace's number.
    pub(crate) fn run(&self, options: &[&str], words: &[&str]) -> (Option<i32>, String, String) {
        let line = [&["run", "--rm", "--pull=never"], options, &["localhost/small", "/registrar"], words].concat();
        let output = (self.command)().args(&line).stdin(Stdio::null()).output().expect("running the engine");
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| numberless(&String::from_utf8_lossy(bytes)));
        let code = output.status.code();
        println!(
            "$ {} {}\n{out}{err}exit status {code:?}; arm64 programs run on the host: {}\n",
            self.name,
            line.join(" "),
            self.runs()
        );
        (code, out, err)
    }
}

/// Leaves out which user namespace is meant.
fn numberless(text: &str) -> String {
    let mut parts = text.split("user:[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "user:[" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Where a test has its files.
pub(crate) struct Scratch {
    pub(crate) folder: TempDir,
    archive: PathBuf,
    pub(crate) hello: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (archive, hello) = (mount_lifetime::archive(folder.path()), hello(folder.path()));
        Self { folder, archive, hello }
    }

    pub(crate) fn archive(&self) -> &str {
        self.archive.to_str().expect("text")
    }
}

pub(crate) fn podman() -> Podman {
    let folder = target_dir().join("containers");
    fs::create_dir_all(&folder).expect("a folder for podman");
    Podman::new(&folder)
}

#[test]
fn podman_needs_no_capability_and_no_namespace() {
    let scratch = Scratch::new();
    let podman = podman();
    podman.run(&["import", "--quiet", scratch.archive(), "localhost/small"]);
    let host = Host::mounted();
    let engine = Engine { host: &host, hello: &scratch.hello, name: "podman", command: &|| podman.command() };
    engine.try_all(&ways(&["--privileged"]));
    const MAP: &[&str] = &["--uidmap=0:200000:1000", "--gidmap=0:200000:1000"];
    engine.try_all(&[
        way(&[MAP, DOCUMENTED], Err(MAPPED)),
        way(&[MAP, &["--network=none", "--privileged"]], Err(MAPPED)),
        Way { words: &["--scope=userns"], ..way(&[MAP, DOCUMENTED], Err(MAPPED_AND_BOUND)) },
        way(&[DOCUMENTED, &["--userns=host"]], Ok(REGISTERED)),
    ]);
}

#[test]
fn podman_without_root_is_refused_with_how_to_fix_it() {
    let scratch = Scratch::new();
    let host = Host::mounted();
    let user = User::new();
    fs::copy(&scratch.archive, user.path("small.tar")).expect("copying the image");
    user.succeeds("podman", &["import", "--quiet", "small.tar", "localhost/small"]);
    let engine = Engine { host: &host, hello: &scratch.hello, name: "podman", command: &|| user.command("podman") };
    const BARE: &[&str] = &["--network=none"];
    engine.try_all(&[
        way(&[DOCUMENTED], Err(ROOTLESS)),
        way(&[BARE], Err(ROOTLESS)),
        way(&[BARE, &["--privileged"]], Err(ROOTLESS)),
        way(&[BARE, &["--userns=host", VOLUME]], Err(ROOTLESS)),
        way(&[BARE, &["--userns=keep-id", VOLUME]], Err(ROOTLESS)),
        way(&[BARE, &["--userns=auto", VOLUME]], Err(ROOTLESS)),
    ]);
}

#[test]
fn docker_needs_no_capability_and_no_namespace() {
    let scratch = Scratch::new();
    let host = Host::mounted();
    let docker = Docker::new(&scratch.folder.path().join("docker"));
    docker.run(&["import", scratch.archive(), "localhost/small"]);
    let engine = Engine { host: &host, hello: &scratch.hello, name: "docker", command: &|| docker.command() };
    engine.try_all(&ways(privileged()));
}

/// What `docker run --privileged` does as far as it matters here, where it cannot be: it raises a limit of each container,
/// which takes a capability of the daemon.
fn privileged() -> &'static [&'static str] {
    const RESOURCE: u32 = 24;
    if capabilities::sets("self")[2] >> RESOURCE & 1 == 1 {
        return &["--privileged"];
    }
    &["--cap-add=SYS_ADMIN", "--security-opt=systempaths=unconfined", "--security-opt=seccomp=unconfined"]
}

#[test]
fn docker_with_a_user_namespace_is_refused_with_how_to_fix_it() {
    let scratch = Scratch::new();
    let host = Host::mounted();
    // Its ids are lent to all containers.
    let _user = User::new();
    let docker = Docker::with(&scratch.folder.path().join("docker"), &[&format!("--userns-remap={NAME}")]);
    docker.run(&["import", scratch.archive(), "localhost/small"]);
    let engine = Engine { host: &host, hello: &scratch.hello, name: "docker", command: &|| docker.command() };
    engine.try_all(&[
        way(&[DOCUMENTED], Err(MAPPED)),
        Way { words: &["--scope=userns"], ..way(&[DOCUMENTED], Err(MAPPED_AND_BOUND)) },
        way(&[DOCUMENTED, &["--userns=host"]], Ok(REGISTERED)),
    ]);
}
