//! What `register` registers, replaces, skips and leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use codegen::probe;
use codegen::targets::{self, EXIT_STATUS, Target};
use tests::emulators::TARGETS;
use tests::namespace;

use crate::sandbox::{PYTHON, Sandbox, entry_names, host, line, ran, scoped};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("register/a_dynamic_emulator_in_usr_bin", dynamic_in_usr_bin),
    test("register/default_set", default_set),
    test("register/again_changes_nothing", again_changes_nothing),
    test("register/every_test_program_runs", every_test_program_runs),
    test("register/programs_of_c_compilers", programs_of_c_compilers),
    test("register/host_is_never_registered", host_is_never_registered),
    test("register/replaces_what_differs", replaces_what_differs),
    test("register/another_folder", another_folder),
    test("register/leftovers_are_cleaned", leftovers_are_cleaned),
    test("register/leftover_of_another_file", leftover_of_another_file),
    #[cfg(target_arch = "x86_64")]
    test("register/native_is_skipped_by_name_too", native_is_skipped_by_name_too),
    #[cfg(target_arch = "x86_64")]
    test("register/entries_do_not_hide_what_is_native", entries_do_not_hide_what_is_native),
    #[cfg(target_arch = "x86_64")]
    test("register/ours_in_the_way_of_native", ours_in_the_way_of_native),
    #[cfg(target_arch = "x86_64")]
    test("register/undecidable", undecidable),
    test("register/file_is_gone", file_is_gone),
    test("register/spellings_of_a_folder", spellings_of_a_folder),
    test("register/bad_folder_in_the_environment", bad_folder_in_the_environment),
];

