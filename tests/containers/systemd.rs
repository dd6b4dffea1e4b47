//! A host that systemd starts, with what `persist --unit` has put there: systemd-binfmt registers, the service finds that as
//! it should be, with all of its restrictions in force, and puts back what others remove.
//!
//! The host is a container of systemd-nspawn's, in a user namespace and so with a `binfmt_misc` of its own: that of this
//! machine, with what others have there, is not touched. Its Debian is this machine's, or the newest.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::registrar;
use xtask::system;
use xtask::workspace::target_dir;

use crate::base::Root;
use crate::hello;

/// How long a host may take to start or stop, or a service to put back a handler, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// systemd-nspawn removes folders below /run when it ends, but not if these are on a disk, as in some containers.
const START: &str = "mount -t tmpfs tmpfs /run && exec systemd-nspawn \"$@\"";

/// Names of this user's ids are the same in there.
const OPTIONS: [&str; 8] = [
    "--quiet",
    "--settings=no",
    "--register=no",
    "--keep-unit",
    "--link-journal=no",
    "--private-users=identity",
    "--boot",
    "--directory",
];

/// A host that has been started.
struct Host {
    nspawn: Child,
    /// Its first process, as this machine sees it.
    first: Pid,
}

impl Host {
    /// Starts it, and waits until it has started all.
    fn start(root: &Path, log: &Path) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "sh", "-c", START, "sh"]).args(OPTIONS).arg(root);
        command.stdin(Stdio::null()).stdout(File::create(log).expect("a log")).stderr(Stdio::inherit());
        let nspawn = command.spawn().expect("starting systemd-nspawn");
        let mut host = Self { nspawn, first: Pid::from_raw(0) };
        wait_until("systemd has started", log, || {
            host.first = host.first_process().unwrap_or(host.first);
            let state = host.run(&["systemctl", "is-system-running"]);
            ["running\n", "degraded\n"].contains(&state.1.as_str())
        });
        host
    }

    fn first_process(&self) -> Option<Pid> {
        let id = self.nspawn.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        let is_systemd =
            |child: &&str| fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "systemd\n");
        children.split_whitespace().find(is_systemd)?.parse().ok().map(Pid::from_raw)
    }

    /// Runs a program there; whether it succeeds, and what it says.
    fn run(&self, words: &[&str]) -> (bool, String) {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.first.to_string()]).args(words).stdin(Stdio::null());
        let output = command.output().expect("running nsenter");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[track_caller]
    fn succeeds(&self, words: &[&str]) -> String {
        let (has_succeeded, printed) = self.run(words);
        assert!(has_succeeded, "{words:?}: {printed}\n{}", self.run(&["journalctl", "--no-pager"]).1);
        printed
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It ends all that it has started.
        let _ = kill(Pid::from_raw(self.nspawn.id().cast_signed()), Signal::SIGKILL);
        let _ = self.nspawn.wait();
    }
}

#[track_caller]
fn wait_until(what: &str, log: &Path, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        let printed = || fs::read_to_string(log).unwrap_or_default();
        assert!(start.elapsed() < TIMEOUT, "{what}: not in {TIMEOUT:?}\n{}", printed());
        thread::sleep(Duration::from_millis(200));
    }
}

/// A root file system with systemd, and what is to be on it.
fn root(folder: &Path) -> Root {
    let root = Root::bootstrapped(folder.join("host"), "systemd,systemd-sysv");
    let mut persist = Command::new(registrar::build().expect("registrar"));
    persist.args(["persist", "--format", "systemd", "--unit", "arm64", "s390x", "--root"]).arg(root.path());
    system::run(&mut persist).expect("persist");
    let units = root.path().join("etc/systemd/system");
    // Of this machine's user namespaces, this host's is not the first: there the unit's commands need one word more.
    let unit = fs::read_to_string(units.join("registrar.service")).expect("the unit");
    let mut commands = String::from("[Service]\n");
    for line in unit.lines() {
        if let Some((key, command)) = line.split_once('=').filter(|(key, _)| key.starts_with("ExecStart")) {
            commands += &format!("{key}=\n{key}={command} --scope=userns\n");
        }
    }
    fs::create_dir(units.join("registrar.service.d")).expect("a folder");
    fs::write(units.join("registrar.service.d/scope.conf"), commands).expect("written");
    root
}

#[test]
fn a_host_with_systemd_registers_and_keeps_its_handlers() {
    let folder = target_dir().join("containers");
    fs::create_dir_all(&folder).expect("a folder");
    let (root, log) = (root(&folder), folder.join("host.log"));
    let program = hello(&root.path().join("root"));
    let program = Path::new("/").join(program.strip_prefix(root.path()).expect("a program of the host's"));
    let program = program.to_str().expect("text");

    let host = Host::start(root.path(), &log);
    let entry = |name: &str| PathBuf::from(format!("/proc/{}/root/proc/sys/fs/binfmt_misc/{name}", host.first));
    let are_there = || ["qemu-aarch64", "qemu-s390x"].iter().all(|name| entry(name).exists());
    let show = |key: &str| host.succeeds(&["systemctl", "show", "registrar", "--value", "--property", key]);
    println!("{}", host.succeeds(&["systemctl", "status", "--no-pager", "registrar"]));
    assert_eq!(show("ActiveState"), "active\n");
    assert_eq!(show("NRestarts"), "0\n");
    assert!(are_there());
    assert_eq!(host.succeeds(&[program]), "aarch64\n");
    // systemd-binfmt had been first.
    let printed = host.succeeds(&["journalctl", "--no-pager", "--unit=registrar", "--output=cat"]);
    assert!(
        printed.contains("0 registered, 0 replaced, 2 refreshed, 0 unchanged\n") && printed.contains("verified: 2 ok"),
        "{printed}"
    );

    fs::write(entry("qemu-aarch64"), "-1").expect("removed");
    assert!(!host.run(&[program]).0);
    wait_until("put back", &log, are_there);
    assert_eq!(host.succeeds(&[program]), "aarch64\n");
    // It removes all entries, and registers what is in /etc/binfmt.d.
    host.succeeds(&["systemctl", "restart", "systemd-binfmt"]);
    wait_until("put back", &log, are_there);
    assert_eq!(host.succeeds(&[program]), "aarch64\n");
    assert_eq!((show("ActiveState"), show("NRestarts")), ("active\n".into(), "0\n".into()));
    host.succeeds(&["systemctl", "stop", "registrar"]);
    assert_eq!((show("Result"), show("ActiveState")), ("success\n".into(), "inactive\n".into()));
    assert!(are_there(), "who stops the service has not asked for an end of the handlers");
    // The word for this host, as in the unit.
    host.succeeds(&["/opt/registrar/bin/registrar", "unregister", "--scope=userns"]);
    assert!(!entry("qemu-aarch64").exists() && !entry("qemu-s390x").exists());
    drop(host);
    let rules = root.path().join("etc/binfmt.d/registrar.conf");
    assert!(rules.exists());
    let mut unpersist = Command::new(registrar::build().expect("registrar"));
    system::run(unpersist.args(["unpersist", "--root"]).arg(root.path())).expect("unpersist");
    assert!(!rules.exists() && !root.path().join("opt/registrar/bin/registrar").exists());
}
