//! QEMU's script behind multiarch/qemu-user-static and dbhi/qus.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{Line, NOT_ELF, THEIRS, add_others, all, interpreter, ours, registered, says};
use crate::register::runs;
use crate::sandbox::{Sandbox, line};
use crate::{Test, test};
use codegen::targets;

pub(crate) const TESTS: &[Test] = &[
    test("compat_cli/multiarch/reset", reset),
    test("compat_cli/multiarch/flags", flags),
    test("compat_cli/multiarch/paths", paths),
    test("compat_cli/multiarch/taken_names", taken_names),
    test("compat_cli/multiarch/help_and_mistakes", help_and_mistakes),
    test("compat_cli/qus/registers", qus_registers),
    test("compat_cli/qus/clears", qus_clears),
    test("compat_cli/qus/shows", qus_shows),
];

/// What is printed of entries.
fn setting(names: &[impl AsRef<str>]) -> String {
    let of = |name: &str| {
        let target = &name["qemu-".len()..];
        format!("Setting {} as binfmt interpreter for {target}\n", interpreter(name))
    };
    names.iter().map(|name| of(name.as_ref())).collect()
}

fn clear(sandbox: &Sandbox) {
    sandbox.names().iter().for_each(|name| sandbox.write(name, "-1"));
}

/// Which file each entry is: one that was removed and made again is another.
fn files(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let number = |name: &str| fs::metadata(sandbox.folder().join(name)).expect(name).ino();
    sandbox.names().into_iter().map(|name| (name.clone(), number(&name))).collect()
}

/// Entries of others with QEMU's names go, those that are no emulators' stay, and so does one of another name.
fn reset(sandbox: &Sandbox) {
    let names = all(sandbox);
    for (words, flags) in [
        (&["--reset"][..], ""),
        (&["--reset", "-p", "yes"], "F"),
        (&["--reset", "-p", "yes", "-c", "yes"], "OCF"),
        (&["--reset", "--credential", "yes", "--persistent", "yes"], "OCF"),
    ] {
        add_others(sandbox);
        sandbox.add(&line("arm", "qemu-arm.registrar", "/usr/bin/qemu-arm-static", "P"));
        sandbox.add(&line("m68k", "qemu-m68k.registrar", THEIRS, ""));
        // Ours too, where it is not to be registered again.
        #[cfg(target_arch = "x86_64")]
        sandbox.add(&line("i386", "qemu-i386", "/usr/bin/qemu-i386-static", "F"));
        says(sandbox, words, 0, &setting(&names), "");
        let mut left = registered(sandbox);
        for name in NOT_ELF.map(|(name, _)| name).into_iter().chain(["box-m68k"]) {
            assert!(left.remove(name).is_some(), "{words:?}: {name}");
        }
        assert_eq!(left, ours(&names, flags), "{words:?}");
        // Again, as people do in every job: what is as it should be stays, or with flag F is exchanged.
        let before = (sandbox.entries(), files(sandbox));
        says(sandbox, words, 0, &setting(&names), "");
        assert_eq!(sandbox.entries(), before.0);
        assert_eq!(files(sandbox) == before.1, !flags.contains('F'), "{words:?}");
        clear(sandbox);
    }
}

/// The script's own options, each with yes and no.
fn flags(sandbox: &Sandbox) {
    let names = all(sandbox);
    let cases: [(&[&str], &str); 12] = [
        (&["-p", "yes"], "F"),
        (&["-p", "no"], ""),
        (&["--persistent", "yes"], "F"),
        (&["--persistent=no"], ""),
        (&["-c", "yes"], "OC"),
        (&["--credential", "no"], ""),
        (&["-p", "yes", "-c", "yes"], "OCF"),
        (&["-p", "yes", "-g", "yes"], "PF"),
        (&["-p", "yes", "--preserve-argv0", "yes", "-c", "yes"], "POCF"),
        (&["--preserve-argv0", "no"], ""),
        (&["-i", "yes", "-p", "yes"], "F"),
        (&["--ignore-family", "no"], ""),
    ];
    for (words, flags) in cases {
        says(sandbox, words, 0, &setting(&names), "");
        assert_eq!(registered(sandbox), ours(&names, flags), "{words:?}");
    }
    // Without F, the emulator is needed where the program is; here it is.
    assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")));
}

