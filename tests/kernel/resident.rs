//! `register --stay`, and `run`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use codegen::targets;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::process;

use crate::register::{runs, test_program};
use crate::sandbox::{PYTHON, SCOPE, Sandbox, line};
use crate::{Test, test};

/// A user who is not root.
const ORDINARY: u32 = 1000;

pub(crate) const TESTS: &[Test] = &[
    test("stay/puts_back_what_others_remove", puts_back),
    test("stay/outdoes_newcomers_once_each", outdoes_newcomers),
    test("stay/leaves_translators", leaves_translators),
    test("stay/unregisters_at_the_end", unregisters_at_the_end),
    Test { mounted: false, ..test("stay/keeps_its_own_mount", keeps_its_own_mount) },
    test("stay/looks_after_what_was_asked_for", looks_after_what_was_asked_for),
    test("stay/says_a_thing_once", says_a_thing_once),
    test("stay/ends_when_it_cannot_register", ends_when_it_cannot_register),
    test("stay/as_first_process", as_first_process),
    Test { mounted: false, ..test("run/ends_as_the_program_does", ends_as_the_program_does) },
    Test { mounted: false, second_user: true, ..test("run/as_root", as_root) },
    test("run/refused_by_a_security_module", refused_by_a_security_module),
    test("run/in_a_chroot", in_a_chroot),
    test("stay/goes_on_under_nohup", goes_on_under_nohup),
    Test { uid: ORDINARY, mounted: false, ..test("run/as_an_ordinary_user", as_an_ordinary_user) },
    Test { mounted: false, ..test("run/what_stands_in_the_way", what_stands_in_the_way) },
];

/// How long a resident may take to notice, with much to spare on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Twice the time between two looks, and some.
const TWO_LOOKS: Duration = Duration::from_secs(11);

pub(crate) struct Resident(Child);

impl Resident {
    /// Starts it with files for what it says, `out` and `err`, and waits until it has registered.
    fn start_logged(sandbox: &Sandbox, options: &[&str]) -> Self {
        let file = |name| File::create(sandbox.scratch().join(name)).expect("a file");
        let mut command = Command::new(sandbox.registrar());
        command.args(["register", SCOPE, "--stay"]).args(options).stdout(file("out")).stderr(file("err"));
        let resident = Self(command.spawn().expect("started"));
        wait_until("registered", || printed(sandbox, "out").contains(" unchanged; "));
        resident
    }

    fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        let mut command = Command::new(sandbox.registrar());
        command.args(["register", SCOPE, "--stay"]).args(options);
        Self::of(&mut command)
    }

    /// Starts it, and waits until it has registered.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let sum = lines.find_map(|line| line.ok().filter(|line| line.contains(" unchanged")));
        assert!(sum.is_some(), "it ends: {:?}", child.wait());
        Self(child)
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).expect("a process"))
    }

    /// Sends a signal; gives the exit status and what was said on standard error.
    pub(crate) fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill(self.id(), signal).expect("it lives");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                break status;
            }
            assert!(start.elapsed() < TIMEOUT, "{signal}: it goes on after {TIMEOUT:?}");
            thread::sleep(Duration::from_millis(5));
        };
        let mut err = String::new();
        self.0.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
        (status.code(), err)
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a resident has said by now.
fn printed(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.scratch().join(name)).expect("what it says")
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < TIMEOUT, "{what}: not in {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn puts_back(sandbox: &Sandbox) {
    sandbox.add(PYTHON.1);
    let resident = Resident::start(sandbox, &["s390x", "m68k"]);
    let wanted = sandbox.entries();
    assert_eq!(sandbox.names(), [PYTHON.0, "qemu-m68k", "qemu-s390x"]);
    let peak = process::peak_rss(resident.id().as_raw().cast_unsigned()).expect("its memory");
    println!("a resident's peak memory: {peak} bytes");
    assert!(peak <= 2 << 20, "{peak} bytes");
    sandbox.write("qemu-s390x", "-1");
    sandbox.write("qemu-m68k", "0");
    wait_until("put back", || sandbox.entries() == wanted);
    // As systemd-binfmt, or `-1` to `status`, does.
    for name in sandbox.names() {
        sandbox.write(&name, "-1");
    }
    wait_until("put back", || sandbox.names() == ["qemu-m68k", "qemu-s390x"]);
    assert_eq!(resident.end(Signal::SIGTERM), (Some(0), String::new()));
    assert_eq!(sandbox.names(), ["qemu-m68k", "qemu-s390x"]);
}

