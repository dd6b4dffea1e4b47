//! tonistiigi/binfmt, and docker/setup-qemu-action, which runs it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use codegen::targets;
use serde_json::Value;
use tests::emulators::TARGETS;
use tests::namespace;

use super::{Line, NOT_ELF, THEIRS, add_others, all, ours, platforms, registered, says, status, target};
use crate::register::runs;
use crate::sandbox::{CommandResult, Sandbox, host, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("compat_cli/setup_qemu_action", setup_qemu_action),
    test("compat_cli/tonistiigi/nothing_registered", nothing_registered),
    Test { mounted: false, ..test("compat_cli/tonistiigi/nothing_mounted", nothing_mounted) },
    Test { mounted: false, ..test("compat_cli/tonistiigi/what_is_not_mounted_here", what_is_not_mounted_here) },
    test("compat_cli/tonistiigi/spellings", spellings),
    test("compat_cli/tonistiigi/native_and_unknown", native_and_unknown),
    test("compat_cli/tonistiigi/uninstall", uninstall),
    test("compat_cli/tonistiigi/uninstall_never_takes_what_is_not_elf", uninstall_never_takes_what_is_not_elf),
    test("compat_cli/tonistiigi/an_entry_that_cannot_be_read_stays", an_entry_that_cannot_be_read_stays),
    test("compat_cli/tonistiigi/environment", environment),
    test("compat_cli/tonistiigi/what_fails", what_fails),
    Test { mounted: false, ..test("compat_cli/tonistiigi/what_would_disappear", what_would_disappear) },
    test("compat_cli/tonistiigi/emulators_that_do_not_run", emulators_that_do_not_run),
    test("compat_cli/tonistiigi/version_and_help", version_and_help),
];

/// The targets whose programs run as things are now.
fn running_now(sandbox: &Sandbox) -> impl Fn(&targets::Target) -> bool {
    let native: Vec<_> = TARGETS.iter().filter(|target| runs(sandbox, target)).collect();
    move |target| native.iter().any(|native| native.qemu == target.qemu)
}

/// What is logged of entries, one line for each architecture.
fn installed(names: &[String]) -> String {
    let mut lines: Vec<_> = names.iter().map(|name| platform(name)).collect();
    lines.dedup();
    lines.iter().map(|name| format!("installing: {name} OK\n")).collect()
}

fn platform(name: &str) -> String {
    target(name).platform().trim_start_matches("linux/").to_owned()
}

/// What is logged of what the machine runs itself.
fn skipped(names: &[String]) -> String {
    let family = TARGETS.iter().filter(|target| target.family == host().family);
    let native = family.filter(|target| {
        target.qemu != host().qemu && !names.iter().any(|name| name.strip_prefix("qemu-") == Some(target.qemu))
    });
    let line = |name: &str| format!("installing: {name} skipped: runs natively\n");
    native.map(|target| line(target.platform().trim_start_matches("linux/"))).collect()
}

/// Its four calls in their order, with `reset: true`, on a machine where others have registered before.
fn setup_qemu_action(sandbox: &Sandbox) {
    let names = all(sandbox);
    add_others(sandbox);
    assert_eq!(Line::from(&["--version"][..]).run(sandbox).code, Some(0));
    let left = ["WSLInterop", "box-m68k", "python3.11", "qemu-jar"];
    let before = platforms(running_now(sandbox));
    says(sandbox, &["--uninstall", "qemu-*"], 0, &status(&before, &left), "uninstalling: qemu-s390x OK\n");
    assert_eq!(sandbox.names(), left);

    let mut expected: Vec<_> = names.iter().map(String::as_str).chain(left).collect();
    expected.sort_unstable();
    let after = status(&platforms(|_| true), &expected);
    says(sandbox, &["--install", "all"], 0, &after, &(installed(&names) + &skipped(&names)));
    let mut entries = ours(&names, "OCF");
    let registered = registered(sandbox);
    entries.extend(left.iter().map(|name| ((*name).to_owned(), registered[*name].clone())));
    assert_eq!(registered, entries);

    // As it reads it.
    let ran = Line::from(&[][..]).run(sandbox);
    assert_eq!(ran, CommandResult { code: Some(0), out: after, err: String::new() });
    let json: Value = serde_json::from_str(ran.out.trim()).expect(&ran.out);
    let supported = json["supported"].as_array().expect("a list");
    assert!(supported.iter().all(Value::is_string) && supported.contains(&"linux/riscv64".into()));
    assert_eq!(json["emulators"].as_array().map(Vec::len), Some(expected.len()));

    // Again, with `platforms`: what is there stays.
    let some = "installing: arm64 OK\ninstalling: riscv64 OK\n";
    says(sandbox, &["--install", "linux/arm64,riscv64"], 0, &ran.out, some);
    assert_eq!(super::registered(sandbox), entries);
}

