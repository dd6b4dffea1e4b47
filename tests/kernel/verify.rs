//! What `verify` finds: foreign programs that run, each thing that may be wrong with them told apart, and the places
//! from which it looks.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use codegen::targets;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tests::emulators::TARGETS;

use crate::register::runs;
use crate::sandbox::{CommandResult, Sandbox, entry_names, host, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("verify/every_target", every_target),
    Test { second_user: true, ..test("verify/ordinary_user", ordinary_user) },
    test("verify/json", json),
    test("verify/broken_emulators", broken_emulators),
    test("verify/emulators_that_cannot_start", emulators_that_cannot_start),
    test("verify/no_handler", no_handler),
    test("verify/native", native),
    test("verify/nothing_registered", nothing_registered),
    test("verify/without_flag_f", without_flag_f),
    test("verify/preserved_argv0", preserved_argv0),
    Test { second_user: true, ..test("verify/set_user_id", set_user_id) },
    test("verify/set_user_id_without_a_second_user", set_user_id_without_a_second_user),
    test("verify/rules_of_others", rules_of_others),
    Test { second_user: true, ..test("verify/flags_of_others_below", flags_of_others_below) },
    test("verify/kinds_of_programs", kinds_of_programs),
    test("verify/refused_programs", refused_programs),
    Test { mounted: false, ..test("verify/nothing_to_read", nothing_to_read) },
    test("verify/wait", wait),
    test("verify/repeat", repeat),
    test("verify/from_a_folder", from_a_folder),
    test("verify/from_a_folder_that_others_cannot_enter", from_a_private_folder),
    test("verify/from_memory", from_memory),
    test("verify/no_place", no_place),
    test("verify/mounts_show_nowhere", mounts_show_nowhere),
    test("verify/nobody_waits_any_more", nobody_waits_any_more),
    test("verify/with_register", with_register),
    test("verify/with_register_without_flag_f", with_register_without_flag_f),
];

/// What `verify --json` says, and whether the exit status says the same.
fn found(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    parsed(&sandbox.run(&[&["verify", "--json"], arguments].concat()))
}

fn parsed(ran: &CommandResult) -> Value {
    let found: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let good = found["good"].as_bool().expect("whether all is well");
    assert_eq!((ran.code, ran.err.is_empty()), (Some(i32::from(!good)), good), "{ran:?}");
    let handlers = found["handlers"].as_array().expect("handlers");
    assert_eq!(good, handlers.iter().all(|handler| handler["good"] == true), "{}", ran.out);
    found
}

fn of<'v>(found: &'v Value, target: &str) -> &'v Value {
    let handlers = found["handlers"].as_array().expect("handlers");
    let name = format!("qemu-{target}");
    handlers.iter().find(|handler| handler["name"] == name.as_str()).unwrap_or_else(|| panic!("{name}: {found}"))
}

/// Result and detail.
fn result(found: &Value, target: &str) -> (String, String) {
    let text = |key: &str| of(found, target)[key].as_str().unwrap_or_default().to_owned();
    (text("result"), text("detail"))
}

fn expect(found: &Value, target: &str, result_and_detail: (&str, &str)) {
    let (word, detail) = result(found, target);
    assert_eq!((word.as_str(), detail.as_str()), result_and_detail, "{target}");
}