/// Once for each newcomer: an entry of the same name that comes later is another.
fn outdoes_newcomers(sandbox: &Sandbox) {
    let s390x = targets::by_qemu_name("s390x").expect("known");
    let resident = Resident::start_logged(sandbox, &["s390x"]);
    for (turn, name) in [(1, "theirs"), (2, "others"), (3, "theirs")] {
        if turn == 3 {
            sandbox.write(name, "-1");
        }
        sandbox.add(&line("s390x", name, "/bin/false", ""));
        assert!(!runs(sandbox, s390x));
        let options = ["status", "--check", "--stay", "--unregister-on-exit", "--verify", "--scope=userns", "s390x"];
        assert_eq!(sandbox.run(&options).code, Some(1));
        wait_until("ours is first", || runs(sandbox, s390x));
        sandbox.succeeds(&options);
        let message = format!("(before: shadowed by a newer entry), before {name} (/bin/false), which stays\n");
        wait_until("told", || printed(sandbox, "out").contains(&message));
    }
    thread::sleep(TWO_LOOKS);
    assert_eq!(printed(sandbox, "out").matches("shadowed").count(), 3);
    assert_eq!(printed(sandbox, "err"), "");
    drop(resident);
    assert_eq!(sandbox.names(), ["others", "qemu-s390x", "theirs"]);
}

/// What serves the target well and was left at the start is no newcomer.
fn leaves_translators(sandbox: &Sandbox) {
    let path = sandbox.scratch().join("translator");
    fs::copy("/usr/bin/qemu-s390x-static", &path).expect("copied");
    sandbox.add(&line("s390x", "rosetta", path.to_str().expect("text"), "F"));
    let _resident = Resident::start_logged(sandbox, &[]);
    sandbox.succeeds(&["status", "--check", "--stay"]);
    thread::sleep(TWO_LOOKS);
    assert!(!sandbox.names().contains(&"qemu-s390x".to_owned()));
    sandbox.write("rosetta", "-1");
    wait_until("ours serves", || sandbox.names().contains(&"qemu-s390x".to_owned()));
}

fn unregisters_at_the_end(sandbox: &Sandbox) {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        sandbox.add(PYTHON.1);
        let resident = Resident::start(sandbox, &["--unregister-on-exit", "s390x"]);
        assert_eq!(sandbox.names(), [PYTHON.0, "qemu-s390x"]);
        assert_eq!(resident.end(signal), (Some(0), String::new()));
        assert_eq!(sandbox.names(), [PYTHON.0]);
        sandbox.write(PYTHON.0, "-1");
    }
}

/// Where `register` alone would refuse: the mount lives as long as the resident.
fn keeps_its_own_mount(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let resident = Resident::start(sandbox, &["s390x"]);
    assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")));
    sandbox.succeeds(&["status", "--check", "s390x"]);
    assert_eq!(resident.end(Signal::SIGTERM), (Some(0), String::new()));
}

/// And after nothing else that is ours, nor what others serve and is to be kept.
fn looks_after_what_was_asked_for(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let _resident = Resident::start_logged(sandbox, &["arm64,m68k", "--keep"]);
    let begin = printed(sandbox, "out");
    sandbox.succeeds(&["unregister", "s390x"]);
    sandbox.add(&line("m68k", "theirs", "/opt/m68k", ""));
    sandbox.write("qemu-m68k", "-1");
    thread::sleep(TWO_LOOKS);
    assert_eq!((printed(sandbox, "out"), printed(sandbox, "err")), (begin, String::new()));
    assert_eq!(sandbox.names(), ["qemu-aarch64", "theirs"]);
    sandbox.write("theirs", "-1");
    wait_until("put back", || sandbox.names() == ["qemu-aarch64", "qemu-m68k"]);
}

fn says_a_thing_once(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["aarch64", "m68k"]);
    let _resident = Resident::start_logged(sandbox, &["arm64,m68k", "--bindir", folder.to_str().expect("text")]);
    let healed = "all handlers are in place again\n";
    sandbox.write("status", "0");
    wait_until("told", || printed(sandbox, "err").contains("binfmt_misc is disabled"));
    thread::sleep(TWO_LOOKS);
    assert_eq!((printed(sandbox, "err").lines().count(), printed(sandbox, "out").contains(healed)), (1, false));
    sandbox.write("status", "1");
    wait_until("told", || printed(sandbox, "out").ends_with(healed));
    fs::remove_file(folder.join("qemu-m68k-static")).expect("removed");
    sandbox.write("qemu-m68k", "-1");
    wait_until("told", || printed(sandbox, "err").contains("qemu-m68k-static: no such file"));
    thread::sleep(TWO_LOOKS);
    let (out, err) = (printed(sandbox, "out"), printed(sandbox, "err"));
    assert_eq!((err.lines().count(), out.matches(", 1 failed").count()), (2, 1), "{out}{err}");
}