fn nothing_registered(sandbox: &Sandbox) {
    let empty = status(&platforms(running_now(sandbox)), &[""; 0]);
    assert!(empty.ends_with("\"emulators\": []\n}\n"));
    says(sandbox, &[], 0, &empty, "");
    says(sandbox, &["--uninstall", "qemu-*"], 0, &empty, "uninstalling: qemu-* not found\n");
    says(
        sandbox,
        &["--uninstall", "arm64,pdp11"],
        0,
        &empty,
        "uninstalling: arm64 not found\nuninstalling: pdp11 not found\n",
    );
    says(sandbox, &["--uninstall", ""], 0, &empty, "");
    says(sandbox, &["--install", ""], 0, &empty, "");
}

/// What is logged where a user namespace has no instance of its own: to look, one would have to be made, which would
/// hide the handlers of the namespaces above.
const UNLISTED: &str = "cannot list the entries: binfmt_misc is not mounted at /proc/sys/fs/binfmt_misc; `registrar \
                        register` as root mounts it, a container needs -v /proc/sys/fs/binfmt_misc:/binfmt_misc\n";

/// Nothing is mounted by looking or removing.
fn nothing_mounted(sandbox: &Sandbox) {
    let empty = status(&platforms(running_now(sandbox)), &[""; 0]);
    says(sandbox, &[], 0, &empty, UNLISTED);
    says(sandbox, &["--uninstall", "qemu-*"], 0, &empty, &format!("uninstalling: qemu-* not found\n{UNLISTED}"));
    assert!(tests::binfmt_misc::mounts().expect("mounts").is_empty());
    // Who names a place is answered for it.
    let ran = Line::from(&["--mount", "/nonexistent"][..]).run(sandbox);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.starts_with("binfmt_misc is not mounted at /nonexistent; "), "{}", ran.err);
}

/// What runs is told by running it, also where the entries do not show.
fn what_is_not_mounted_here(sandbox: &Sandbox) {
    let elsewhere = sandbox.scratch().join("host");
    fs::create_dir(&elsewhere).expect("created");
    namespace::mount_binfmt_misc(&elsewhere).expect("mounted");
    let rule = line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "F");
    fs::write(elsewhere.join("register"), rule).expect("added");
    let platforms_now = || platforms(running_now(sandbox));
    let before = status(&platforms_now(), &[""; 0]);
    assert!(before.contains("linux/s390x"));
    says(sandbox, &[], 0, &before, UNLISTED);
    let at = elsewhere.to_str().expect("text");
    assert_eq!(tests::binfmt_misc::mounts().expect("mounts"), [at]);
    says(sandbox, &["--mount", at], 0, &status(&platforms_now(), &["qemu-s390x"]), "");
    let ran = Line::from(&["--mount", at, "--install", "riscv64"][..]).run(sandbox);
    let after = status(&platforms_now(), &["qemu-riscv64", "qemu-s390x"]);
    assert!(after.contains("linux/riscv64"));
    assert_eq!(ran, CommandResult { code: Some(0), out: after, err: "installing: riscv64 OK\n".into() });
    let ran = Line::from(&["-mount", at, "-uninstall", "qemu-*"][..]).run(sandbox);
    let log = "uninstalling: qemu-riscv64 OK\nuninstalling: qemu-s390x OK\n";
    assert_eq!(ran, CommandResult { code: Some(0), out: status(&platforms_now(), &[""; 0]), err: log.into() });
}

/// One dash or two, `=` or a space, every name, and the names that the program goes by.
fn spellings(sandbox: &Sandbox) {
    let native = running_now(sandbox);
    let running = |wanted: &'static str| {
        status(&platforms(|target| native(target) || target.qemu == wanted), &[format!("qemu-{wanted}")])
    };
    for words in [
        &["--install", "arm64"][..],
        &["-install", "arm64"],
        &["--install=arm64"],
        &["-install=linux/arm64"],
        &["--install", "aarch64"],
        &["--install", "linux/arm64/v8"],
        &["/usr/bin/binfmt", "--install", "arm64"],
    ] {
        says(sandbox, words, 0, &running("aarch64"), "installing: arm64 OK\n");
        assert_eq!(registered(sandbox), ours(&["qemu-aarch64"], "OCF"), "{words:?}");
        sandbox.write("qemu-aarch64", "-1");
    }
    for (words, entry) in [(&["--install", "linux/arm/v7"][..], "arm"), (&["--install", "mips64le"], "mips64el")] {
        let ran = Line { name: "/usr/bin/binfmt", ..Line::from(words) }.run(sandbox);
        assert_eq!((ran.code, ran.out), (Some(0), running(entry)));
        assert_eq!(registered(sandbox), ours(&[format!("qemu-{entry}")], "OCF"));
        sandbox.write(&format!("qemu-{entry}"), "-1");
    }
}

