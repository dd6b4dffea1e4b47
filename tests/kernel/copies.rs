//! `register --copy-to`: emulators are put in place whole and labelled, or not at all, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use codegen::targets::{self, Target};
use nix::mount::{MsFlags, mount};

use tests::random;

use crate::register::{runs, test_program};
use crate::sandbox::{CommandResult, SCOPE, Sandbox, ran, scoped};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("copies/are_registered_and_stay_the_same", are_registered),
    test("copies/as_the_environment_says", as_the_environment_says),
    test("copies/where_the_emulators_are_already", where_they_are_already),
    test("copies/replace_what_is_in_use", replace_what_is_in_use),
    test("copies/are_labelled", are_labelled),
    test("copies/that_would_not_fit", that_would_not_fit),
    test("copies/that_fail_halfway", that_fail_halfway),
    test("copies/of_a_dry_run", of_a_dry_run),
    test("copies/wait_for_each_other", wait_for_each_other),
    test("copies/killed_at_random_moments", killed),
];

const NAMES: [&str; 2] = ["m68k", "s390x"];

const LABEL: &str = "system_u:object_r:bin_t:s0";

const RANDOM_KILLS: usize = 50;

const SIGKILL: i32 = 9;

/// Where a test copies to: in memory, with labels of this namespace's own, and limited.
fn folder(sandbox: &Sandbox, size: &str) -> PathBuf {
    let folder = sandbox.scratch().join("host");
    fs::create_dir(&folder).expect("a folder");
    let options = format!("size={size}");
    mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).expect("a tmpfs");
    folder
}

/// Emulators that differ from this machine's by `more` bytes at the end, which mean nothing.
fn originals(sandbox: &Sandbox, more: usize) -> PathBuf {
    let folder = sandbox.scratch().join(format!("originals-{more}"));
    fs::create_dir(&folder).expect("a folder");
    for name in NAMES {
        let mut bytes = fs::read(emulator(Path::new("/usr/bin"), name)).expect("an emulator");
        bytes.resize(bytes.len() + more, 0);
        fs::write(emulator(&folder, name), bytes).expect("written");
        fs::set_permissions(emulator(&folder, name), fs::Permissions::from_mode(0o755)).expect("executable");
    }
    folder
}

fn emulator(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("qemu-{name}-static"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn target(name: &str) -> &'static Target {
    targets::by_qemu_name(name).expect("known")
}

fn label(path: &Path) -> Option<String> {
    let mut found = [0; 100];
    let length = rustix::fs::lgetxattr(path, "security.selinux", &mut found).ok()?;
    Some(String::from_utf8_lossy(&found[..length]).into_owned())
}

/// Names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// `register --copy-to` of both, from a folder or from `/usr/bin`.
fn copying<'a>(to: &'a Path, from: Option<&'a Path>, more: &[&'a str]) -> Vec<&'a str> {
    let from = from.map(|from| ["--bindir", text(from)]);
    let from = from.iter().flatten().copied();
    ["register", "--copy-to", text(to)].into_iter().chain(from).chain(more.iter().copied()).chain(NAMES).collect()
}

fn are_registered(sandbox: &Sandbox) {
    // More than one level is made.
    let to = folder(sandbox, "64m").join("a/b");
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(sandbox.registrar()).args(scoped(&copying(
        &to,
        None,
        &[],
    )));
    let CommandResult { code, out, err } = ran(&mut command);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let shown = to.display();
    assert_eq!(
        out,
        format!(
            "emulators in {shown}: 2 copied, 0 unchanged\n\
             qemu-m68k   registered    {shown}/qemu-m68k-static\n\
             qemu-s390x  registered    {shown}/qemu-s390x-static\n\
             2 registered, 0 replaced, 0 unchanged\n"
        )
    );
    assert_eq!(names(&to), ["qemu-m68k-static", "qemu-s390x-static"]);
    let inodes = || NAMES.map(|name| fs::metadata(emulator(&to, name)).expect("a file").ino());
    let before = inodes();
    for name in NAMES {
        assert_eq!(fs::metadata(emulator(&to, name)).expect("a file").mode() & 0o7777, 0o755);
        assert_eq!(label(&emulator(&to, name)), None);
        assert!(runs(sandbox, target(name)), "{name}");
    }
    // Killed runs' files go, others' stay.
    fs::write(to.join(".qemu-arm-static.registrar-new"), "half").expect("written");
    fs::write(to.join("other.registrar-new"), "theirs").expect("written");
    fs::set_permissions(emulator(&to, "m68k"), fs::Permissions::from_mode(0o700)).expect("changed");
    let again = sandbox.succeeds(&copying(&to, None, &[]));
    assert!(again.contains(": 0 copied, 2 unchanged\n") && again.contains("\n0 registered, 0 replaced, 2 "), "{again}");
    assert_eq!(inodes(), before);
    assert_eq!(names(&to), ["other.registrar-new", "qemu-m68k-static", "qemu-s390x-static"]);
    assert_eq!(fs::metadata(emulator(&to, "m68k")).expect("a file").mode() & 0o7777, 0o755);
}

