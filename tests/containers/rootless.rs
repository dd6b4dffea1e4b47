//! Handlers of an ordinary user, with no root anywhere: in the user namespace that podman keeps for all containers of
//! a user, and in rootlesskit's. The host's handlers are not changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd;
use tempfile::TempDir;
use tests::host::{self, Host};
use tests::podman::SETTINGS;
use tests::registrar;

use crate::hello;

/// A user that is there for one test.
pub(crate) const NAME: &str = "registrar-test";

/// What an ordinary user's podman needs besides: control groups without systemd's session.
pub(crate) const ROOTLESS: &str = "cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";

/// How long rootlesskit may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn podman_runs_and_builds_for_another_architecture_without_root() {
    let host = Host::mounted();
    let user = User::new();
    user.import_image();
    let run = ["run", "--rm", "--pull=never", "--network=none", "--platform=linux/arm64", "localhost/hello", "/hello"];
    let build = ["build", "--pull-never", "--no-cache", "--isolation=chroot", "--platform=linux/arm64", "context"];
    let registrar = |command| {
        user.succeeds("podman", &["unshare", "./registrar", command, "aarch64", "--scope=userns", "--bindir=/usr/bin"])
    };
    let fails = || {
        for arguments in [&run[..], &build] {
            let printed = user.fails("podman", arguments);
            assert!(printed.contains("exec format error"), "{printed}");
        }
    };
    fails();
    registrar("register");
    assert_eq!(user.succeeds("podman", &run), "aarch64\n");
    let printed = user.succeeds("podman", &build);
    assert!(printed.lines().any(|line| line == "aarch64"), "{printed}");
    assert_eq!(host::entries(), host.before, "the host's entries");
    assert!(Command::new(user.path("hello")).output().is_err(), "arm64 programs run on the host");
    registrar("unregister");
    fails();
}

#[test]
fn rootlesskit_has_handlers_of_its_own() {
    let host = Host::mounted();
    let user = User::new();
    let script = "./registrar register aarch64 --scope=userns --temporary && ./hello";
    let printed = user.succeeds("rootlesskit", &["sh", "-c", script]);
    assert!(printed.ends_with("aarch64\n"), "{printed}");
    assert_eq!(host::entries(), host.before, "the host's entries");
    assert!(Command::new(user.path("hello")).output().is_err(), "arm64 programs run on the host");
}

/// As README tells users of rootless Docker, which is a process in rootlesskit's namespace. It is in a session of its
/// own, as what a service manager starts.
#[test]
fn a_namespace_of_rootlesskit_can_be_entered() {
    let host = Host::mounted();
    let user = User::new();
    let mut daemon = user.command("setsid");
    daemon.args(["rootlesskit", "sh", "-c", "echo $$ >daemon.pid; exec sleep 600"]);
    let _daemon = Daemon(daemon.spawn().expect("starting rootlesskit"));
    let start = Instant::now();
    let id = loop {
        let text = fs::read_to_string(user.path("daemon.pid")).unwrap_or_default();
        if text.ends_with('\n') {
            break text.trim().to_owned();
        }
        assert!(start.elapsed() < TIMEOUT, "rootlesskit has not started its program");
        thread::sleep(Duration::from_millis(50));
    };
    let entered = ["--user", "--mount", "--preserve-credentials", "--target", &id];
    let enter = |words: &[&str]| user.run("nsenter", &[&entered[..], words].concat());
    // The working directory is the namespace's root.
    let [registrar, hello] = ["registrar", "hello"].map(|name| user.path(name).display().to_string());
    assert!(!enter(&[&hello]).0, "arm64 programs run before anything is registered");
    let (succeeded, printed) = enter(&[&registrar, "register", "aarch64", "--scope=userns"]);
    assert!(succeeded && printed.contains("; as long as this mount namespace; for programs of user:["), "{printed}");
    assert_eq!(enter(&[&hello]), (true, "aarch64\n".into()));
    assert_eq!(host::entries(), host.before, "the host's entries");
    assert!(Command::new(user.path("hello")).output().is_err(), "arm64 programs run on the host");
}