/// Compiles a C program, static or as the compiler does by itself.
fn compile(source: &Path, program: &Path, is_static: bool) {
    let compiler = if is_static { "musl-gcc" } else { "gcc" };
    let mut command = Command::new(compiler);
    command.args(is_static.then_some("-static")).args(["-Os", "-s", "-w", "-o"]).arg(program).arg(source);
    let output = command.output().unwrap_or_else(|error| panic!("{compiler}: {error}; install musl-tools and gcc"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A folder with a stand-in for each of these targets' emulators.
pub(crate) fn stand_ins(sandbox: &Sandbox, targets: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernel/verify/emulator.c");
    let program = sandbox.scratch().join("stand-in");
    compile(&source, &program, true);
    let folder = sandbox.emulators(&[]);
    for target in targets {
        symlink(&program, folder.join(format!("qemu-{target}-static"))).expect("a link");
    }
    folder
}

/// Runs `verify` and what it starts while system calls fail as `inject` tells strace.
fn injected(sandbox: &Sandbox, inject: &str, arguments: &[&str]) -> CommandResult {
    let calls = inject.split(':').next().unwrap_or_default();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null"]).arg(format!("-etrace={calls}")).arg(format!("-einject={inject}"));
    ran(strace.arg(sandbox.registrar()).arg("verify").args(arguments))
}

fn every_target(sandbox: &Sandbox) {
    let expected = entry_names(|target| target.qemu != host().qemu && !runs(sandbox, target));
    sandbox.succeeds(&["register"]);
    let before = sandbox.entries();
    let out = sandbox.succeeds(&["verify"]);
    assert_eq!(sandbox.entries(), before);
    let mut lines = out.lines();
    let heading: Vec<_> = lines.next().expect("a heading").split_whitespace().collect();
    assert_eq!(heading, ["ENTRY", "TARGET", "RESULT", "DETAIL"]);
    for name in &expected {
        let cells: Vec<_> = lines.next().expect(name).split_whitespace().collect();
        assert_eq!((cells[0], cells[2], cells.len()), (name.as_str(), "ok", 3), "{out}");
    }
    assert_eq!(lines.next(), Some(format!("{} ok; in an empty root", expected.len()).as_str()));
    assert_eq!(lines.next(), None);
}

/// From a user namespace of his own, where nothing is mounted, so that what root has registered serves him.
fn ordinary_user(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "m68k"]);
    fs::set_permissions(sandbox.scratch(), Permissions::from_mode(0o755)).expect("open to all");
    let program = sandbox.scratch().join("registrar");
    fs::copy(sandbox.registrar(), &program).expect("copied");
    let mut verify = Command::new("setpriv");
    verify.args(["--reuid=1", "--regid=1", "--clear-groups"]).arg(&program).args(["verify", "--json"]);
    let found = parsed(&ran(&mut verify));
    assert_eq!(found["proven"], "namespace");
    expect(&found, "s390x", ("ok", ""));
}

fn json(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "m68k"]);
    let found = found(sandbox, &[]);
    let keys: Vec<_> = found.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["caveat", "enabled", "good", "handlers", "mount", "origin", "proven", "qemu", "registrar"]);
    let head = ["mount", "enabled", "proven", "caveat"].map(|key| found[key].clone());
    assert_eq!(Value::from(head.to_vec()), serde_json::json!(["/proc/sys/fs/binfmt_misc", true, "namespace", null]));
    let expected = serde_json::json!({
        "name": "qemu-s390x", "target": "s390x", "platform": "linux/s390x", "result": "ok", "good": true,
        "entry": "qemu-s390x", "interpreter": "/usr/bin/qemu-s390x-static", "flags": "POF", "detail": null, "said": null,
    });
    assert_eq!(of(&found, "s390x"), &expected);
    assert_eq!(found["handlers"].as_array().map(Vec::len), Some(2));
}

fn broken_emulators(sandbox: &Sandbox) {
    let broken = ["arm", "hppa", "m68k", "alpha", "sh4", "sh4eb", "or1k", "ppc"];
    let folder = stand_ins(sandbox, &broken);
    let folder = folder.to_str().expect("text");
    sandbox.succeeds(&["register", &broken.join(","), "--bindir", folder, "--flags=F"]);
    sandbox.succeeds(&["register", "s390x"]);
    let start = Instant::now();
    let found = found(sandbox, &["--timeout", "1"]);
    assert!(start.elapsed() < Duration::from_secs(5), "one second is the limit");
    let other = "try another build of the emulator";
    expect(&found, "s390x", ("ok", ""));
    expect(&found, "arm", ("crashed", &format!("{folder}/qemu-arm-static was killed by SIGSEGV; {other}")));
    assert_eq!(of(&found, "arm")["said"], r"qemu: \u{1b}[1mit is\tbroken", "one line, and no control characters");
    let late = format!("no end within the time; {other}, or give it more with --timeout");
    expect(&found, "hppa", ("timeout", &late));
    expect(&found, "m68k", ("wrong-argv0", "its name arrived as 'another ': its emulator wants flag P"));
    expect(&found, "alpha", ("wrong-status", &format!("exit status 7, not 29; {other}")));
    let cases = [
        ("sh4", format!("a foreign program could not start another; {other}")),
        ("sh4eb", format!("a foreign program could not write or fork; {other}")),
        ("or1k", format!("one started by another ended with 0, not 29; {other}")),
    ];
    for (target, detail) in cases {
        expect(&found, target, ("no-second-program", &detail));
    }
    let when = "after its first words, at fork, exec or wait";
    expect(&found, "ppc", ("crashed", &format!("{folder}/qemu-ppc-static was killed by SIGILL {when}; {other}")));
    let program = sandbox.scratch().join("stand-in");
    wait_for("whoever is late is ended with all it started", || still_running(&program) == 0);

    let ran = sandbox.run(&["verify", "arm", "s390x"]);
    assert_eq!(ran.out.lines().last(), Some("1 ok, 1 crashed; in an empty root"));
    let err = format!("verifying qemu-arm: crashed: {folder}/qemu-arm-static was killed by SIGSEGV; {other}\n");
    assert_eq!(ran.err, err);
    let ran = sandbox.run(&["verify", "--timeout", "1"]);
    assert!(ran.err.starts_with("verifying 8 handlers (qemu-alpha, qemu-arm, qemu-hppa, …), first: "), "{}", ran.err);
    assert!(!ran.out.contains('\u{1b}'), "{}", ran.out);
}

