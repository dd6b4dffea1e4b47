//! Every name that a target goes by, on the command line.

use tests::emulators::{TARGETS, counted};

use crate::sandbox::{Sandbox, entry_names, host};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("names/every_spelling_is_understood", every_spelling_is_understood),
    test("names/lists_and_repetition", lists_and_repetition),
    test("names/unknown", unknown),
    test("names/help_and_version", help_and_version),
];

fn every_spelling_is_understood(sandbox: &Sandbox) {
    for target in TARGETS.iter().filter(|target| target.family != host().family) {
        let expected = entry_names(|other| other.qemu == target.qemu);
        for name in target.all_names() {
            sandbox.succeeds(&["register", &name]);
            assert_eq!(sandbox.names(), expected, "{name}");
            sandbox.succeeds(&["unregister", &name]);
            assert!(sandbox.names().is_empty(), "{name}");
        }
    }
}

fn lists_and_repetition(sandbox: &Sandbox) {
    let out = sandbox.succeeds(&["register", "linux/s390x,mips64le", "S390X", "mips64el-linux-gnuabi64"]);
    assert_eq!(
        out,
        "qemu-mips64el  registered    /usr/bin/qemu-mips64el-static\n\
         qemu-s390x     registered    /usr/bin/qemu-s390x-static\n\
         2 registered, 0 replaced, 0 unchanged\n"
    );
}

fn unknown(sandbox: &Sandbox) {
    let cases: [(&[&str], &str); 6] = [
        (&["register", "s390x", "arm46"], "unknown architecture: 'arm46' (did you mean arm64?)"),
        (&["register", ""], "unknown architecture: ''"),
        (&["unregister", "pdp11"], "unknown architecture: 'pdp11'"),
        (&["regsiter"], "unknown command: regsiter; see registrar --help"),
        (&["--help=yes"], "unexpected argument for option '--help': \"yes\"; see registrar --help"),
        (&["register", "--bindir"], "missing argument for option '--bindir'; see registrar --help"),
    ];
    for (arguments, err) in cases {
        assert_eq!(sandbox.fails(arguments, err), "");
    }
}

fn help_and_version(sandbox: &Sandbox) {
    assert!(sandbox.succeeds(&["--help"]).contains("Usage: registrar [COMMAND] [OPTIONS] [ARCH...]\n"));
    let expected = format!(
        "registrar {}\nQEMU none (no packages, the source alone)\n{}\n",
        env!("CARGO_PKG_VERSION"),
        counted(&TARGETS)
    );
    assert_eq!(sandbox.succeeds(&["--version"]), expected);
}