fn native_and_unknown(sandbox: &Sandbox) {
    let native = running_now(sandbox);
    let own = host().platform();
    let own = own.trim_start_matches("linux/");
    let log = format!("installing: {own} skipped: this CPU's own\n");
    says(sandbox, &["--install", own], 0, &status(&platforms(&native), &[""; 0]), &log);
    // Of which there are two entries, where the machine does not run it itself.
    let i386 = targets::by_qemu_name("i386").expect("known");
    let word = if native(i386) { "skipped: runs natively" } else { "OK" };
    let ran = Line::from(&["--install", "linux/386"][..]).run(sandbox);
    assert_eq!((ran.code, ran.err), (Some(0), format!("installing: 386 {word}\n")));
    sandbox.names().iter().for_each(|name| sandbox.write(name, "-1"));
    let riscv64 = status(&platforms(|target| native(target) || target.qemu == "riscv64"), &["qemu-riscv64"]);
    let unknown = "unknown architecture: 'arm46' (did you mean arm64?), 'pdp11'\n";
    says(sandbox, &["--install", "arm46,riscv64,pdp11"], 1, &riscv64, &format!("installing: riscv64 OK\n{unknown}"));
    assert_eq!(registered(sandbox), ours(&["qemu-riscv64"], "OCF"));
    says(sandbox, &["--install", "pdp11"], 1, &riscv64, "unknown architecture: 'pdp11'\n");
}

fn uninstall(sandbox: &Sandbox) {
    let add = || {
        for name in ["qemu-s390x", "b-qemu-s390x", "qemu-s390x.registrar", "qemu-arm", "qemu-armeb", "theirs"] {
            let target = if name.contains("s390x") { "s390x" } else { name.strip_prefix("qemu-").unwrap_or("m68k") };
            sandbox.add(&line(target, name, THEIRS, ""));
        }
    };
    let native = running_now(sandbox);
    let cases: [(&str, &[&str]); 10] = [
        ("qemu-s390x", &["qemu-s390x", "qemu-s390x.registrar"]),
        ("s390x", &["b-qemu-s390x", "qemu-s390x", "qemu-s390x.registrar"]),
        ("linux/s390x", &["b-qemu-s390x", "qemu-s390x", "qemu-s390x.registrar"]),
        ("linux/arm/v7", &["qemu-arm"]),
        ("qemu-arm*", &["qemu-arm", "qemu-armeb"]),
        ("qemu-arm?b", &["qemu-armeb"]),
        ("qemu-[as]*", &["qemu-arm", "qemu-armeb", "qemu-s390x", "qemu-s390x.registrar"]),
        ("theirs", &["theirs"]),
        ("theirs,qemu-arm,theirs", &["qemu-arm", "theirs"]),
        ("*", &["b-qemu-s390x", "qemu-arm", "qemu-armeb", "qemu-s390x", "qemu-s390x.registrar", "theirs"]),
    ];
    for (word, removed) in cases {
        add();
        let mut left = sandbox.names();
        left.retain(|name| !removed.contains(&name.as_str()));
        let log: String = removed.iter().map(|name| format!("uninstalling: {name} OK\n")).collect();
        says(sandbox, &["--uninstall", word], 0, &status(&platforms(&native), &left), &log);
        assert_eq!(sandbox.names(), left, "{word}");
        left.iter().for_each(|name| sandbox.write(name, "-1"));
    }
    // Both at once, as they can be given.
    add();
    let words = ["--uninstall=*", "--install", "s390x"];
    let ran = Line::from(&words[..]).run(sandbox);
    assert_eq!((ran.code, ran.err.lines().last()), (Some(0), Some("installing: s390x OK")));
    assert_eq!(registered(sandbox), ours(&["qemu-s390x"], "OCF"));
}

