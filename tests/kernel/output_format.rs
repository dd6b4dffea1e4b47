//! The form of what is told: where it cannot be written, where it is too long, where it is not text for a terminal.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::sandbox::{SCOPE, Sandbox, line};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("output_format/output_that_cannot_be_written", output_that_cannot_be_written),
    test("output_format/reader_that_goes_away", reader_that_goes_away),
    test("output_format/long_paths", long_paths),
    test("output_format/control_characters", control_characters),
];

fn output_that_cannot_be_written(sandbox: &Sandbox) {
    for arguments in [&["status"][..], &["register", "s390x", SCOPE], &["--help"]] {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = Command::new(sandbox.registrar()).args(arguments).stdout(full).stderr(Stdio::piped()).spawn();
        let output = output.and_then(std::process::Child::wait_with_output).expect("it ran");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), err.as_ref()),
            (Some(1), "writing standard output: no space left on device\n")
        );
    }
}

fn reader_that_goes_away(sandbox: &Sandbox) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(sandbox.registrar()).arg("status").stdout(writer).stderr(Stdio::piped()).spawn();
    let output = output.and_then(std::process::Child::wait_with_output).expect("it ran");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

fn long_paths(sandbox: &Sandbox) {
    let long = sandbox.scratch().join("x".repeat(200));
    std::fs::create_dir(&long).expect("created");
    let long = long.to_str().expect("text");
    let cases = [
        (&["register", "s390x", "--bindir", long][..], "no such file; --bindir names the folder of the emulators"),
        (&["register", "s390x,m68k", "--bindir", long], "no such file; --bindir names the folder of the emulators"),
        (&["register", "--mount", &format!("/{}", "x/".repeat(600))], ": no such directory; create it"),
        (&["register", "--bindir", &"x".repeat(4000)], ": not an absolute path"),
    ];
    for (arguments, cause) in cases {
        let ran = sandbox.run(arguments);
        assert_eq!(ran.code, Some(1));
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.trim_end().ends_with(cause) && ran.err.trim_end().chars().count() <= 200, "{}", ran.err);
    }
}

fn control_characters(sandbox: &Sandbox) {
    let theirs = "/opt/\u{1b}[31mred";
    sandbox.add(&line("s390x", "qemu-s390x", theirs, "P"));
    let shown = r"/opt/\u{1b}[31mred";
    for arguments in [&["status"][..], &["register", "s390x"], &["register", "m68k,a\u{1b}[2Jb"]] {
        let ran = sandbox.run(arguments);
        let all = ran.out + &ran.err;
        assert!(!all.contains('\u{1b}'), "{all:?}");
        assert!(all.contains(shown) || all.contains(r"a\u{1b}[2Jb"), "{all}");
    }
}
