//! What `register` registers, replaces, skips and leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use codegen::probe;
use codegen::targets::{self, EXIT_STATUS, TARGETS, Target};

use crate::sandbox::{PYTHON, Sandbox, entry_names, host, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("register/default_set", default_set),
    test("register/again_changes_nothing", again_changes_nothing),
    test("register/every_test_program_runs", every_test_program_runs),
    test("register/hello/aarch64", |sandbox| hello(sandbox, "aarch64-linux-gnu", "arm64", "aarch64")),
    test("register/hello/s390x", |sandbox| hello(sandbox, "s390x-linux-gnu", "s390x", "s390x")),
    test("register/hello/riscv64", |sandbox| hello(sandbox, "riscv64-linux-gnu", "riscv64", "riscv64")),
    test("register/hello/ppc64le", |sandbox| hello(sandbox, "powerpc64le-linux-gnu", "ppc64el", "ppc64le")),
    test("register/hello/armhf", |sandbox| hello(sandbox, "arm-linux-gnueabihf", "armhf", "arm")),
    test("register/hello/mips64el", |sandbox| hello(sandbox, "mips64el-linux-gnuabi64", "mips64el", "mips64el")),
    test("register/hello/m68k", |sandbox| hello(sandbox, "m68k-linux-gnu", "m68k", "m68k")),
    test("register/hello/sparc64", |sandbox| hello(sandbox, "sparc64-linux-gnu", "sparc64", "sparc64")),
    test("register/host_is_never_registered", host_is_never_registered),
    test("register/replaces_what_differs", replaces_what_differs),
    test("register/another_folder", another_folder),
    test("register/folder_from_environment", folder_from_environment),
    test("register/leftovers_are_cleaned", leftovers_are_cleaned),
    #[cfg(target_arch = "x86_64")]
    test("register/native_is_skipped_by_name_too", native_is_skipped_by_name_too),
    #[cfg(target_arch = "x86_64")]
    test("register/served_by_others_is_left_alone", served_by_others_is_left_alone),
    #[cfg(target_arch = "x86_64")]
    test("register/ours_in_place_was_needed", ours_in_place_was_needed),
];