/// How many processes execute this file.
fn still_running(program: &Path) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc");
    let executes = |entry: &fs::DirEntry| {
        let is_zombie = || fs::read_to_string(entry.path().join("stat")).is_ok_and(|stat| stat.contains(") Z "));
        fs::read_link(entry.path().join("exe")).is_ok_and(|path| path == program) && !is_zombie()
    };
    processes.filter_map(Result::ok).filter(executes).count()
}

fn emulators_that_cannot_start(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let file = |target: &str| folder.join(format!("qemu-{target}-static"));
    let source = sandbox.scratch().join("dynamic.c");
    fs::write(&source, "int main(void) { return 29; }\n").expect("written");
    compile(&source, &file("m68k"), false);
    let foreign = codegen::probe::executable(host_foreign(), host_foreign().machines[0]).expect("a program");
    let files: [(&str, &[u8]); 3] = [("sh4", b"#!/bin/sh\nexit 29\n"), ("arm", b"no program"), ("hppa", &foreign)];
    for (target, content) in files {
        fs::write(file(target), content).expect("written");
        fs::set_permissions(file(target), Permissions::from_mode(0o755)).expect("executable");
    }
    let folder = folder.to_str().expect("text");
    // Behind the back of `registrar`, which need not take such files.
    for target in ["s390x", "m68k", "sh4", "arm", "hppa"] {
        let path = file(target);
        sandbox.add(&line(target, &format!("qemu-{target}"), path.to_str().expect("text"), "F"));
    }
    let found = found(sandbox, &[]);
    expect(&found, "s390x", ("ok", ""));
    let (word, detail) = result(&found, "m68k");
    assert_eq!(word, "dynamic", "{detail}");
    assert!(detail.starts_with(&format!("{folder}/qemu-m68k-static runs only where /")), "{detail}");
    assert!(detail.ends_with(" and its libraries are; take a static one"), "{detail}");
    let cases = [
        ("sh4", "is a script; take a static program".to_owned()),
        ("arm", "is no program".to_owned()),
        ("hppa", format!("is a program for another machine (ELF number {})", host_foreign().machines[0].number)),
    ];
    for (target, what) in cases {
        expect(&found, target, ("wrong-emulator", &format!("{folder}/qemu-{target}-static {what}")));
    }
    // Gone since it was registered: the kernel holds what it opened, and nobody can look at it.
    fs::remove_file(file("m68k")).expect("removed");
    let ran = sandbox.run(&["verify", "m68k", "s390x"]);
    let detail = format!("something that {folder}/qemu-m68k-static needs is not there: it is hardly static");
    assert!(ran.err.starts_with(&format!("verifying qemu-m68k: dynamic: {detail}")), "{}", ran.err);
}

/// A target that this machine has no way to run as an emulator.
fn host_foreign() -> &'static targets::Target {
    targets::by_qemu_name("xtensa").expect("known")
}

fn no_handler(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let folder = folder.to_str().expect("text");
    let ran = sandbox.run(&["verify", "s390x"]);
    let err = "verifying qemu-s390x: absent: no handler; registrar register s390x\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), err));
    let found_there = found(sandbox, &["s390x", "m68k", "--bindir", folder]);
    expect(&found_there, "s390x", ("absent", &format!("no handler; registrar register s390x --bindir {folder}")));
    let missing = format!("no handler, and no {folder}/qemu-m68k-static; --bindir names the folder of the emulators");
    expect(&found_there, "m68k", ("absent", &missing));

    sandbox.succeeds(&["register", "s390x", "m68k"]);
    sandbox.write("qemu-s390x", "0");
    let found_disabled = found(sandbox, &[]);
    expect(&found_disabled, "m68k", ("ok", ""));
    let enable = "to enable it: echo 1 > /proc/sys/fs/binfmt_misc/qemu-s390x";
    expect(&found_disabled, "s390x", ("disabled", enable));
    sandbox.write("status", "0");
    let off = "no entry is used at all; to switch it on: echo 1 > /proc/sys/fs/binfmt_misc/status";
    let found_off = found(sandbox, &[]);
    expect(&found_off, "m68k", ("switched-off", off));
    expect(&found_off, "s390x", ("switched-off", off));
}