fn as_the_environment_says(sandbox: &Sandbox) {
    let to = folder(sandbox, "64m");
    let run = |arguments: &[&str], chcon: &str| {
        let mut command = Command::new(sandbox.registrar());
        command.args(scoped(arguments)).env("BINDIR", &to).env("CHCON", chcon);
        ran(&mut command)
    };
    let CommandResult { code, out, err } = run(&["register", "s390x"], "-t bin_t");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.starts_with(&format!("emulators in {}: 1 copied, 0 unchanged, labelled {LABEL}\n", to.display())),
        "{out}"
    );
    assert_eq!(label(&emulator(&to, "s390x")).as_deref(), Some(LABEL));
    assert!(runs(sandbox, target("s390x")));
    // Other commands look for them there.
    assert_eq!(run(&["status", "--check", "s390x"], "").code, Some(0));
    // Where the emulators are is said on the command line: nothing is copied.
    let out = run(&["register", "s390x", "--bindir", "/usr/bin/"], "").out;
    assert!(out.starts_with("qemu-s390x  replaced      /usr/bin/qemu-s390x-static (before"), "{out}");
    let bad = run(&["register", "s390x"], "-R");
    assert_eq!(bad.err, "CHCON '-R': not -t TYPE or a full label\n");
}

fn where_they_are_already(sandbox: &Sandbox) {
    // Not /usr/bin itself, where the distribution may have links, which would be replaced.
    let there = sandbox.scratch().join("there");
    fs::create_dir(&there).expect("a folder");
    fs::copy("/usr/bin/qemu-s390x-static", emulator(&there, "s390x")).expect("copied");
    let inode = || fs::metadata(emulator(&there, "s390x")).expect("an emulator").ino();
    let before = inode();
    let link = sandbox.scratch().join("link");
    symlink(&there, &link).expect("a link");
    for to in [&there, &link] {
        let out = sandbox.succeeds(&["register", "--bindir", text(&there), "--copy-to", text(to), "s390x"]);
        assert!(out.starts_with(&format!("emulators in {}: 0 copied, 1 unchanged\n", to.display())), "{out}");
    }
    assert_eq!(inode(), before);
    // Some image has none, and the host has them.
    let (to, empty) = (originals(sandbox, 0), sandbox.scratch().join("empty"));
    fs::create_dir(&empty).expect("a folder");
    let out = sandbox.succeeds(&copying(&to, Some(&empty), &[]));
    assert!(out.contains(": 0 copied, 0 unchanged\n") && out.contains("qemu-m68k   registered    /"), "{out}");
    // A link there is not the file that a container needs.
    let links = sandbox.emulators(&["s390x"]);
    sandbox.succeeds(&["register", "--copy-to", text(&links), "s390x"]);
    assert!(fs::symlink_metadata(emulator(&links, "s390x")).expect("a file").is_file());
    let missing = sandbox.scratch().join("missing");
    sandbox.fails(
        &["register", "--bindir", text(&missing), "--copy-to", text(&to)],
        &format!("--bindir {}: no such directory", missing.display()),
    );
}

/// An emulator that the kernel holds cannot be written to; a program that runs goes on with the old one.
fn replace_what_is_in_use(sandbox: &Sandbox) {
    let to = folder(sandbox, "128m");
    let other = originals(sandbox, 1);
    sandbox.succeeds(&copying(&to, None, &[]));
    let mut command = Command::new(test_program(sandbox, target("s390x")));
    // It reads to see how many words it has, and waits for what it has started.
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it runs");
    let refused = File::options().write(true).open(emulator(&to, "s390x")).expect_err("in use").to_string();
    assert!(refused.contains("Text file busy"), "{refused}");
    let out = sandbox.succeeds(&copying(&to, Some(&other), &[]));
    assert!(out.contains(": 2 copied, 0 unchanged\n"), "{out}");
    assert!(out.contains("qemu-s390x-static\n0 registered, 0 replaced, 2 refreshed"), "{out}");
    child.wait().expect("it ended");
    for name in NAMES {
        assert!(runs(sandbox, target(name)), "{name}");
        assert_eq!(fs::read(emulator(&to, name)).ok(), fs::read(emulator(&other, name)).ok());
    }
    fs::remove_file(emulator(&to, "s390x")).expect("removed");
    let out = sandbox.succeeds(&copying(&to, Some(&other), &[]));
    assert!(
        out.contains(": 1 copied, 1 unchanged\n") && out.contains("0 registered, 0 replaced, 2 refreshed"),
        "{out}"
    );
}