fn ends_when_it_cannot_register(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["m68k"]);
    let register = ["register", "--stay", "m68k,s390x", "--bindir", folder.to_str().expect("text")];
    let ran = sandbox.run(&register);
    assert_eq!((ran.code, ran.err.lines().count()), (Some(1), 1));
    assert_eq!(sandbox.names(), ["qemu-m68k"]);
    let ran = sandbox.run(&[&register[..], &["--unregister-on-exit"]].concat());
    assert_eq!((ran.code, ran.err.lines().count()), (Some(1), 1));
    assert!(sandbox.names().is_empty());
}

/// As in a container: PID 1 gets no signal that it has not asked for.
fn as_first_process(sandbox: &Sandbox) {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]).arg(sandbox.registrar());
    command.args(["register", SCOPE, "--stay", "--unregister-on-exit", "s390x"]);
    let mut outer = command.stdout(Stdio::null()).spawn().expect("unshare(1) starts");
    wait_until("registered", || sandbox.names() == ["qemu-s390x"]);
    let children = format!("/proc/{0}/task/{0}/children", outer.id());
    let first = fs::read_to_string(children).expect("its child").trim().parse().expect("a process");
    kill(Pid::from_raw(first), Signal::SIGTERM).expect("it lives");
    let status = outer.wait().expect("it ends");
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert!(sandbox.names().is_empty());
}

fn ends_as_the_program_does(sandbox: &Sandbox) {
    let s390x = targets::by_qemu_name("s390x").expect("known");
    let program = test_program(sandbox, s390x);
    let program = program.to_str().expect("text");
    assert!(!runs(sandbox, s390x));
    assert_eq!(sandbox.run(&["run", program]).code, Some(29));
    assert_eq!(sandbox.run(&["run", "--", "sh", "-c", "exit 7"]).code, Some(7));
    assert_eq!(sandbox.run(&["run", "sh", "-c", &format!("{program}; echo $?")]).out, "29\n");
    let killed = Command::new(sandbox.registrar()).args(["run", "sh", "-c", "kill -9 $$"]).status().expect("it ran");
    assert_eq!(killed.signal(), Some(9));
    // Nothing of it is to be seen outside.
    assert!(!runs(sandbox, s390x) && !sandbox.folder().join("status").exists());
}

/// Root has as many ids in there as outside: `chown`, `su` and package managers need others than 0.
fn as_root(sandbox: &Sandbox) {
    let file = sandbox.scratch().join("file");
    fs::write(&file, "").expect("written");
    let program = test_program(sandbox, targets::by_qemu_name("s390x").expect("known"));
    let command = format!(
        "chown 1:1 {0} && stat -c %u:%g {0} && setpriv --reuid=1 --regid=1 --groups=1 id -u && {1}; echo $?",
        file.display(),
        program.display()
    );
    let ran = sandbox.run(&["run", "sh", "-c", &command]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "1:1\n1\n29\n", ""));
    // Without the capabilities for that, root has itself alone, as before.
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid"]);
    command.arg(sandbox.registrar()).args(["run", "sh", "-c"]).arg(format!("{}; echo $?", program.display()));
    assert_eq!(crate::sandbox::ran(&mut command).out, "29\n");
}

/// nohup(1) ignores SIGHUP, and so does what it starts.
fn goes_on_under_nohup(sandbox: &Sandbox) {
    let mut command = Command::new("nohup");
    let resident = Resident::of(command.arg(sandbox.registrar()).args(["register", SCOPE, "--stay", "s390x"]));
    kill(Pid::from_raw(i32::try_from(resident.0.id()).expect("a process")), Signal::SIGHUP).expect("it lives");
    thread::sleep(TWO_LOOKS);
    sandbox.write("qemu-s390x", "-1");
    wait_until("put back", || sandbox.names() == ["qemu-s390x"]);
    assert_eq!(resident.end(Signal::SIGTERM).0, Some(0));
}

/// There the kernel makes no user namespace, whoever asks.
fn in_a_chroot(sandbox: &Sandbox) {
    let root = sandbox.scratch().join("chroot");
    fs::create_dir_all(root.join("proc")).expect("a folder");
    fs::copy(sandbox.registrar(), root.join("registrar")).expect("copied");
    let bound = nix::mount::mount(
        Some("/proc"),
        &root.join("proc"),
        None::<&str>,
        nix::mount::MsFlags::MS_BIND | nix::mount::MsFlags::MS_REC,
        None::<&str>,
    );
    bound.expect("/proc");
    let ran = crate::sandbox::ran(Command::new("chroot").arg(&root).args(["/registrar", "run", "true"]));
    let err = "making a user namespace: operation not permitted; the kernel makes none in a chroot: run it outside, or \
               in a container\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(125), err));
}