fn native(sandbox: &Sandbox) {
    let found = found(sandbox, &[host().qemu]);
    assert_eq!(found["proven"], Value::Null);
    expect(&found, host().qemu, ("native", "this machine's own"));
    for target in TARGETS.iter().filter(|target| target.family == host().family && target.qemu != host().qemu) {
        let is_native = runs(sandbox, target);
        let found = parsed(&sandbox.run(&["verify", "--json", target.qemu]));
        assert_eq!(result(&found, target.qemu).0, if is_native { "native" } else { "absent" }, "{}", target.qemu);
    }
}

fn nothing_registered(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "theirs", "/usr/bin/qemu-s390x-static", "F"));
    let err = "no handler of ours is registered; first: registrar register; left on: theirs \
               (/usr/bin/qemu-s390x-static); to remove that: registrar --uninstall theirs";
    assert_eq!(sandbox.fails(&["verify"], err), "");
}

fn without_flag_f(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", ""));
    sandbox.add(&line("m68k", "qemu-m68k", "/nonexistent/qemu-m68k-static", ""));
    let found = found(sandbox, &[]);
    let hidden = "qemu-s390x has no flag F, so that /usr/bin/qemu-s390x-static must be wherever a program runs; \
                  register it with F";
    expect(&found, "s390x", ("no-emulator", hidden));
    let missing = "/nonexistent/qemu-m68k-static, which qemu-m68k names, is not there";
    expect(&found, "m68k", ("no-emulator", missing));
}

fn preserved_argv0(sandbox: &Sandbox) {
    for (target, flags) in [("s390x", "PF"), ("riscv64", "POF"), ("aarch64", "OF")] {
        sandbox.add(&line(target, &format!("qemu-{target}"), &format!("/usr/bin/qemu-{target}-static"), flags));
    }
    // It writes its path, whatever flag P makes of its name.
    let folder = stand_ins(sandbox, &["xtensa"]);
    let stand_in = folder.join("qemu-xtensa-static");
    sandbox.add(&line("xtensa", "qemu-xtensa", stand_in.to_str().expect("text"), "PF"));
    let found = found(sandbox, &[]);
    for target in ["s390x", "riscv64", "aarch64"] {
        expect(&found, target, ("ok", ""));
    }
    let fix = "its name arrived as '/qemu-xt': flag P takes Linux 5.12 and QEMU 6.0";
    expect(&found, "xtensa", ("wrong-argv0", fix));
}

fn set_user_id(sandbox: &Sandbox) {
    for (target, flags) in [("s390x", "OCF"), ("riscv64", "POCF"), ("aarch64", "F")] {
        sandbox.add(&line(target, &format!("qemu-{target}"), &format!("/usr/bin/qemu-{target}-static"), flags));
    }
    let all_well = found(sandbox, &[]);
    for target in ["s390x", "riscv64", "aarch64"] {
        expect(&all_well, target, ("ok", ""));
    }
    // The file stays the caller's, and nobody notices until the program runs.
    let ignored = injected(sandbox, "?chown,fchownat:retval=0", &["--json"]);
    let ignored = parsed(&ignored);
    let cause = "flag C is set, but a program ran as the caller and not as its file's owner";
    for (target, expected) in [
        ("s390x", ("set-user-id-ignored", cause)),
        ("riscv64", ("set-user-id-ignored", cause)),
        ("aarch64", ("ok", "")),
    ] {
        expect(&ignored, target, expected);
    }
    let refused = parsed(&injected(sandbox, "?chown,fchownat:error=EPERM", &["--json", "s390x"]));
    let why = "set-user-ID not checked: giving a file to another user: operation not permitted";
    expect(&refused, "s390x", ("ok", why));
    let ran =
        ran(Command::new("setpriv").arg("--no-new-privs").arg(sandbox.registrar()).args(["verify", "--json", "s390x"]));
    let why = "set-user-ID not checked: no_new_privs is set, so that no program changes its user";
    expect(&parsed(&ran), "s390x", ("ok", why));
}

fn set_user_id_without_a_second_user(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "OCF"));
    let why = "set-user-ID not checked: no other user is in this user namespace";
    expect(&found(sandbox, &[]), "s390x", ("ok", why));
}