/// The file of a target's test program.
fn test_program(sandbox: &Sandbox, target: &Target) -> std::path::PathBuf {
    let path = sandbox.scratch().join(target.qemu);
    fs::write(&path, probe::executable(target, target.machines[0]).expect("a test program")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// Whether this machine runs a target's programs; asked before anything is registered.
fn runs(sandbox: &Sandbox, target: &Target) -> bool {
    let status = Command::new(test_program(sandbox, target)).status();
    status.is_ok_and(|status| status.code() == Some(i32::from(EXIT_STATUS)))
}

fn default_set(sandbox: &Sandbox) {
    let expected = entry_names(|target| target.qemu != host().qemu && !runs(sandbox, target));
    let out = sandbox.succeeds(&["register"]);
    assert_eq!(sandbox.names(), expected);
    let sum = format!("{} registered, 0 replaced, 0 unchanged", expected.len());
    assert!(out.lines().last().is_some_and(|line| line.starts_with(&sum)), "{out}");
    for name in &expected {
        assert!(out.lines().any(|line| line.starts_with(&format!("{name} ")) && line.contains("  registered  ")));
    }
    let text = "enabled\ninterpreter /usr/bin/qemu-s390x-static\nflags: F\noffset 0\n\
                magic 7f454c4602020100000000000000000000020016\n\
                mask ffffffffffffff000000000000000000fffeffff\n";
    assert_eq!(sandbox.entries()["qemu-s390x"], text);
}

fn again_changes_nothing(sandbox: &Sandbox) {
    sandbox.succeeds(&["register"]);
    let before = sandbox.entries();
    let out = sandbox.succeeds(&["register"]);
    assert_eq!(sandbox.entries(), before);
    let sum = format!("0 registered, 0 replaced, {} unchanged", before.len());
    assert!(out.lines().last().is_some_and(|line| line.starts_with(&sum)), "{out}");
}

fn every_test_program_runs(sandbox: &Sandbox) {
    sandbox.succeeds(&["register"]);
    for target in TARGETS {
        assert!(runs(sandbox, target), "{}", target.qemu);
    }
}

/// A program of Debian's cross compiler, through the target's emulator.
fn hello(sandbox: &Sandbox, triple: &str, debian: &str, target: &str) {
    let source = sandbox.scratch().join("hello.c");
    fs::write(&source, "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n").expect("written");
    let program = sandbox.scratch().join("hello");
    let compiler = format!("{triple}-gcc");
    let packages = format!("install gcc-{triple} and libc6-dev-{debian}-cross");
    let mut compile = Command::new(&compiler);
    compile.arg("-static").arg("-o").arg(&program).arg(&source);
    let compiled = compile.output().unwrap_or_else(|error| panic!("{compiler}: {error}; {packages}"));
    assert!(compiled.status.success(), "{}; {packages}", String::from_utf8_lossy(&compiled.stderr));

    let enoexec = Some(8);
    if host().qemu != target {
        let before = Command::new(&program).output().expect_err("no handler yet");
        assert_eq!(before.raw_os_error(), enoexec);
    }
    sandbox.succeeds(&["register", debian]);
    let after = ran(&mut Command::new(&program));
    assert_eq!((after.code, after.out.as_str(), after.err.as_str()), (Some(0), "hello\n", ""));
}

fn host_is_never_registered(sandbox: &Sandbox) {
    let host = host().qemu;
    let out = sandbox.succeeds(&["register", host]);
    assert_eq!(out, format!("0 registered, 0 replaced, 0 unchanged; {host} skipped: this machine's own\n"));
    assert!(sandbox.names().is_empty());
}

fn replaces_what_differs(sandbox: &Sandbox) {
    let interpreter = "/usr/bin/qemu-s390x-static";
    let good = line("s390x", "qemu-s390x", interpreter, "F");
    let cases = [
        (good.replace("/usr/bin/", "/elsewhere/").replace(":F", ":"), "emulator in another folder"),
        (line("s390x", "qemu-s390x", interpreter, "OCF"), "other flags"),
        (good.replace(r"\xff\xff\xff\xff\xff\xff\xff\x00", r"\xff\xff\xff\xff\xff\xff\xff\xff"), "other magic or mask"),
    ];
    sandbox.add(&good);
    let wanted = sandbox.entries();
    sandbox.write("qemu-s390x", "-1");
    for (line, difference) in cases {
        sandbox.add(&line);
        assert_ne!(sandbox.entries(), wanted);
        let out = sandbox.succeeds(&["register", "s390x"]);
        let expected = format!(
            "qemu-s390x  replaced      {interpreter} (before: {difference})\n0 registered, 1 replaced, 0 unchanged\n"
        );
        assert_eq!(out, expected);
        assert_eq!(sandbox.entries(), wanted);
        sandbox.write("qemu-s390x", "-1");
    }
    sandbox.add(&good);
    sandbox.write("qemu-s390x", "0");
    let out = sandbox.succeeds(&["register", "s390x"]);
    assert!(out.contains("(before: disabled)"), "{out}");
    assert_eq!(sandbox.entries(), wanted);
}

fn another_folder(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x", "aarch64"]);
    let folder = folder.to_str().expect("text");
    sandbox.succeeds(&["register", "s390x"]);
    let out = sandbox.succeeds(&["register", "s390x,arm64", "--bindir", folder]);
    assert_eq!(
        out,
        format!(
            "qemu-aarch64  registered    {folder}/qemu-aarch64-static\n\
             qemu-s390x    replaced      {folder}/qemu-s390x-static (before: emulator in another folder)\n\
             1 registered, 1 replaced, 0 unchanged\n"
        )
    );
    assert!(sandbox.entries()["qemu-s390x"].contains(&format!("interpreter {folder}/qemu-s390x-static\nflags: F\n")));
    assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")));
}

fn folder_from_environment(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let register = |bindir: &Path, more: &[&str]| {
        let mut command = Command::new(sandbox.registrar());
        ran(command.args(["register", "s390x"]).args(more).env("BINDIR", bindir)).out
    };
    assert!(register(&folder, &[]).contains(&format!("{}/qemu-s390x-static\n", folder.display())));
    assert!(register(&folder, &["--bindir", "/usr/bin/"]).contains("/usr/bin/qemu-s390x-static (before"));
    assert!(register(Path::new(""), &[]).contains("unchanged     /usr/bin/qemu-s390x-static"));
}

fn leftovers_are_cleaned(sandbox: &Sandbox) {
    let own = line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "F");
    let other = line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "OCF");
    let leftover = line("s390x", "qemu-s390x.new", "/usr/bin/qemu-s390x-static", "F");
    sandbox.add(&own);
    let wanted = sandbox.entries();
    sandbox.write("qemu-s390x", "-1");
    for (before, word) in [(Some(own), "unchanged "), (Some(other), "replaced "), (None, "registered ")] {
        if let Some(line) = before {
            sandbox.add(&line);
        }
        sandbox.add(&leftover);
        let out = sandbox.succeeds(&["register", "s390x"]);
        assert!(out.contains(word), "{out}");
        assert_eq!(sandbox.entries(), wanted, "{word}");
        sandbox.write("qemu-s390x", "-1");
    }
}

#[cfg(target_arch = "x86_64")]
fn native_is_skipped_by_name_too(sandbox: &Sandbox) {
    let i386 = targets::by_qemu_name("i386").expect("known");
    let is_native = runs(sandbox, i386);
    let out = sandbox.succeeds(&["register", "i386"]);
    assert_eq!(sandbox.names().is_empty(), is_native);
    let skipped = "qemu-i386  skipped       runs natively\nqemu-i486  skipped       runs natively\n\
                   0 registered, 0 replaced, 0 unchanged; i386 skipped: runs natively\n";
    assert_eq!(out == skipped, is_native, "{out}");
}

#[cfg(target_arch = "x86_64")]
fn served_by_others_is_left_alone(sandbox: &Sandbox) {
    sandbox.add(PYTHON.1);
    sandbox.add(&line("i386", "box86", "/usr/bin/qemu-i386-static", "F"));
    let before = sandbox.entries();
    let served = "qemu-i386  skipped       served by box86\nqemu-i486  skipped       served by box86\n\
                  0 registered, 0 replaced, 0 unchanged; i386 skipped: served by box86\n";
    assert_eq!(sandbox.succeeds(&["register", "386"]), served);
    assert_eq!(sandbox.entries(), before);
    // One that is disabled serves nothing, so the machine itself is asked.
    sandbox.write("box86", "0");
    assert_ne!(sandbox.succeeds(&["register", "386"]), served);
}

#[cfg(target_arch = "x86_64")]
fn ours_in_place_was_needed(sandbox: &Sandbox) {
    sandbox.add(&line("i386", "qemu-i386", "/usr/bin/qemu-i386-static", "F"));
    let out = sandbox.succeeds(&["register", "386"]);
    let expected = "qemu-i386  unchanged     /usr/bin/qemu-i386-static\n\
                    qemu-i486  registered    /usr/bin/qemu-i386-static\n1 registered, 0 replaced, 1 unchanged\n";
    assert_eq!(out, expected);
    assert_eq!(sandbox.names(), ["qemu-i386", "qemu-i486"]);
}
