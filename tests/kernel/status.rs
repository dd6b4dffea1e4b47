//! What `status` shows, as text and as JSON.

use codegen::targets;
use serde_json::Value;

use crate::sandbox::{Sandbox, entry_names, host, line};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("status/text", text),
    test("status/json", json),
    test("status/no_command_is_status", no_command_is_status),
    test("status/switched_off", switched_off),
    test("status/served_under_another_name", served_under_another_name),
];

/// One entry of each kind.
fn prepare(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "riscv64"]);
    sandbox.write("qemu-riscv64", "0");
    sandbox.add(&line("m68k", "qemu-m68k", "/usr/libexec/qemu-binfmt/m68k-binfmt-P", "P"));
}

fn text(sandbox: &Sandbox) {
    prepare(sandbox);
    let before = sandbox.entries();
    let out = sandbox.succeeds(&["status", "s390x", "riscv64", "m68k", "hppa", host().qemu]);
    assert_eq!(sandbox.entries(), before);
    let expected = [
        "binfmt_misc at /proc/sys/fs/binfmt_misc",
        "ENTRY         TARGET   PLATFORM       STATE       FLAGS  INTERPRETER",
        "qemu-hppa     hppa     linux/hppa     absent",
        "qemu-m68k     m68k     linux/m68k     taken       P      /usr/libexec/qemu-binfmt/m68k-binfmt-P",
        "qemu-riscv64  riscv64  linux/riscv64  different   F      /usr/bin/qemu-riscv64-static (disabled)",
        "qemu-s390x    s390x    linux/s390x    registered  F      /usr/bin/qemu-s390x-static",
    ];
    let (own, others): (Vec<_>, Vec<_>) =
        out.lines().partition(|line| line.split_whitespace().nth(1) == Some(host().qemu));
    assert_eq!(others, expected);
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].split_whitespace().last(), Some("native"));
}

fn json(sandbox: &Sandbox) {
    prepare(sandbox);
    let out = sandbox.succeeds(&["status", "--json"]);
    let status: Value = serde_json::from_str(&out).expect(&out);
    let keys: Vec<_> = status.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["enabled", "handlers", "mount", "origin", "qemu", "registrar"]);
    assert_eq!(status["mount"], "/proc/sys/fs/binfmt_misc");
    assert_eq!(status["enabled"], true);
    let handlers = status["handlers"].as_array().expect("a list");
    let names: Vec<_> = handlers.iter().map(|handler| handler["name"].as_str().expect("a name")).collect();
    assert_eq!(names, entry_names(|_| true));
    let handler = |name: &str| handlers.iter().find(|handler| handler["name"] == name).expect(name);
    let expected = serde_json::json!({
        "name": "qemu-riscv64", "target": "riscv64", "platform": "linux/riscv64", "state": "different",
        "interpreter": "/usr/bin/qemu-riscv64-static", "flags": "F", "detail": "disabled",
    });
    assert_eq!(handler("qemu-riscv64"), &expected);
    let expected = serde_json::json!({
        "name": "qemu-hppa", "target": "hppa", "platform": "linux/hppa", "state": "absent",
        "interpreter": null, "flags": null, "detail": null,
    });
    assert_eq!(handler("qemu-hppa"), &expected);
    assert_eq!(handler("qemu-m68k")["state"], "taken");
    assert_eq!(handler("qemu-s390x")["state"], "registered");
}

fn no_command_is_status(sandbox: &Sandbox) {
    assert_eq!(sandbox.succeeds(&[]), sandbox.succeeds(&["status"]));
    assert!(targets::TARGETS.iter().all(|target| sandbox.succeeds(&[]).contains(target.qemu)));
}

fn switched_off(sandbox: &Sandbox) {
    sandbox.write("status", "0");
    let out = sandbox.succeeds(&["status"]);
    assert_eq!(out.lines().next(), Some("binfmt_misc at /proc/sys/fs/binfmt_misc, switched off: no entry is used"));
}

fn served_under_another_name(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x.registrar", "/usr/bin/qemu-s390x-static", "F"));
    sandbox.add(&line("m68k", "theirs", "/opt/m68k", ""));
    sandbox.add(&line("hppa", "disabled", "/opt/hppa", ""));
    sandbox.write("disabled", "0");
    let out = sandbox.succeeds(&["status", "s390x", "m68k", "hppa"]);
    let expected = [
        "qemu-hppa   hppa    linux/hppa   absent",
        "qemu-m68k   m68k    linux/m68k   served         /opt/m68k (by theirs)",
        "qemu-s390x  s390x   linux/s390x  served  F      /usr/bin/qemu-s390x-static (by qemu-s390x.registrar)",
    ];
    assert_eq!(out.lines().skip(2).collect::<Vec<_>>(), expected);
}