fn rules_of_others(sandbox: &Sandbox) {
    let theirs = sandbox.scratch().join("their-s390x");
    fs::copy("/usr/bin/qemu-s390x-static", &theirs).expect("copied");
    let theirs = theirs.to_str().expect("text");
    sandbox.add(&line("s390x", "theirs", theirs, "PF"));
    let served = found(sandbox, &["s390x"]);
    expect(&served, "s390x", ("served", &format!("by theirs ({theirs})")));
    assert_eq!(of(&served, "s390x")["entry"], "theirs");
    // The newest wins.
    sandbox.succeeds(&["register", "s390x"]);
    expect(&found(sandbox, &[]), "s390x", ("ok", ""));
    sandbox.write("theirs", "-1");
    sandbox.add(&line("s390x", "theirs", theirs, "PF"));
    let advice = "which is not ours; to remove that: echo -1 > /proc/sys/fs/binfmt_misc/theirs";
    let shadowed = found(sandbox, &[]);
    expect(&shadowed, "s390x", ("shadowed", &format!("by theirs ({theirs}), {advice}")));
    assert_eq!(of(&shadowed, "s390x")["interpreter"], theirs);
    // The same emulator under two names differs by what its flags do.
    sandbox.write("theirs", "-1");
    sandbox.add(&line("s390x", "theirs", "/usr/bin/qemu-s390x-static", "PF"));
    assert_eq!(result(&found(sandbox, &[]), "s390x").0, "shadowed");
    sandbox.write("theirs", "-1");
    sandbox.add(&line("s390x", "theirs", "/usr/bin/qemu-s390x-static", "F"));
    assert_eq!(result(&found(sandbox, &[]), "s390x").0, "shadowed");
}

fn from_a_folder(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    sandbox.add(&line("m68k", "qemu-m68k", "/usr/bin/qemu-m68k-static", ""));
    let before = leftovers();
    for inject in ["unshare:error=EPERM", "mount:error=EACCES:when=2+", "mount:error=EACCES"] {
        let found = parsed(&injected(sandbox, inject, &["--json"]));
        assert_eq!(found["proven"], "folder", "{inject}");
        assert_eq!(found["caveat"], Value::Null);
        expect(&found, "s390x", ("ok", ""));
        assert_eq!(result(&found, "m68k").0, "no-emulator");
    }
    no_more_leftovers(&before);
}

/// One of the programs there changes its user.
fn from_a_private_folder(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let log = sandbox.scratch().join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-o"]).arg(&log).args(["-e", "trace=mkdir,unshare", "-e", "inject=unshare:error=EPERM"]);
    assert!(strace.arg(sandbox.registrar()).args(["verify", "--quiet"]).status().expect("strace").success());
    let log = fs::read_to_string(log).expect("what strace saw");
    let made: Vec<_> =
        log.lines().filter(|line| line.contains("/.registrar-verify-") && line.ends_with("= 0")).collect();
    assert!(made.first().is_some_and(|line| line.contains(", 0700)")), "{log}");
}

/// What runs in a folder leaves behind.
fn leftovers() -> Vec<PathBuf> {
    let files =
        ["/tmp", "/run", "/var/tmp", "/dev/shm", "/"].into_iter().filter_map(|folder| fs::read_dir(folder).ok());
    let files = files.flatten().filter_map(Result::ok).map(|file| file.path());
    files.filter(|path| path.to_string_lossy().contains(".registrar-verify-")).collect()
}

/// Of tests beside this one there may be some, for a moment.
fn no_more_leftovers(before: &[PathBuf]) {
    wait_for("it cleans up", || leftovers().iter().all(|path| before.contains(path)));
}

fn from_memory(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "POF"));
    sandbox.add(&line("riscv64", "qemu-riscv64", "/usr/bin/qemu-riscv64-static", ""));
    sandbox.add(&line("m68k", "qemu-m68k", "/nonexistent/qemu-m68k-static", ""));
    let before = leftovers();
    let found = parsed(&injected(sandbox, "unshare,chroot:error=EPERM", &["--json"]));
    assert_eq!(found["proven"], "memory");
    let caveat = "an emulator that is dynamic, or registered without F, may run here and nowhere else (an empty root is \
                  refused: namespace: a namespace: operation not permitted; folder: a new root: operation not permitted)";
    assert_eq!(found["caveat"], caveat);
    expect(&found, "s390x", ("ok", ""));
    expect(&found, "riscv64", ("ok", "without flag F: only where /usr/bin/qemu-riscv64-static is"));
    assert_eq!(result(&found, "m68k").0, "no-emulator");
    let out = injected(sandbox, "unshare,chroot:error=EPERM", &["s390x"]).out;
    assert_eq!(out.lines().last(), Some(format!("1 ok; from memory files, which proves less: {caveat}").as_str()));
    no_more_leftovers(&before);

    // As in a container without any capability, where its root may not even have a user namespace.
    let mut bare = Command::new("setpriv");
    bare.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(sandbox.registrar()).args(["verify", "--json", "s390x"]);
    let found = parsed(&ran(&mut bare));
    assert_eq!(found["proven"], "memory");
    expect(&found, "s390x", ("ok", ""));
}