/// rootlesskit and what it has started, ended with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // setsid has made it a group. It may have ended, with all that it has started.
        let group = i32::try_from(self.0.id()).map(unistd::Pid::from_raw);
        let _ = group.map(|group| killpg(group, Signal::SIGKILL));
        let _ = self.0.wait();
    }
}

/// An ordinary user with a home, `registrar`, an arm64 program, and ids for containers.
pub(crate) struct User {
    home: TempDir,
    id: u32,
}

impl User {
    pub(crate) fn new() -> Self {
        remove_user();
        let home = tempfile::tempdir().expect("a home");
        let mut add = Command::new("useradd");
        add.args(["--no-create-home", "--shell=/bin/sh", "--home-dir"]).arg(home.path()).arg(NAME);
        assert!(add.status().expect("running useradd").success());
        let found = unistd::User::from_name(NAME).ok().flatten().expect("the user that was added");
        let user = Self { home, id: found.uid.as_raw() };
        let ranges = fs::read_to_string("/etc/subuid").expect("/etc/subuid");
        assert!(ranges.contains(NAME), "useradd gave {NAME} no ids for containers (SUB_UID_COUNT in /etc/login.defs)");

        let program = hello(user.home.path());
        let registrar = registrar::build().expect("registrar");
        fs::copy(registrar, user.path("registrar")).expect("copying registrar");
        for folder in ["runtime", "context", "image"] {
            fs::create_dir(user.path(folder)).expect("folders in the home");
        }
        fs::copy(program, user.path("image/hello")).expect("copying the program");
        fs::write(user.path("context/Containerfile"), "FROM localhost/hello\nRUN [\"/hello\"]\n").expect("written");
        fs::write(user.path("containers.conf"), [SETTINGS, ROOTLESS].concat()).expect("podman's settings");
        chown(user.home.path(), Some(user.id), None).expect("owning the home");
        chown(user.path("runtime"), Some(user.id), None).expect("owning the runtime folder");
        fs::set_permissions(user.path("runtime"), Permissions::from_mode(0o700)).expect("a folder of the user's");
        user
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The image `localhost/hello`, which is for arm64.
    fn import_image(&self) {
        let archive = self.path("image.tar");
        let packed = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(self.path("image")).arg(".").status();
        assert!(packed.expect("running tar").success());
        self.succeeds("podman", &["import", "--quiet", "--arch=arm64", "--os=linux", "image.tar", "localhost/hello"]);
    }

    /// A program as this user, at home.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home.path()).uid(self.id).gid(self.id).stdin(Stdio::null());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("XDG_RUNTIME_DIR", self.path("runtime"));
        command.env("CONTAINERS_CONF", self.path("containers.conf"));
        command
    }

    /// Runs a program. Shows and returns what it says, and whether it succeeded.
    fn run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let output =
            self.command(program).args(arguments).output().unwrap_or_else(|error| panic!("running {program}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        println!("$ {program} {}\n{}{}", arguments.join(" "), text(&output.stdout), text(&output.stderr));
        match output.status.success() {
            true => (true, text(&output.stdout)),
            false => (false, text(&output.stderr)),
        }
    }

    #[track_caller]
    pub(crate) fn succeeds(&self, program: &str, arguments: &[&str]) -> String {
        let (succeeded, printed) = self.run(program, arguments);
        assert!(succeeded, "{program} {arguments:?}: {printed}");
        printed
    }

    #[track_caller]
    fn fails(&self, program: &str, arguments: &[&str]) -> String {
        let (succeeded, printed) = self.run(program, arguments);
        assert!(!succeeded, "{program} {arguments:?}: {printed}");
        printed
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // podman's pause process, which keeps the user's namespace.
        let id = fs::read_to_string(self.path("runtime/libpod/tmp/pause.pid")).unwrap_or_default();
        if !id.is_empty() {
            let _ = Command::new("kill").arg(id.trim()).status();
        }
        remove_user();
    }
}

/// The test's, or one that a killed run has left.
fn remove_user() {
    if unistd::User::from_name(NAME).is_ok_and(|user| user.is_some()) {
        let removed = Command::new("userdel").args(["--force", NAME]).output();
        let removed = removed.expect("running userdel");
        assert!(removed.status.success(), "userdel: {}", String::from_utf8_lossy(&removed.stderr));
    }
}
