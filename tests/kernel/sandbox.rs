//! What every test works with: its namespace, its `binfmt_misc`, the tested program, and what it says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::unistd::{Pid, getsid};

use codegen::rule::Rule;
use codegen::targets::{self, Target};
use tests::emulators::TARGETS;
use tests::namespace::Users;
use tests::{binfmt_misc, emulators, namespace};

/// An entry that is none of ours: what Debian's python3.11 package registers.
pub(crate) const PYTHON: (&str, &str) = ("python3.11", r":python3.11:M::\xa7\x0d\x0d\x0a::/usr/bin/python3.11:");

/// What every run that changes something must be told in a user namespace.
pub(crate) const SCOPE: &str = "--scope=userns";

/// The namespace of one test.
pub(crate) struct Sandbox {
    registrar: PathBuf,
    folder: PathBuf,
    scratch: PathBuf,
    keeper: RefCell<Option<Keeper>>,
}

/// A process in a session of its own, so that the namespace, and what is mounted there, seems to last: as podman's
/// pause process, or all that runs on a host.
struct Keeper(Child);

impl Keeper {
    fn new() -> Self {
        let mut command = Command::new("setsid");
        let keeper = command.args(["sleep", "600"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let keeper = Self(keeper.expect("setsid starts"));
        let id = Pid::from_raw(i32::try_from(keeper.0.id()).expect("a process"));
        while getsid(Some(id)).expect("it runs") != id {
            thread::yield_now();
        }
        keeper
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a run of `registrar` ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandResult {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Sandbox {
    pub(crate) fn enter(users: Users, mounted: bool, registrar: PathBuf, scratch: PathBuf) -> Self {
        let folder = PathBuf::from(binfmt_misc::DEFAULT_MOUNT_POINT);
        namespace::enter_unmounted(users).expect("a user namespace; are they disabled on this machine?");
        if mounted {
            namespace::mount_binfmt_misc(&folder).expect("binfmt_misc in a user namespace, which needs Linux 6.7");
        }
        emulators::mount_static_names(&scratch).expect("an overlay over /usr/bin");
        // Where a mount is found, it is not asked how long it will be there.
        let keeper = RefCell::new((!mounted).then(Keeper::new));
        Self { registrar, folder, scratch, keeper }
    }

    /// From here on nothing but the test is in the namespace.
    pub(crate) fn lose_keeper(&self) {
        self.keeper.take();
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    pub(crate) fn registrar(&self) -> &Path {
        &self.registrar
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> CommandResult {
        ran(Command::new(&self.registrar).args(scoped(arguments)))
    }

    /// Runs it while system calls fail as `inject` tells strace: only those on `path`, if one is given. Returns how it
    /// ended, and the calls to which the expression applies.
    pub(crate) fn run_injected(&self, inject: &str, path: Option<&str>, arguments: &[&str]) -> (CommandResult, String) {
        let log = self.scratch.join("strace");
        let calls = inject.split(':').next().unwrap_or_default();
        let mut strace = Command::new("strace");
        strace.arg("--quiet=all").arg("-o").arg(&log).arg(format!("-etrace={calls}")).arg(format!("-einject={inject}"));
        strace.args(path.iter().flat_map(|path| ["-P", path]));
        let ran = ran(strace.arg(&self.registrar).args(scoped(arguments)));
        (ran, fs::read_to_string(log).expect("what strace saw"))
    }

    /// Runs what must succeed without a word on standard error, and returns what it says.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let CommandResult { code, out, err } = self.run(arguments);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}: {out}");
        out
    }

    /// Runs what must fail with exactly this on standard error, changing no entry. Returns standard output.
    pub(crate) fn fails(&self, arguments: &[&str], err: &str) -> String {
        let before = self.entries();
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.err.trim_end()), (Some(1), err), "{arguments:?}: {}", ran.out);
        assert_eq!(self.entries(), before, "{arguments:?}");
        ran.out
    }

    /// Name and text of every entry.
    pub(crate) fn entries(&self) -> BTreeMap<String, String> {
        binfmt_misc::entries(&self.folder).expect("entries can be read")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.entries().into_keys().collect()
    }

    /// Registers behind the back of `registrar`.
    pub(crate) fn add(&self, line: &str) {
        fs::write(self.folder.join("register"), line).expect(line);
    }

    /// Writes to an entry's file, or to `status`.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect(name);
    }

    /// A folder with the emulators of these targets, as links.
    pub(crate) fn emulators(&self, targets: &[&str]) -> PathBuf {
        let folder = self.scratch().join("emulators");
        fs::create_dir(&folder).expect("a folder for emulators");
        for target in targets {
            let name = format!("qemu-{target}-static");
            std::os::unix::fs::symlink(Path::new("/usr/bin").join(&name), folder.join(&name)).expect("a link");
        }
        folder
    }
}

/// Arguments with the scope, where it must be named.
pub(crate) fn scoped<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let changes = arguments.iter().any(|word| ["register", "unregister"].contains(word));
    changes.then_some(SCOPE).into_iter().chain(arguments.iter().copied()).collect()
}

/// What is told of the namespace that this process is in.
pub(crate) fn remark() -> String {
    // In another root there may be none.
    let namespace = fs::read_link("/proc/self/ns/user").unwrap_or_default();
    format!("for programs of {} only", namespace.display())
}

/// What whoever is in a test's user namespace is told to do instead: where this machine is a container itself, it looks like
/// one of an ordinary user.
pub(crate) fn way_out() -> &'static str {
    match ["/run/.containerenv", "/.dockerenv"].iter().any(|mark| Path::new(mark).exists()) {
        true => "run the container as the host's root",
        false => "run as the host's root",
    }
}

/// Runs a command to its end. What it says of the namespace, which is another one each time, is left out.
pub(crate) fn ran(command: &mut Command) -> CommandResult {
    let output = command.stdin(Stdio::inherit()).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let mut out = text(output.stdout);
    for before in ["; ", ", "] {
        out = out.replace(&format!("{before}{}", remark()), "");
    }
    CommandResult { code: output.status.code(), out, err: text(output.stderr) }
}

/// The rule of a target, for an entry of this name with this interpreter and these flags.
pub(crate) fn line(target: &str, name: &str, interpreter: &str, flags: &str) -> String {
    let target = targets::by_qemu_name(target).expect("a known target");
    Rule::for_target(target, target.machines[0]).line(name, interpreter, flags)
}

/// This machine's own target.
pub(crate) fn host() -> &'static Target {
    targets::by_any_name(std::env::consts::ARCH).expect("a known host")
}

/// Names of the entries of these targets, sorted.
pub(crate) fn entry_names(is_meant: impl Fn(&Target) -> bool) -> Vec<String> {
    let machines = TARGETS.iter().filter(|target| is_meant(target)).flat_map(|target| target.machines);
    let mut names: Vec<_> = machines.map(|machine| format!("qemu-{}", machine.name)).collect();
    names.sort();
    names
}