fn no_place(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let CommandResult { code, out, err } = injected(sandbox, "unshare,chroot,memfd_create:error=EPERM", &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let all = "namespace: a namespace: operation not permitted; folder: a new root: operation not permitted; \
               memory: writing a program: operation not permitted";
    assert_eq!(err, format!("cannot tell whether programs run: {all}\n"));
}

/// As tonistiigi's image and Debian 12 leave it: another entry with flag C, older than ours.
fn flags_of_others_below(sandbox: &Sandbox) {
    let folder = sandbox.scratch().join("theirs");
    fs::create_dir(&folder).expect("created");
    let theirs = folder.join("s390x-binfmt-P");
    symlink("/usr/bin/qemu-s390x-static", &theirs).expect("a link");
    sandbox.add(&line("s390x", "qemu-s390x", theirs.to_str().expect("text"), "POCF"));
    for flags in ["F", "PF", "POF", ""] {
        sandbox.run(&["unregister"]);
        sandbox.add(&line("s390x", "qemu-s390x.registrar", "/usr/bin/qemu-s390x-static", flags));
        let ran = sandbox.run(&["verify", "--json"]);
        assert!(!ran.out.contains("set-user"), "{flags}: {}", ran.out);
        assert_eq!(ran.code, Some(i32::from(flags.is_empty())), "{flags}: {}", ran.out);
    }
    sandbox.run(&["unregister"]);
    let out = sandbox.succeeds(&["register", "s390x", "--verify"]);
    assert!(out.ends_with("verified: 1 ok; in an empty root\n"), "{out}");
}

/// The rule of `target` for one `e_type` alone.
fn line_of_type(target: &str, name: &str, path: &str, e_type: u8) -> String {
    let target = targets::by_qemu_name(target).expect("known");
    let program = codegen::probe::executable(target, target.machines[0]).expect("a program");
    let is_big = program[5] == 2;
    let (low, high) = if is_big { (0, e_type) } else { (e_type, 0) };
    let start: String = program[..16].iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let machine = format!("\\x{:02x}\\x{:02x}", program[18], program[19]);
    let mask = "\\xff".repeat(7) + &"\\x00".repeat(9) + &"\\xff".repeat(4);
    format!(":{name}:M::{start}\\x{low:02x}\\x{high:02x}{machine}:{mask}:{path}:F")
}

/// Each kind of header is run by the entry that takes it.
fn kinds_of_programs(sandbox: &Sandbox) {
    let path = "/usr/bin/qemu-s390x-static";
    let remove = "to remove that: echo -1 > /proc/sys/fs/binfmt_misc/theirs";
    for (e_type, kind) in [(3, "position-independent programs"), (2, "programs of type ET_EXEC")] {
        sandbox.succeeds(&["register", "s390x"]);
        sandbox.add(&line_of_type("s390x", "theirs", path, e_type));
        let shadowed = format!("{kind}: by theirs ({path}), which is not ours; {remove}");
        expect(&found(sandbox, &[]), "s390x", ("shadowed", &shadowed));
        let links = sandbox.run(&["doctor"]);
        assert!(links.out.contains("verify    broken   qemu-s390x: shadowed"), "{}", links.out);
        sandbox.succeeds(&["unregister"]);
        let found_some = found(sandbox, &["s390x"]);
        let (word, detail) = result(&found_some, "s390x");
        assert_eq!(word, "absent", "{detail}");
        assert!(detail.ends_with(": no handler; registrar register s390x"), "{detail}");
        sandbox.write("theirs", "-1");
    }
    // An older one that is broken, and serves no more than what the newer leaves.
    let folder = stand_ins(sandbox, &["arm"]);
    let broken = folder.join("qemu-arm-static");
    sandbox.add(&line("s390x", "broken", broken.to_str().expect("text"), "F"));
    sandbox.add(&line_of_type("s390x", "theirs", path, 2));
    let (word, detail) = result(&found(sandbox, &["s390x"]), "s390x");
    assert_eq!(word, "crashed", "{detail}");
    assert!(detail.starts_with("position-independent programs: "), "{detail}");
    let runs = || sandbox.run(&[]).out.contains("linux/s390x");
    assert!(!runs(), "most programs are position-independent");
    // Two that serve all of it between them.
    sandbox.write("broken", "-1");
    sandbox.add(&line_of_type("s390x", "others", path, 3));
    assert!(runs());
    let both =
        format!("programs of type ET_EXEC: by theirs ({path}); position-independent programs: by others ({path})");
    expect(&found(sandbox, &["s390x"]), "s390x", ("served", &both));
}

/// What a security module forbids the machine's own programs too is no fault of an emulator.
fn refused_programs(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let before = leftovers();
    // The worker executes one of its own first; the test programs are other processes.
    for errno in ["EACCES", "EPERM"] {
        let found = parsed(&injected(sandbox, &format!("execve:error={errno}:when=2"), &["--json"]));
        assert_eq!(found["proven"], "folder", "the next folder that can be written to: {found}");
        expect(&found, "s390x", ("ok", ""));
    }
    let CommandResult { code, out, err } = injected(sandbox, "execve:error=EACCES:when=2+", &[]);
    let cause = "namespace, folder, memory: a program of this machine's own: permission denied";
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert_eq!(err, format!("cannot tell whether programs run: {cause}\n"));
    let register = |arguments: &[&str]| {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-etrace=execve", "-einject=execve:error=EACCES:when=2+"]);
        ran(strace.arg(sandbox.registrar()).args(arguments))
    };
    let registered = register(&["register", "--scope", "userns", "--temporary", "--verify", "s390x"]);
    assert_eq!(registered.code, Some(2), "{registered:?}");
    assert!(registered.err.ends_with(&format!("{cause}\n")), "{registered:?}");
    let doctor = register(&["doctor", "s390x"]);
    assert_eq!(doctor.code, Some(2), "{doctor:?}");
    assert_eq!(doctor.err, format!("cannot tell whether programs run: {cause}\n"));
    assert!(doctor.out.contains("verify    unknown  cannot tell"), "{}", doctor.out);
    no_more_leftovers(&before);
}

/// In a container without any privilege there is no `binfmt_misc` to read.
fn nothing_to_read(sandbox: &Sandbox) {
    let native = sandbox.run(&["verify", "--json", host().qemu]);
    assert_eq!(parsed(&native)["mount"], Value::Null);
    // What the host has registered, or nothing: the programs tell.
    let mut bare = Command::new("setpriv");
    bare.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(sandbox.registrar()).args(["verify", "--json", "xtensa"]);
    let found = parsed(&ran(&mut bare));
    let (word, detail) = result(&found, "xtensa");
    assert_eq!((word.as_str(), detail.as_str()), ("absent", "no handler; registrar register xtensa"));
    assert_eq!((&found["mount"], &found["enabled"]), (&Value::Null, &Value::Null));
    let caveat = found["caveat"].as_str().expect("what is not proven");
    assert!(caveat.contains("no binfmt_misc can be read here"), "{caveat}");
    // All of ours cannot be known, and a folder that is named must be there.
    assert!(sandbox.run(&["verify"]).err.starts_with("binfmt_misc is not mounted at "));
    let folder = sandbox.emulators(&[]);
    let named = sandbox.run(&["verify", "--mount", folder.to_str().expect("text"), "xtensa"]);
    assert_eq!((named.code, named.out.as_str()), (Some(1), ""), "{named:?}");
}

fn wait(sandbox: &Sandbox) {
    let start = Instant::now();
    let ran = sandbox.run(&["verify", "s390x", "--wait", "2"]);
    assert!(ran.code == Some(1) && start.elapsed() >= Duration::from_secs(2), "{ran:?}");
    for arguments in [&["verify", "s390x", "--wait", "60"][..], &["verify", "--wait", "60"]] {
        let mut verify = Command::new(sandbox.registrar());
        let mut waiting = verify.args(arguments).stdout(Stdio::null()).spawn().expect("it starts");
        sleep(Duration::from_millis(1200));
        assert_eq!(waiting.try_wait().expect("a status"), None, "there is no handler yet");
        sandbox.succeeds(&["register", "s390x"]);
        assert!(waiting.wait().expect("it ended").success());
        sandbox.succeeds(&["unregister"]);
    }
}

/// An emulator that crashes now and then.
fn repeat(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    assert_eq!(
        sandbox.succeeds(&["verify", "--repeat", "5"]).lines().last(),
        Some("1 ok; 5 runs each; in an empty root")
    );
    let folder = stand_ins(sandbox, &["nios2"]);
    sandbox.succeeds(&["register", "nios2", "--flags=F", "--bindir", folder.to_str().expect("text")]);
    let found = found(sandbox, &["--repeat", "60"]);
    expect(&found, "s390x", ("ok", ""));
    let (word, detail) = result(&found, "nios2");
    assert_eq!(word, "crashed", "{detail}");
    let failed = detail.strip_prefix("in ").and_then(|rest| rest.split_once(" of 60 runs: ")).expect(&detail);
    assert!((1..60).contains(&failed.0.parse().expect("a number")), "{detail}");
}

/// The mounts of most machines are shared between their namespaces.
fn mounts_show_nowhere(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>).expect("shared");
    let mounts = || fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let before = mounts();
    assert!(before.contains(" shared:"), "{before}");
    assert_eq!(sandbox.succeeds(&["verify"]).lines().last(), Some("1 ok; in an empty root"));
    assert_eq!(mounts(), before);
}