fn are_labelled(sandbox: &Sandbox) {
    let to = folder(sandbox, "64m");
    let s390x = emulator(&to, "s390x");
    let inode = || fs::metadata(&s390x).expect("a file").ino();
    sandbox.succeeds(&copying(&to, None, &["--selinux-label", "none"]));
    let before = inode();
    // What is in use is labelled where it is: the kernel goes on using it.
    for (wanted, expected) in [("bin_t", LABEL), ("a:b:c", "a:b:c")] {
        let out = sandbox.succeeds(&copying(&to, None, &["--selinux-label", wanted]));
        assert!(out.contains(&format!(": 0 copied, 2 unchanged, labelled {expected}\n")), "{out}");
        assert_eq!((label(&s390x).as_deref(), inode()), (Some(expected), before));
    }
    // SELinux is off on a machine that tests this, or its label would be that of every file.
    sandbox.succeeds(&copying(&to, None, &["--selinux-label", "auto"]));
    assert_eq!(label(&s390x).as_deref(), Some("a:b:c"));
    let arguments = copying(&to, None, &["--selinux-label", "bin_t"]);
    sandbox.succeeds(&arguments);
    // One that is new gets its name only with its label.
    fs::remove_file(&s390x).expect("removed");
    let before = sandbox.entries();
    for (error, cause) in [("EPERM", "not permitted"), ("EOPNOTSUPP", "the file system has no labels")] {
        let (ran, _) = sandbox.run_injected(&format!("fsetxattr:error={error}"), None, &arguments);
        let printed = format!("labelling {}/qemu-", to.display());
        let advice = format!("{LABEL}: {cause}; what was there stays; see --selinux-label, also none\n");
        assert!(ran.code == Some(1) && ran.err.starts_with(&printed) && ran.err.ends_with(&advice), "{ran:?}");
        assert_eq!((names(&to), sandbox.entries()), (vec!["qemu-m68k-static".to_owned()], before.clone()));
    }
}

fn that_would_not_fit(sandbox: &Sandbox) {
    let length = |name| fs::metadata(emulator(Path::new("/usr/bin"), name)).expect("an emulator").len();
    // Room for both, and for half of what comes then.
    let to = folder(sandbox, &format!("{}k", (length("m68k") + length("s390x")) / 1024 * 3 / 2));
    sandbox.succeeds(&copying(&to, None, &[]));
    let other = originals(sandbox, 1);
    let (files, inodes) = (names(&to), NAMES.map(|name| fs::metadata(emulator(&to, name)).expect("a file").ino()));
    let before = sandbox.entries();
    let ran = sandbox.run(&copying(&to, Some(&other), &[]));
    let expected = format!("{}: too little space: ", to.display());
    assert!(ran.code == Some(1) && ran.err.starts_with(&expected) && ran.err.lines().count() == 1, "{ran:?}");
    assert!(ran.err.ends_with(" free; nothing was changed; free some, or name fewer architectures\n"), "{ran:?}");
    assert_eq!((sandbox.entries(), names(&to)), (before, files));
    assert_eq!(NAMES.map(|name| fs::metadata(emulator(&to, name)).expect("a file").ino()), inodes);
    assert!(runs(sandbox, target("s390x")));
}

/// What the file system had said before does not hold: somebody else writes there too.
fn that_fail_halfway(sandbox: &Sandbox) {
    let length = |name| fs::metadata(emulator(Path::new("/usr/bin"), name)).expect("an emulator").len();
    let to = folder(sandbox, &format!("{}k", (length("m68k") + length("s390x")) / 1024 * 3 / 2));
    sandbox.succeeds(&copying(&to, None, &[]));
    let other = originals(sandbox, 1);
    let files = || NAMES.map(|name| fs::read(emulator(&to, name)).expect("a file").len());
    let (before, lengths) = (sandbox.entries(), files());
    let written = "no space left on device; what was there stays\n";
    for (inject, cause) in [
        ("fstatfs:error=ENOSYS", written),
        ("fsync:error=EIO", "what was there stays\n"),
        ("rename:error=EPERM", "not permitted; run as root of the host; what was there stays\n"),
        (
            "fchmod:error=EROFS",
            "read-only; in a container, mount a folder of the host: -v DIR:DIR; what was there stays\n",
        ),
    ] {
        // The first only gets as far as the disk is full.
        let from = if cause == written { originals(sandbox, length("m68k") as usize) } else { other.clone() };
        let names_alone: &[&str] = if cause == written { &NAMES } else { &["m68k"] };
        let arguments = [&["register", "--copy-to", text(&to), "--bindir", text(&from)], names_alone].concat();
        let (ran, _) = sandbox.run_injected(inject, None, &arguments);
        assert!(ran.code == Some(1) && ran.err.ends_with(cause), "{inject}: {ran:?}");
        assert_eq!((sandbox.entries(), files()), (before.clone(), lengths), "{inject}");
        assert_eq!(names(&to).len(), NAMES.len(), "{inject}");
        assert!(runs(sandbox, target("s390x")), "{inject}");
    }
}