/// Whatever names it: they are not emulators.
fn uninstall_never_takes_what_is_not_elf(sandbox: &Sandbox) {
    NOT_ELF.iter().for_each(|(_, line)| sandbox.add(line));
    sandbox.add(&line("m68k", "theirs", THEIRS, ""));
    let before = sandbox.entries();
    let expected = |left: &[&str]| status(&platforms(running_now(sandbox)), left);
    let all = ["WSLInterop", "python3.11", "qemu-jar", "theirs"];
    says(sandbox, &["--uninstall", "qemu-*"], 0, &expected(&all), "");
    for (name, owner) in
        [("python3.11", "/usr/bin/python3.11"), ("WSLInterop", "/init"), ("qemu-jar", "/usr/bin/jexec")]
    {
        let cause = format!(
            "uninstalling {name}: {owner} is not for ELF programs; to remove it: echo -1 > {}/{name}\n",
            sandbox.folder().display()
        );
        says(sandbox, &["--uninstall", name], 1, &expected(&all), &format!("uninstalling: {name} failed\n{cause}"));
    }
    assert_eq!(sandbox.entries(), before);
    let left = expected(&all[..3]);
    // What went wrong comes last, whatever else is done.
    let ran = Line::from(&["--uninstall=python3.11", "--install=s390x"][..]).run(sandbox);
    let last = ran.err.lines().last().unwrap_or_default();
    assert_eq!((ran.code, last.starts_with("uninstalling python3.11: ")), (Some(1), true), "{}", ran.err);
    assert!(ran.err.starts_with("installing: s390x OK\n"), "{}", ran.err);
    let log = "uninstalling: qemu-s390x OK\nuninstalling: theirs OK\n";
    says(sandbox, &["--uninstall", "*"], 0, &left, log);
}

/// It may be anything.
fn an_entry_that_cannot_be_read_stays(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", THEIRS, ""));
    let path = sandbox.folder().join("qemu-s390x");
    let path = path.to_str().expect("text");
    let mut strace = Command::new("strace");
    strace.args(["--quiet=all", "-o", "/dev/null", "-P", path, "-etrace=read", "-einject=read:error=EIO"]);
    strace.arg(sandbox.registrar()).args(["--uninstall", "qemu-*"]).env("REGISTRAR_SCOPE", "userns");
    let ran = ran(&mut strace);
    let log = format!("uninstalling: qemu-s390x failed\nuninstalling qemu-s390x: reading {path}: i/o error\n");
    assert_eq!((ran.code, ran.err), (Some(1), log));
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

fn environment(sandbox: &Sandbox) {
    let folder = sandbox.scratch().join("emulators");
    fs::create_dir(&folder).expect("created");
    for (name, target) in [("qemu-s390x", "s390x"), ("b-qemu-arm", "arm"), ("qemu-m68k-static", "m68k")] {
        symlink(format!("/usr/bin/qemu-{target}-static"), folder.join(name)).expect("a link");
    }
    let at = folder.to_str().expect("text");
    let of = |name: &str, file: &str, flags: &str| (name.to_owned(), (format!("{at}/{file}"), flags.to_owned()));
    let path = ("QEMU_BINARY_PATH", at);
    let cases = [
        (&[path][..], "s390x", vec![of("qemu-s390x", "qemu-s390x", "OCF")]),
        // Only what is there, under either name.
        (&[path], "all", vec![of("qemu-m68k", "qemu-m68k-static", "OCF"), of("qemu-s390x", "qemu-s390x", "OCF")]),
        (&[path, ("QEMU_BINARY_PREFIX", "b-")], "all", vec![of("b-qemu-arm", "b-qemu-arm", "OCF")]),
        (&[path, ("QEMU_PRESERVE_ARGV0", "1")], "s390x", vec![of("qemu-s390x", "qemu-s390x", "POCF")]),
    ];
    for (environment, wanted, expected) in cases {
        let ran = Line { environment, ..Line::from(&["--install", wanted][..]) }.run(sandbox);
        assert_eq!(ran.code, Some(0), "{environment:?}: {}", ran.err);
        assert_eq!(registered(sandbox), expected.into_iter().collect(), "{environment:?} {wanted}");
        // Again, all is found as it was.
        let again = Line { environment, ..Line::from(&["--install", wanted][..]) }.run(sandbox);
        assert_eq!((again.code, again.out), (Some(0), ran.out));
        sandbox.names().iter().for_each(|name| sandbox.write(name, "-1"));
    }
    let none = sandbox.scratch().join("none");
    fs::create_dir(&none).expect("created");
    let at = none.to_str().expect("text");
    let ran = Line { environment: &[("QEMU_BINARY_PATH", at)], ..Line::from(&["--install", "all"][..]) }.run(sandbox);
    assert_eq!((ran.code, ran.err), (Some(1), format!("QEMU_BINARY_PATH {at}: no qemu-ARCH is there\n")));
    assert!(sandbox.names().is_empty());
}

/// The last line is the cause, which setup-qemu-action shows.
fn what_fails(sandbox: &Sandbox) {
    let native = running_now(sandbox);
    let folder = sandbox.emulators(&["riscv64"]);
    let at = folder.to_str().expect("text");
    let environment = &[("QEMU_BINARY_PATH", at)];
    let riscv64 = status(&platforms(|target| native(target) || target.qemu == "riscv64"), &["qemu-riscv64"]);
    let ran = Line { environment, ..Line::from(&["--install", "s390x,riscv64"][..]) }.run(sandbox);
    let log = format!(
        "installing: riscv64 OK\ninstalling: s390x failed\n\
         registering qemu-s390x: {at}/qemu-s390x: no such file; QEMU_BINARY_PATH names the folder of the emulators\n"
    );
    assert_eq!(ran, CommandResult { code: Some(1), out: riscv64.clone(), err: log });
    sandbox.write("qemu-riscv64", "-1");
    let nothing = status(&platforms(&native), &[""; 0]);
    // In a user namespace that nobody has named.
    let ran = Line { environment: &[("REGISTRAR_SCOPE", "")], ..Line::from(&["--install", "all"][..]) }.run(sandbox);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.lines().count()), (Some(1), nothing.as_str(), 1));
    assert!(ran.err.starts_with("handlers would serve programs of user:["), "{}", ran.err);
    sandbox.write("status", "0");
    let switched_off = "binfmt_misc is disabled, so no handler would be used; to enable it: echo 1 > \
                        /proc/sys/fs/binfmt_misc/status\n";
    says(sandbox, &["--install", "arm64"], 1, &nothing, switched_off);
}