fn nobody_waits_any_more(sandbox: &Sandbox) {
    let folder = stand_ins(sandbox, &["hppa"]);
    sandbox.succeeds(&["register", "hppa", "--bindir", folder.to_str().expect("text")]);
    let program = sandbox.scratch().join("stand-in");
    let mut verify = Command::new(sandbox.registrar());
    verify.args(["verify", "--timeout", "600"]).stdout(Stdio::null()).process_group(0);
    let mut verify = verify.spawn().expect("it starts");
    wait_for("the program and its child run", || still_running(&program) == 2);
    // As a terminal does it, to all that it knows of. (Who runs in the background may not be interrupted.)
    killpg(Pid::from_raw(verify.id().cast_signed()), Signal::SIGTERM).expect("a signal to all of them");
    verify.wait().expect("it ended");
    wait_for("they are ended", || still_running(&program) == 0);
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        sleep(Duration::from_millis(10));
    }
}

/// `register --verify`: what is registered and does not run is a failure.
fn with_register(sandbox: &Sandbox) {
    let out = sandbox.succeeds(&["register", "--verify", "s390x", "arm64"]);
    assert!(out.ends_with("\n2 registered, 0 replaced, 0 unchanged\nverified: 2 ok; in an empty root\n"), "{out}");
    assert_eq!(sandbox.succeeds(&["register", "--verify", "-q"]), "");
    // All that was asked for, also what is not ours, or needs no handler.
    let out = sandbox.succeeds(&["register", "--verify", host().qemu]);
    assert!(out.ends_with("\nverified: 1 native\n"), "{out}");
    sandbox.succeeds(&["unregister"]);
    sandbox.add(&line("m68k", "theirs", "/bin/false", "F"));
    let ran = sandbox.run(&["register", "--verify", "--keep"]);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.err.starts_with("verifying qemu-m68k: "), "{}", ran.err);
    let folder = stand_ins(sandbox, &["arm"]);
    let register = ["register", "--verify", "arm", "--bindir", folder.to_str().expect("text")];
    let ran = sandbox.run(&register);
    assert_eq!((ran.code, ran.err.lines().count()), (Some(1), 1), "{}", ran.err);
    assert!(ran.err.starts_with("verifying qemu-arm: crashed: "), "{}", ran.err);
    assert!(ran.out.contains("1 replaced"), "{}", ran.out);
}