fn as_an_ordinary_user(sandbox: &Sandbox) {
    let program = test_program(sandbox, targets::by_qemu_name("aarch64").expect("known"));
    let command = format!("id -u; id -g; {}; echo $?", program.display());
    let ran = sandbox.run(&["run", "sh", "-c", &command]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "1000\n1000\n29\n", ""));
}

fn what_stands_in_the_way(sandbox: &Sandbox) {
    let ran = sandbox.run(&["run", "/nonexistent"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(127), "starting /nonexistent: no such file or directory\n"));
    let ran = sandbox.run(&["run", "/etc/passwd"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(126), "starting /etc/passwd: permission denied\n"));
    for words in [&["run"][..], &["run", "--nonsense", "true"], &["run", "--bindir", "opt", "true"]] {
        let ran = sandbox.run(words);
        assert_eq!((ran.code, ran.err.lines().count()), (Some(125), 1), "{}", ran.err);
    }
    assert_eq!(sandbox.run(&["register", "--nonsense"]).code, Some(1));
    // What could not be registered hinders nobody else.
    let folder = sandbox.emulators(&["s390x"]);
    let program = test_program(sandbox, targets::by_qemu_name("s390x").expect("known"));
    for (option, lines) in [("-v", 1), ("-q", 0)] {
        let words = ["run", option, "--bindir", folder.to_str().expect("text"), program.to_str().expect("text")];
        let ran = sandbox.run(&words);
        assert_eq!((ran.code, ran.err.lines().count()), (Some(29), lines), "{}", ran.err);
        assert!(!ran.out.contains("registered"), "{}", ran.out);
    }
    fs::remove_file(folder.join("qemu-s390x-static")).expect("removed");
    let ran = sandbox.run(&["run", "--bindir", folder.to_str().expect("text"), "true"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.lines().count()), (Some(125), "", 1));
    assert!(ran.err.contains("no such file; --bindir names"), "{}", ran.err);
    let cases = [
        (
            "unshare:error=EPERM",
            "making a user namespace: operation not permitted; this host or container forbids it \
             (sysctl user.max_user_namespaces; in containers seccomp)\n",
        ),
        (
            "mount:error=EPERM:when=2",
            "user namespaces cannot mount binfmt_misc here: it needs Linux 6.7; AppArmor may forbid it (sysctl \
             kernel.apparmor_restrict_unprivileged_userns, or the profile in deploy/apparmor)\n",
        ),
    ];
    for (inject, err) in cases {
        let (ran, _) = sandbox.run_injected(inject, None, &["run", "true"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(125), err), "{inject}");
    }
}

/// Which security module may have refused it is told by this process's own label.
fn refused_by_a_security_module(sandbox: &Sandbox) {
    let (none, file) = (None::<&str>, |name: &str| sandbox.scratch().join(name));
    fs::write(file("filesystems"), "nodev\tselinuxfs\n").expect("written");
    mount(Some(&file("filesystems")), "/proc/filesystems", none, MsFlags::MS_BIND, none).expect("bound");
    let advice = [
        ("u:system_r:container_t:s0:c1,c2\0", "SELinux may forbid it; in a container: --security-opt label=disable"),
        (
            "docker-default (enforce)\n",
            "AppArmor's docker-default may forbid it; in a container: --security-opt apparmor=unconfined",
        ),
        (
            "unprivileged_userns (enforce)\n",
            "AppArmor may forbid it (sysctl kernel.apparmor_restrict_unprivileged_userns, or the profile in deploy/apparmor)",
        ),
    ];
    let calls = [
        ("unshare:error=EACCES", "making a user namespace: permission denied"),
        ("mount:error=EACCES:when=1", "making / a slave mount: permission denied"),
        ("mount:error=EACCES:when=2", "user namespaces cannot mount binfmt_misc here: it needs Linux 6.7"),
    ];
    for (label, advice) in advice {
        fs::write(file("label"), label).expect("written");
        // The tracer is not the process that is labelled.
        let script =
            "mount --bind $1 /proc/$$/attr/current && exec strace -D -qq -o /dev/null -e inject=$2 $3 run true";
        for (inject, cause) in calls {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, "sh"]).arg(file("label")).arg(inject).arg(sandbox.registrar());
            let ran = crate::sandbox::ran(&mut shell);
            assert_eq!((ran.code, ran.err), (Some(125), format!("{cause}; {advice}\n")), "{label} {inject}");
        }
    }
}