fn paths(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x", "riscv64"]);
    std::os::unix::fs::symlink("/usr/bin/qemu-s390x-static", folder.join("qemu-s390x-mine")).expect("a link");
    let at = folder.to_str().expect("text");
    let printed = |file: &str| format!("Setting {at}/{file} as binfmt interpreter for s390x\n");
    for (words, environment, file) in [
        (&["-Q", at, "-p", "yes", "s390x"][..], None, "qemu-s390x-static"),
        (&["--qemu-path", at, "--persistent", "yes", "s390x"], None, "qemu-s390x-static"),
        (&["--qemu-path", at, "-F", "-static", "-p", "yes", "s390x"], None, "qemu-s390x-static"),
        (&["-Q", at, "--qemu-suffix", "-mine", "-p", "yes", "s390x"], None, "qemu-s390x-mine"),
        (&["-p", "yes", "s390x"], Some(("QEMU_BIN_DIR", at)), "qemu-s390x-static"),
    ] {
        let environment: Vec<_> = environment.into_iter().collect();
        let ran = Line { environment: &environment, ..Line::from(words) }.run(sandbox);
        assert_eq!((ran.code, ran.out, ran.err.as_str()), (Some(0), printed(file), ""), "{words:?}");
        let expected = (format!("{at}/{file}"), "F".to_owned());
        assert_eq!(registered(sandbox), [("qemu-s390x".to_owned(), expected)].into(), "{words:?}");
        clear(sandbox);
    }
    says(sandbox, &["-Q", "/nonexistent", "-p", "yes"], 1, "", "--qemu-path /nonexistent: no such directory\n");
}

/// Theirs fails there; ours stands beside it and serves.
fn taken_names(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", THEIRS, "P"));
    says(sandbox, &["-p", "yes", "s390x"], 0, &setting(&["qemu-s390x"]), "");
    assert_eq!(sandbox.names(), ["qemu-s390x", "qemu-s390x.registrar"]);
    assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")));
}

fn help_and_mistakes(sandbox: &Sandbox) {
    for words in [&["--reset", "-h"][..], &["--reset", "--help"], &["-p", "yes", "-h"]] {
        let ran = Line::from(words).run(sandbox);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.starts_with("Parsed as multiarch/qemu-user-static's command line; "), "{}", ran.out);
    }
    let read_as = "; parsed as multiarch/qemu-user-static's command line, see --reset --help";
    says(sandbox, &["--reset", "--nonsense"], 1, "", &format!("unknown word '--nonsense'{read_as}\n"));
    says(sandbox, &["--reset", "arm46"], 1, "", "unknown architecture: 'arm46' (did you mean arm64?)\n");
    assert!(sandbox.names().is_empty());
}

fn qus_registers(sandbox: &Sandbox) {
    let names = all(sandbox);
    let some = ["qemu-aarch64", "qemu-s390x"];
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let cases: [(&[&str], &[&str], &str); 8] = [
        (&["-s", "--", "-p"], &all, "F"),
        (&["-s", "--", "-p", "aarch64"], &some[..1], "F"),
        (&["-s", "--", "-p", "aarch64", "s390x"], &some, "F"),
        (&["-s", "--", "-p", "yes", "arm64"], &some[..1], "F"),
        (&["-s", "--", "-p", "no", "aarch64"], &some[..1], ""),
        (&["-s", "--", "-p", "-c", "aarch64"], &some[..1], "OCF"),
        (&["-s", "--", "-c", "aarch64"], &some[..1], "OC"),
        (&["--", "-p", "aarch64"], &some[..1], "F"),
    ];
    for (words, expected, flags) in cases {
        says(sandbox, words, 0, &setting(expected), "");
        assert_eq!(registered(sandbox), ours(expected, flags), "{words:?}");
        clear(sandbox);
    }
    let read_as = "; parsed as dbhi/qus's command line, see -- --help";
    says(sandbox, &["-s", "-x", "--", "-p"], 1, "", &format!("unknown word '-x'{read_as}\n"));
}

fn qus_clears(sandbox: &Sandbox) {
    says(sandbox, &["--", "-r"], 0, "", "");
    add_others(sandbox);
    sandbox.succeeds(&["register", "arm", "s390x"]);
    says(sandbox, &["--", "-r", "s390x"], 0, "", "");
    assert_eq!(sandbox.names(), ["WSLInterop", "box-m68k", "python3.11", "qemu-arm", "qemu-jar"]);
    says(sandbox, &["--", "-r"], 0, "", "");
    assert_eq!(sandbox.names(), ["WSLInterop", "box-m68k", "python3.11", "qemu-jar"]);
    says(sandbox, &["-r", "-s", "--", "-p", "s390x"], 0, &setting(&["qemu-s390x"]), "");
}

/// What is listed are our words: theirs is the listing of a folder.
fn qus_shows(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let before = sandbox.entries();
    let status = sandbox.succeeds(&["status"]);
    assert!(status.contains("qemu-s390x"));
    says(sandbox, &["-l", "--", "-t"], 0, &status, "");
    says(sandbox, &["-l"], 0, &status, "");
    let trial = sandbox.succeeds(&["register", "--dry-run", "--flags=F"]);
    says(sandbox, &["-s", "--", "-p", "-t"], 0, &trial, "");
    assert_eq!(sandbox.entries(), before);
    for words in [&["-h", "--"][..], &["-s", "-h"], &["--", "-h"]] {
        let ran = Line::from(words).run(sandbox);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.starts_with("Parsed as dbhi/qus's command line; "), "{}", ran.out);
    }
}
