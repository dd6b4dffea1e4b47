//! What `unregister` removes, and what it leaves.

use crate::sandbox::{PYTHON, Sandbox, line};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("unregister/leaves_the_folder_as_it_was", leaves_the_folder_as_it_was),
    test("unregister/only_what_is_named", only_what_is_named),
    test("unregister/nothing_registered", nothing_registered),
    test("unregister/other_folder_and_leftovers", other_folder_and_leftovers),
    test("unregister/names_of_others", names_of_others),
];

fn leaves_the_folder_as_it_was(sandbox: &Sandbox) {
    sandbox.add(PYTHON.1);
    let before = sandbox.entries();
    sandbox.succeeds(&["register"]);
    let ours = sandbox.entries().len() - before.len();
    let out = sandbox.succeeds(&["unregister"]);
    assert_eq!(out.lines().last(), Some(format!("{ours} unregistered").as_str()));
    assert_eq!(sandbox.entries(), before);
    assert_eq!(sandbox.names(), [PYTHON.0]);
}

fn only_what_is_named(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "arm64", "riscv64"]);
    let out = sandbox.succeeds(&["unregister", "aarch64", "m68k"]);
    assert_eq!(out, "qemu-aarch64  unregistered\nqemu-m68k     absent        was not registered\n1 unregistered\n");
    assert_eq!(sandbox.names(), ["qemu-riscv64", "qemu-s390x"]);
}

fn nothing_registered(sandbox: &Sandbox) {
    assert_eq!(sandbox.succeeds(&["unregister"]), "nothing was registered\n");
}

fn other_folder_and_leftovers(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", "/elsewhere/qemu-s390x-static", "PO"));
    for name in ["qemu-arm.registrar", "qemu-arm.registrar2"] {
        sandbox.add(&line("arm", name, "/usr/bin/qemu-arm-static", "F"));
    }
    assert_eq!(
        sandbox.succeeds(&["unregister"]),
        "qemu-arm    unregistered\nqemu-s390x  unregistered\n2 unregistered\n"
    );
    assert!(sandbox.names().is_empty());
}

fn names_of_others(sandbox: &Sandbox) {
    let theirs = "/usr/libexec/qemu-binfmt/s390x-binfmt-P";
    sandbox.add(&line("s390x", "qemu-s390x", theirs, "PO"));
    assert_eq!(
        sandbox.succeeds(&["unregister"]),
        format!(
            "qemu-s390x  left alone    belongs to {theirs}\nnothing was registered; left on: qemu-s390x ({theirs}); to \
             remove that: registrar --uninstall qemu-s390x\n"
        )
    );
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    let ours = ["qemu-s390x.registrar", "qemu-s390x.registrar2"];
    ours.iter().for_each(|name| sandbox.add(&line("s390x", name, "/usr/bin/qemu-s390x-static", "F")));
    sandbox.add(&line("arm", "qemu-arm.registrar2", "/opt/theirs", "P"));
    assert_eq!(sandbox.succeeds(&["unregister"]), "qemu-s390x  unregistered\n1 unregistered\n");
    assert_eq!(sandbox.names(), ["qemu-arm.registrar2", "qemu-s390x"]);
    sandbox.fails(
        &["unregister", "s390x"],
        "unregistering qemu-s390x: the name belongs to /usr/libexec/qemu-binfmt/s390x-binfmt-P; \
         to remove that: echo -1 > /proc/sys/fs/binfmt_misc/qemu-s390x",
    );
}