/// What is to be opened at each start is run where it can be.
fn with_register_without_flag_f(sandbox: &Sandbox) {
    let out = sandbox.succeeds(&["register", "--no-fix-binary", "--verify", "s390x", "m68k"]);
    let less = "from memory files, which proves less: without F, programs run only where their emulator can be seen, \
                as it can here";
    assert!(out.ends_with(&format!("\n2 registered, 0 replaced, 0 unchanged\nverified: 2 ok; {less}\n")), "{out}");
    let out = sandbox.succeeds(&["register", "--flags", "OC", "--verify", "-v", "s390x"]);
    assert!(out.contains("without flag F: only where /usr/bin/qemu-s390x-static is"), "{out}");
    let folder = stand_ins(sandbox, &["arm"]);
    let broken = ["register", "--no-fix-binary", "--verify", "arm", "--bindir", folder.to_str().expect("text")];
    let ran = sandbox.run(&broken);
    assert!(ran.code == Some(1) && ran.err.starts_with("verifying qemu-arm: crashed: "), "{}", ran.err);
    // Who asks for no more than whether programs run anywhere is told why they do not.
    let ran = sandbox.run(&["verify", "s390x"]);
    let err = "verifying qemu-s390x: no-emulator: qemu-s390x has no flag F, so that /usr/bin/qemu-s390x-static must be \
               wherever a program runs; register it with F\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), err));
}