fn of_a_dry_run(sandbox: &Sandbox) {
    let to = sandbox.scratch().join("to");
    let out = sandbox.succeeds(&copying(&to, None, &["--dry-run", "--no-fix-binary"]));
    let sum = "nothing done: 2 to register, 0 to replace, 0 unchanged; emulators to be copied to";
    assert!(out.contains(sum), "{out}");
    assert!(!to.exists() && sandbox.names().is_empty());
}

/// The lock is a file that is there only as long as a run.
fn wait_for_each_other(sandbox: &Sandbox) {
    let to = folder(sandbox, "64m");
    let lock = to.join(".registrar-lock");
    let held = File::options().write(true).create_new(true).mode(0o600).open(&lock).expect("a lock");
    held.lock().expect("a lock");
    let mut command = Command::new(sandbox.registrar());
    let mut child = command.args(scoped(&copying(&to, None, &[]))).stdout(Stdio::null()).spawn().expect("started");
    thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().expect("a child").is_none() && names(&to) == [".registrar-lock"]);
    // As a run ends.
    fs::remove_file(&lock).expect("removed");
    drop(held);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(names(&to).len(), NAMES.len());
}

/// What is in the folder under the emulators' names is one of the two versions, whole and labelled, and runs.
fn killed(sandbox: &Sandbox) {
    let mut random = random::seeded("copies");
    let to = folder(sandbox, "256m");
    let versions = [originals(sandbox, 1), originals(sandbox, 4096)];
    let contents = |folder: &Path| -> BTreeMap<&str, Vec<u8>> {
        NAMES.iter().map(|name| (*name, fs::read(emulator(folder, name)).expect("an emulator"))).collect()
    };
    let wanted = [contents(&versions[0]), contents(&versions[1])];
    let more = ["--selinux-label", "bin_t"];
    let begin = Instant::now();
    sandbox.succeeds(&copying(&to, Some(&versions[1]), &more));
    let mut span = begin.elapsed();
    let (mut hits, mut halves, mut mixed) = (0, 0, 0);
    for turn in 0..RANDOM_KILLS {
        let from = &versions[turn % 2];
        let delay = span.mul_f64(random.f64());
        let mut command = Command::new(sandbox.registrar());
        command.args(copying(&to, Some(from), &more)).arg(SCOPE).stdout(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        thread::sleep(delay);
        child.kill().expect("killed, or ended");
        let is_killed = child.wait().expect("it ended").signal() == Some(SIGKILL);
        hits += usize::from(is_killed);
        span = span.mul_f64(if is_killed { 1.05 } else { 0.9 });
        let context = format!("kill {turn} after {delay:?}");
        let found = contents(&to);
        for name in NAMES {
            assert!(wanted.iter().any(|wanted| wanted[name] == found[name]), "{context}: {name} is not whole");
            assert_eq!(label(&emulator(&to, name)).as_deref(), Some(LABEL), "{context}: {name}");
            assert!(runs(sandbox, target(name)), "{context}: {name} does not run");
        }
        for (name, text) in sandbox.entries() {
            assert!(text.contains(&format!("interpreter {}/qemu-", to.display())), "{context}: {name}: {text}");
        }
        halves += usize::from(names(&to).len() > NAMES.len());
        mixed += usize::from(!wanted.contains(&found));
        sandbox.succeeds(&copying(&to, Some(from), &more));
        assert_eq!((contents(&to), names(&to).len()), (wanted[turn % 2].clone(), NAMES.len()), "{context}");
    }
    println!(
        "copies: {RANDOM_KILLS} kills, {hits} before the end: no emulator was half-written or without its label; \
         {halves} left a file in the making, {mixed} one new and one old; each next run ended clean"
    );
    assert!(halves + mixed >= RANDOM_KILLS / 10, "too few kills hit: {halves} {mixed}");
}