/// Nothing but this run would hold what it mounts, as in a container on a host that has mounted nothing.
fn what_would_disappear(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let ran = Line::from(&["--install", "all"][..]).run(sandbox);
    assert_eq!((ran.code, ran.out), (Some(1), status(&platforms(running_now(sandbox)), &[""; 0])));
    let cause = "handlers would disappear with this process: nothing else keeps the binfmt_misc mount of user:[";
    let last = ran.err.strip_prefix(UNLISTED).unwrap_or_default();
    assert!(last.starts_with(cause) && last.lines().count() == 1, "{}", ran.err);
    assert!(tests::binfmt_misc::mounts().expect("mounts").is_empty());
}

/// What is said to run has run: an entry is not enough.
fn emulators_that_do_not_run(sandbox: &Sandbox) {
    let native = running_now(sandbox);
    sandbox.add(&line("s390x", "qemu-s390x", THEIRS, "F"));
    sandbox.add(&line("riscv64", "qemu-riscv64", "/nonexistent/qemu-riscv64", ""));
    sandbox.add(&line("ppc64le", "qemu-ppc64le", "/usr/bin/qemu-ppc64le-static", "F"));
    sandbox.write("qemu-ppc64le", "0");
    sandbox.add(&line("arm", "theirs", "/usr/bin/qemu-arm-static", "F"));
    let running = platforms(|target| native(target) || target.qemu == "arm");
    assert!(running.contains(&"linux/arm/v6".into()));
    says(sandbox, &[], 0, &status(&running, &["qemu-riscv64", "qemu-s390x", "theirs"]), "");
}

fn version_and_help(sandbox: &Sandbox) {
    let version = sandbox.succeeds(&["--version"]);
    for words in [&["-version"][..], &["/usr/bin/binfmt", "--version"], &["/usr/bin/binfmt", "-version"]] {
        says(sandbox, words, 0, &version, "");
    }
    for words in [&["--install", "all", "--help"][..], &["/usr/bin/binfmt", "-h"], &["/usr/bin/binfmt", "--help"]] {
        let ran = Line::from(words).run(sandbox);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.starts_with("Parsed as tonistiigi/binfmt's command line; "), "{}", ran.out);
        assert!(
            ["--install", "--uninstall", "--mount", "QEMU_BINARY_PREFIX"].iter().all(|word| ran.out.contains(word))
        );
    }
    let refused = "unknown word '--instal'; parsed as tonistiigi/binfmt's command line, see --install all --help\n";
    says(sandbox, &["--install", "all", "--instal"], 1, "", refused);
    assert!(sandbox.names().is_empty());
}
