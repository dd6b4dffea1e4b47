//! nalind's image, which this one re-makes, older images, and the names of architectures.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Line, ours, registered};
use crate::sandbox::Sandbox;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("compat_cli/nalind", nalind),
    test("compat_cli/names_of_one_architecture", names_of_one_architecture),
    test("compat_cli/what_one_line_registers_all_others_know", what_one_line_registers_all_others_know),
    test("compat_cli/what_has_other_names_is_left_on_and_told", what_has_other_names_is_left_on_and_told),
];

/// Its two words are ours; where no word is given, it prints how to use it, and we what tonistiigi's image prints.
fn nalind(sandbox: &Sandbox) {
    let names = super::all(sandbox);
    sandbox.succeeds(&["register"]);
    assert_eq!(registered(sandbox), ours(&names, "POF"));
    sandbox.succeeds(&["unregister"]);
    assert!(sandbox.names().is_empty());
}

/// Whatever line has registered, ours and each other's find it and remove it.
fn what_one_line_registers_all_others_know(sandbox: &Sandbox) {
    let ways: [(&[&str], &str); 5] = [
        (&["register", "--scope=userns", "arm64"], "POF"),
        (&["--install", "arm64"], "OCF"),
        (&["--reset", "-p", "yes", "aarch64"], "F"),
        (&["--persistent", "yes", "--credential", "yes", "aarch64"], "OCF"),
        (&["-s", "--", "-p", "aarch64"], "F"),
    ];
    let removals: [&[&str]; 5] = [
        &["unregister", "--scope=userns"],
        &["unregister", "--scope=userns", "arm64"],
        &["--uninstall", "arm64"],
        &["-r", "--", "-t"],
        &["--", "-r"],
    ];
    for (words, flags) in ways {
        for removal in removals {
            let run = |words: &[&str]| {
                let ran = Line::from(words).run(sandbox);
                assert_eq!(
                    (ran.code, ran.err.contains("not found")),
                    (Some(0), false),
                    "{words:?}: {}{}",
                    ran.out,
                    ran.err
                );
                ran.out
            };
            run(words);
            assert_eq!(registered(sandbox), ours(&["qemu-aarch64"], flags));
            assert!(run(&["verify"]).contains("1 ok"), "{words:?}");
            assert!(run(&["verify", "arm64"]).contains("1 ok"), "{words:?}");
            let doctor = run(&["doctor"]);
            assert!(doctor.contains("verify    ok       qemu-aarch64: ok"), "{words:?}: {doctor}");
            let state = if flags == "POF" { "registered" } else { "different" };
            assert!(run(&["status", "arm64"]).contains(state), "{words:?}");
            let others: &[&[&str]] =
                &[&["status", "--check", "--flags", flags, "arm64"], &["unregister", "--dry-run", "--scope=userns"]];
            others.iter().for_each(|words| drop(run(words)));
            run(removal);
            assert!(sandbox.names().is_empty(), "{words:?} {removal:?}");
        }
    }
}

/// As variables and options of the others name entries and emulators, which a later run is not given.
fn what_has_other_names_is_left_on_and_told(sandbox: &Sandbox) {
    let folder = sandbox.scratch().join("emulators");
    fs::create_dir(&folder).expect("created");
    let at = folder.to_str().expect("text");
    for name in ["qemu-s390x", "b-qemu-s390x", "qemu-s390x-mine"] {
        symlink("/usr/bin/qemu-s390x-static", folder.join(name)).expect("a link");
    }
    let [path, prefix] = [("QEMU_BINARY_PATH", at), ("QEMU_BINARY_PREFIX", "b-")];
    let cases = [
        (&[path][..], &["--install", "s390x"][..], "qemu-s390x", "qemu-s390x"),
        (&[path, prefix], &["--install", "s390x"], "b-qemu-s390x", "b-qemu-s390x"),
        (&[], &["-Q", at, "--qemu-suffix", "-mine", "-p", "yes", "s390x"], "qemu-s390x", "qemu-s390x-mine"),
    ];
    for (environment, words, name, file) in cases {
        let ran = Line { environment, ..Line::from(words) }.run(sandbox);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let left = format!("left on: {name} ({at}/{file}); to remove that: registrar --uninstall {name}");
        let none = format!("no handler of ours is registered; first: registrar register; {left}");
        sandbox.fails(&["verify"], &none);
        sandbox.fails(&["doctor"], &format!("rule is broken: {none}"));
        for words in [&["unregister"][..], &["unregister", "--dry-run"]] {
            let out = sandbox.succeeds(words);
            assert!(out.ends_with(&format!("nothing was registered; {left}\n")), "{out}");
        }
        for words in [&["verify", "s390x"][..], &["doctor", "s390x"]] {
            let out = sandbox.succeeds(words);
            assert!(out.contains(&format!("by {name} ({at}/{file})")), "{out}");
        }
        assert!(sandbox.succeeds(&["status", "s390x"]).contains("served"));
        // With the same variables all is found, and with the advice all is removed.
        if !environment.is_empty() {
            let found = Line { environment, ..Line::from(&["verify"][..]) }.run(sandbox);
            assert!(found.out.contains("1 ok"), "{}", found.err);
        }
        let ran = Line::from(&["--uninstall", name][..]).run(sandbox);
        assert_eq!((ran.code, ran.err), (Some(0), format!("uninstalling: {name} OK\n")));
        assert!(sandbox.names().is_empty());
    }
}

/// Those of the contract; every other name of the table has a test of its own.
fn names_of_one_architecture(sandbox: &Sandbox) {
    let cases: [(&[&str], &str); 5] = [
        (&["aarch64", "arm64", "linux/arm64", "linux/arm64/v8", "aarch64-linux-gnu", "linux/aarch64"], "aarch64"),
        (&["arm", "armhf", "armel", "armv6l", "armv7l", "linux/armhf", "linux/armel", "linux/arm/v7"], "arm"),
        (&["mips64el", "mips64le", "linux/mips64le"], "mips64el"),
        (&["ppc64el", "ppc64le", "linux/ppc64le"], "ppc64le"),
        (&["parisc"], "hppa"),
    ];
    for (names, target) in cases {
        let entry = format!("qemu-{target}");
        for name in names {
            sandbox.succeeds(&["register", name]);
            assert_eq!(sandbox.names(), [entry.as_str()], "{name}");
            let ran = Line::from(&["--uninstall", name][..]).run(sandbox);
            assert_eq!((ran.code, ran.err), (Some(0), format!("uninstalling: {entry} OK\n")), "{name}");
            assert!(sandbox.names().is_empty());
        }
    }
    let cases = [("loong64", "qemu-loongarch64"), ("powerpc", "qemu-ppc"), ("linux/loong64", "qemu-loongarch64")];
    for (name, entry) in cases {
        sandbox.succeeds(&["register", name]);
        assert_eq!(sandbox.names(), [entry]);
        sandbox.succeeds(&["unregister", name]);
    }
}