/// The file of a target's test program.
pub(crate) fn test_program(sandbox: &Sandbox, target: &Target) -> PathBuf {
    let path = sandbox.scratch().join(target.qemu);
    fs::write(&path, probe::executable(target, target.machines[0]).expect("a test program")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// Whether this machine runs a target's programs; asked before anything is registered.
pub(crate) fn runs(sandbox: &Sandbox, target: &Target) -> bool {
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
    let text = "enabled\ninterpreter /usr/bin/qemu-s390x-static\nflags: POF\noffset 0\n\
                magic 7f454c4602020100000000000000000000020016\n\
                mask ffffffffffffff000000000000000000fffeffff\n";
    assert_eq!(sandbox.entries()["qemu-s390x"], text);
}

fn again_changes_nothing(sandbox: &Sandbox) {
    sandbox.succeeds(&["register"]);
    let before = sandbox.entries();
    let out = sandbox.succeeds(&["register"]);
    assert_eq!(sandbox.entries(), before);
    let sum = format!("0 registered, 0 replaced, {} refreshed, 0 unchanged", before.len());
    assert!(out.lines().last().is_some_and(|line| line.starts_with(&sum)), "{out}");
}

fn every_test_program_runs(sandbox: &Sandbox) {
    sandbox.succeeds(&["register"]);
    for target in TARGETS.iter() {
        assert!(runs(sandbox, target), "{}", target.qemu);
    }
}

/// GNU triple of a cross compiler, Debian's name of its architecture, and QEMU's.
const COMPILED: [(&str, &str, &str); 8] = [
    ("aarch64-linux-gnu", "arm64", "aarch64"),
    ("s390x-linux-gnu", "s390x", "s390x"),
    ("riscv64-linux-gnu", "riscv64", "riscv64"),
    ("powerpc64le-linux-gnu", "ppc64el", "ppc64le"),
    ("arm-linux-gnueabihf", "armhf", "arm"),
    ("mips64el-linux-gnuabi64", "mips64el", "mips64el"),
    ("m68k-linux-gnu", "m68k", "m68k"),
    ("sparc64-linux-gnu", "sparc64", "sparc64"),
];

/// Programs as people run them, with a C library, of all the cross compilers that this machine has: those that
/// `cargo xtask test` installs where the distribution has them, so that none is an accident.
fn programs_of_c_compilers(sandbox: &Sandbox) {
    let mut faults = Vec::new();
    let compiled: Vec<_> = COMPILED
        .into_iter()
        .filter_map(|(triple, debian, target)| match hello(sandbox, triple) {
            Ok(program) => Some((program, debian, target)),
            Err(fault) => {
                faults.push(fault);
                None
            }
        })
        .collect();
    assert!(!compiled.is_empty(), "no cross compiler with a C library is here: {}", faults.join("; "));
    let enoexec = Some(8);
    for (program, debian, target) in &compiled {
        if host().qemu != *target {
            let before = Command::new(program).output().expect_err("no handler yet");
            assert_eq!(before.raw_os_error(), enoexec, "{target}");
        }
        sandbox.succeeds(&["register", debian]);
        let after = ran(&mut Command::new(program));
        assert_eq!((after.code, after.out.as_str(), after.err.as_str()), (Some(0), "hello\n", ""), "{target}");
    }
    let names: Vec<_> = compiled.iter().map(|(.., target)| *target).collect();
    println!("programs of C compilers ran: {}; not compiled: {faults:?}", names.join(", "));
}

/// A static program of a cross compiler, or why there is none.
fn hello(sandbox: &Sandbox, triple: &str) -> Result<PathBuf, String> {
    let source = sandbox.scratch().join("hello.c");
    fs::write(&source, "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n").expect("written");
    let program = sandbox.scratch().join(format!("hello-{triple}"));
    let compiler = format!("{triple}-gcc");
    let mut compile = Command::new(&compiler);
    compile.arg("-static").arg("-o").arg(&program).arg(&source);
    let compiled = compile.output().map_err(|error| format!("{compiler}: {error}"))?;
    let printed = String::from_utf8_lossy(&compiled.stderr);
    if compiled.status.success() { Ok(program) } else { Err(format!("{compiler}: {}", printed.trim())) }
}

fn host_is_never_registered(sandbox: &Sandbox) {
    let host = host().qemu;
    let out = sandbox.succeeds(&["register", host]);
    assert_eq!(out, format!("0 registered, 0 replaced, 0 unchanged; {host} skipped: this CPU's own\n"));
    assert!(sandbox.names().is_empty());
}

fn replaces_what_differs(sandbox: &Sandbox) {
    let interpreter = "/usr/bin/qemu-s390x-static";
    let good = line("s390x", "qemu-s390x", interpreter, "POF");
    let cases = [
        (good.replace("/usr/bin/", "/elsewhere/").replace(":POF", ":PO"), "emulator in another folder"),
        (line("s390x", "qemu-s390x", interpreter, "PF"), "other flags"),
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
    assert!(sandbox.entries()["qemu-s390x"].contains(&format!("interpreter {folder}/qemu-s390x-static\nflags: POF\n")));
    assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")));
}

fn leftovers_are_cleaned(sandbox: &Sandbox) {
    let own = line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "POF");
    let other = line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "OCF");
    let leftover = line("s390x", "qemu-s390x.registrar", "/usr/bin/qemu-s390x-static", "POF");
    sandbox.add(&own);
    let wanted = sandbox.entries();
    sandbox.write("qemu-s390x", "-1");
    let third = leftover.replacen(".registrar", ".registrar2", 1);
    let left = "(before: served by what a killed run has left)";
    // The oldest first.
    let cases: [(&[&String], &str); 7] = [
        (&[&own, &leftover], left),
        (&[&own, &third], left),
        (&[&leftover, &own], "refreshed "),
        (&[&third, &leftover, &own], "refreshed "),
        (&[&other, &leftover, &third], "(before: other flags)"),
        (&[&leftover], "registered "),
        (&[&leftover, &third], "registered "),
    ];
    for (before, word) in cases {
        before.iter().for_each(|line| sandbox.add(line));
        let out = sandbox.succeeds(&["register", "s390x"]);
        assert!(out.contains(word), "{out}");
        assert_eq!(sandbox.entries(), wanted, "{word}");
        sandbox.write("qemu-s390x", "-1");
    }
}

/// A run was killed that had only added: its entry, of the same text, holds the file that is there now, and serves.
fn leftover_of_another_file(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&[]);
    let emulator = folder.join("qemu-s390x-static");
    let rule = |name: &str| line("s390x", name, emulator.to_str().expect("text"), "POF");
    let register = || sandbox.succeeds(&["register", "s390x", "--bindir", folder.to_str().expect("text")]);
    let s390x = targets::by_qemu_name("s390x").expect("known");
    fs::copy("/bin/false", &emulator).expect("copied");
    sandbox.add(&rule("qemu-s390x"));
    fs::remove_file(&emulator).expect("removed");
    fs::copy("/usr/bin/qemu-s390x-static", &emulator).expect("copied");
    sandbox.add(&rule("qemu-s390x.registrar"));
    assert!(runs(sandbox, s390x), "the newer one serves");
    assert!(register().contains("(before: served by what a killed run has left)"));
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    assert!(runs(sandbox, s390x), "the entry that stayed holds the file of before");
    assert!(register().contains("1 refreshed"));
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

/// Entries that serve a target do not keep the kernel from telling whether it needs them.
#[cfg(target_arch = "x86_64")]
fn entries_do_not_hide_what_is_native(sandbox: &Sandbox) {
    let is_native = runs(sandbox, targets::by_qemu_name("i386").expect("known"));
    let corrected = line("i386", "box86", "/usr/bin/qemu-i386-static", "F");
    // QEMU's own masks leave the lowest bit of the ELF version out.
    let upstream = corrected.replacen(r"\xff\xff\xff\xff\xff\xff\xff\x00", r"\xff\xff\xff\xff\xff\xff\xfe\x00", 1);
    assert_ne!(corrected, upstream);
    sandbox.add(PYTHON.1);
    for theirs in [corrected, upstream] {
        sandbox.add(&theirs);
        let out = sandbox.succeeds(&["register", "386"]);
        assert_eq!(out.contains("; i386 skipped: runs natively\n"), is_native, "{out}");
        assert_eq!(sandbox.names() == ["box86", PYTHON.0], is_native);
        sandbox.succeeds(&["unregister", "386"]);
        sandbox.write("box86", "-1");
    }
}

/// Left by another image, say.
#[cfg(target_arch = "x86_64")]
fn ours_in_the_way_of_native(sandbox: &Sandbox) {
    let is_native = runs(sandbox, targets::by_qemu_name("i386").expect("known"));
    sandbox.add(&line("i386", "qemu-i386", "/usr/bin/qemu-i386-static", "POF"));
    let out = sandbox.succeeds(&["register", "386"]);
    let in_the_way = "runs natively, but has an entry of ours; to remove it: registrar unregister i386";
    let native = format!(
        "qemu-i386  skipped       {in_the_way}\nqemu-i486  skipped       runs natively\n\
         0 registered, 0 replaced, 0 unchanged; i386 skipped: {in_the_way}\n"
    );
    let needed = "qemu-i386  refreshed     /usr/bin/qemu-i386-static\n\
                  qemu-i486  registered    /usr/bin/qemu-i386-static\n\
                  1 registered, 0 replaced, 1 refreshed, 0 unchanged\n";
    assert_eq!(out, if is_native { native.as_str() } else { needed });
    let out = sandbox.succeeds(&["register"]);
    assert_eq!(out.contains(in_the_way), is_native);
    assert_eq!(!sandbox.names().contains(&"qemu-i486".into()), is_native, "nothing is added");
    assert_eq!(sandbox.succeeds(&["status", "386"]).contains("(also runs natively)"), is_native);
}

/// With an entry that takes any ELF file, the kernel cannot be asked: one cause, told once.
#[cfg(target_arch = "x86_64")]
fn undecidable(sandbox: &Sandbox) {
    sandbox.add(r":any:M::\x7fELF\x01::/usr/bin/qemu-i386-static:F");
    let err = "registering i386: cannot tell whether it runs natively: an entry takes any program of this kind";
    let out = sandbox.fails(&["register", "386"], err);
    assert!(out.ends_with("\n0 registered, 0 replaced, 0 unchanged, 1 failed\n"), "{out}");
}

/// A host's own `/usr/bin` is not the image's: its emulators may need what a program's root does not have. Nothing there
/// is written to: the emulator is covered by a mount of this namespace.
fn dynamic_in_usr_bin(sandbox: &Sandbox) {
    // Where an image has the list of its packages.
    namespace::cover(Path::new("/usr/share/doc")).expect("covered");
    let (program, emulator) = (Path::new("/bin/sh"), Path::new("/usr/bin/qemu-s390x-static"));
    nix::mount::mount(Some(program), emulator, None::<&str>, nix::mount::MsFlags::MS_BIND, None::<&str>)
        .expect("covered");
    let ran = sandbox.run(&["register", "s390x"]);
    assert!(ran.code == Some(1) && ran.err.contains("not static: it needs /"), "{ran:?}");
    assert!(sandbox.names().is_empty());
}

fn file_is_gone(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let option = folder.to_str().expect("text");
    sandbox.succeeds(&["register", "s390x", "--bindir", option]);
    fs::remove_file(folder.join("qemu-s390x-static")).expect("removed");
    let expected = format!(
        "qemu-s390x  unchanged     {option}/qemu-s390x-static (no such file here: the kernel keeps the file \
         that it opened)\n0 registered, 0 replaced, 1 unchanged\n"
    );
    assert_eq!(sandbox.succeeds(&["register", "s390x", "--bindir", option]), expected);
    assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")));
}

fn spellings_of_a_folder(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    for folder in ["/usr/bin/", "//usr/./bin", "/usr//bin/."] {
        assert!(sandbox.succeeds(&["register", "s390x", "--bindir", folder]).contains("refreshed     /usr/bin/qemu"));
    }
    sandbox.fails(
        &["register", "s390x", "--bindir", "/"],
        "registering qemu-s390x: /qemu-s390x-static: no such file; --bindir names the folder of the emulators",
    );
}

fn bad_folder_in_the_environment(sandbox: &Sandbox) {
    let run = |arguments: &[&str]| ran(Command::new(sandbox.registrar()).args(scoped(arguments)).env("BINDIR", "bin"));
    sandbox.succeeds(&["register", "s390x"]);
    let register = run(&["register", "s390x"]);
    assert_eq!((register.code, register.err.as_str()), (Some(1), "BINDIR 'bin': not an absolute path\n"));
    let unregister = run(&["unregister"]);
    assert_eq!((unregister.code, unregister.err.as_str()), (Some(0), ""));
    assert!(sandbox.names().is_empty());
}
