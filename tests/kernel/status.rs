//! What `status` shows, as text and as JSON.

use std::process::{Command, Stdio};

use serde_json::Value;
use tests::emulators::TARGETS;

use crate::sandbox::{Sandbox, entry_names, host, line};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("status/text", text),
    test("status/json", json),
    test("status/json_is_documented", json_is_documented),
    test("status/options_alone_are_status", options_alone_are_status),
    test("status/switched_off", switched_off),
    test("status/served_under_another_name", served_under_another_name),
    test("status/check", check),
    test("status/check_of_what_register_leaves_alone", check_of_what_register_leaves_alone),
    test("status/colours", colours),
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
        "qemu-m68k     m68k     linux/m68k     served      P      /usr/libexec/qemu-binfmt/m68k-binfmt-P (by qemu-m68k)",
        "qemu-riscv64  riscv64  linux/riscv64  disabled    POF    /usr/bin/qemu-riscv64-static",
        "qemu-s390x    s390x    linux/s390x    registered  POF    /usr/bin/qemu-s390x-static",
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
    assert_eq!(keys, ["enabled", "handlers", "mount", "namespace", "origin", "qemu", "registrar"]);
    assert_eq!(status["mount"], "/proc/sys/fs/binfmt_misc");
    assert_eq!(status["enabled"], true);
    let namespace = std::fs::read_link("/proc/self/ns/user").expect("a namespace");
    assert_eq!(status["namespace"], namespace.to_str().expect("text"));
    let handlers = status["handlers"].as_array().expect("a list");
    let names: Vec<_> = handlers.iter().map(|handler| handler["name"].as_str().expect("a name")).collect();
    assert_eq!(names, entry_names(|_| true));
    let handler = |name: &str| handlers.iter().find(|handler| handler["name"] == name).expect(name);
    let expected = serde_json::json!({
        "name": "qemu-riscv64", "target": "riscv64", "platform": "linux/riscv64", "state": "disabled",
        "entry": "qemu-riscv64", "interpreter": "/usr/bin/qemu-riscv64-static", "flags": "POF", "server": null,
        "detail": null,
    });
    assert_eq!(handler("qemu-riscv64"), &expected);
    let expected = serde_json::json!({
        "name": "qemu-hppa", "target": "hppa", "platform": "linux/hppa", "state": "absent",
        "entry": null, "interpreter": null, "flags": null, "server": null, "detail": null,
    });
    assert_eq!(handler("qemu-hppa"), &expected);
    assert_eq!(handler("qemu-m68k")["state"], "served");
    assert_eq!(handler("qemu-m68k")["server"], "qemu-m68k");
    assert_eq!(handler("qemu-s390x")["state"], "registered");
}

/// All keys and no others, and all words that a run on this machine gives.
fn json_is_documented(sandbox: &Sandbox) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json.md");
    let text = std::fs::read_to_string(path).expect(path);
    let sections: Vec<_> = text.split("\n## ").collect();
    let [both, status, verify, _doctor] = sections[..] else { panic!("{path}: not four parts") };
    prepare(sandbox);
    for (arguments, section, word) in
        [(["status", "--json"], status, "state"), (["verify", "--json"], verify, "result")]
    {
        let out = sandbox.run(&arguments).out;
        let found: Value = serde_json::from_str(&out).expect(&out);
        let mut keys = keys(&found);
        let handlers = found["handlers"].as_array().expect("a list");
        keys.extend(self::keys(&handlers[0]));
        let (of_keys, of_words) = section.split_once(&format!("| `{word}` | meaning |")).expect("two kinds of tables");
        let mut expected = [first_cells(both), first_cells(of_keys)].concat();
        for list in [&mut keys, &mut expected] {
            list.sort();
            list.dedup();
        }
        assert_eq!(keys, expected, "{arguments:?}");
        let words = first_cells(of_words);
        for handler in handlers {
            let word = handler[word].as_str().expect("a word");
            assert!(words.iter().any(|known| known == word), "{word}: {words:?}");
        }
    }
}

fn keys(object: &Value) -> Vec<String> {
    object.as_object().expect("an object").keys().cloned().collect()
}

/// What is code in the first column of tables.
fn first_cells(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(String::from)).collect()
}

fn options_alone_are_status(sandbox: &Sandbox) {
    assert_eq!(sandbox.succeeds(&["--json"]), sandbox.succeeds(&["status", "--json"]));
    assert!(TARGETS.iter().all(|target| sandbox.succeeds(&["--verbose"]).contains(target.qemu)));
}

fn switched_off(sandbox: &Sandbox) {
    sandbox.write("status", "0");
    let out = sandbox.succeeds(&["status"]);
    assert_eq!(out.lines().next(), Some("binfmt_misc at /proc/sys/fs/binfmt_misc, disabled: the kernel uses no entry"));
}

fn served_under_another_name(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x.registrar", "/usr/bin/qemu-s390x-static", "POF"));
    sandbox.add(&line("m68k", "theirs", "/opt/m68k", ""));
    sandbox.add(&line("hppa", "disabled", "/opt/hppa", ""));
    sandbox.write("disabled", "0");
    sandbox.succeeds(&["register", "sh4", "arm"]);
    sandbox.add(&line("sh4", "newer", "/opt/sh4", ""));
    sandbox.add(&line("arm", "newer-arm", "/opt/arm", ""));
    sandbox.write("newer-arm", "0");
    // Left by a run that was killed, and by another that has been told of another folder.
    for (target, name) in [("mips", "qemu-mips"), ("mips", "qemu-mips.registrar"), ("ppc", "qemu-ppc.registrar2")] {
        sandbox.add(&line(target, name, &format!("/usr/bin/qemu-{target}-static"), "POF"));
    }
    let out = sandbox.succeeds(&["status", "s390x", "m68k", "hppa", "sh4", "arm", "mips", "ppc"]);
    let expected = [
        "qemu-arm    arm     linux/arm    registered  POF    /usr/bin/qemu-arm-static",
        "qemu-hppa   hppa    linux/hppa   absent",
        "qemu-m68k   m68k    linux/m68k   served             /opt/m68k (by theirs)",
        "qemu-mips   mips    linux/mips   different   POF    /usr/bin/qemu-mips-static (served by what a killed run has left)",
        "qemu-ppc    ppc     linux/ppc    registered  POF    /usr/bin/qemu-ppc-static (as qemu-ppc.registrar2)",
        "qemu-s390x  s390x   linux/s390x  registered  POF    /usr/bin/qemu-s390x-static (as qemu-s390x.registrar)",
        "qemu-sh4    sh4     linux/sh4    shadowed    POF    /usr/bin/qemu-sh4-static (by newer)",
    ];
    assert_eq!(out.lines().skip(2).collect::<Vec<_>>(), expected);
}

/// As a probe of readiness is meant.
fn check(sandbox: &Sandbox) {
    let fails = |arguments: &[&str], err: &str| {
        sandbox.fails(arguments, err);
    };
    fails(&["status", "--check", "s390x"], "qemu-s390x is absent; registrar register fixes it");
    sandbox.succeeds(&["register"]);
    sandbox.succeeds(&["status", "--check"]);
    assert_eq!(sandbox.succeeds(&["status", "--check", "-q", "s390x"]), "");
    fails(
        &["status", "--check", "--credentials", "s390x", "arm"],
        "2 handlers are not as register would write them, first qemu-arm, different; registrar register with the same options \
         fixes it",
    );
    sandbox.write("qemu-s390x", "0");
    fails(&["status", "--check"], "qemu-s390x is disabled; registrar register fixes it");
    sandbox.add(&line("arm", "newer", "/opt/arm", ""));
    fails(&["status", "--check", "arm"], "qemu-arm is shadowed; registrar register fixes it");
    sandbox.add(&line("arm", "qemu-arm.registrar2", "/usr/bin/qemu-arm-static", "POF"));
    fails(&["status", "--check", "arm"], "qemu-arm is different; registrar register fixes it");
    sandbox.succeeds(&["register"]);
    sandbox.succeeds(&["status", "--check"]);
    sandbox.write("status", "0");
    fails(&["status", "--check"], "binfmt_misc is disabled; to enable it: echo 1 > /proc/sys/fs/binfmt_misc/status");
}

/// As readiness of a resident that was told to keep the entries of others.
fn check_of_what_register_leaves_alone(sandbox: &Sandbox) {
    sandbox.add(&line("m68k", "theirs", "/bin/false", "F"));
    sandbox.add(&line(host().qemu, "native", "/opt/native", ""));
    sandbox.write("native", "0");
    sandbox.succeeds(&["register", "--keep"]);
    sandbox.succeeds(&["status", "--check", "--keep"]);
    sandbox.fails(&["status", "--check"], "qemu-m68k is served; registrar register fixes it");
    sandbox.write("qemu-s390x", "-1");
    let with_options = "registrar register with the same options fixes it";
    sandbox.fails(&["status", "--check", "--keep"], &format!("qemu-s390x is absent; {with_options}"));
    // Advice that would not help is none.
    for name in ["qemu-s390x", "qemu-s390x.registrar"] {
        sandbox.add(&line("s390x", name, "/opt/theirs", ""));
        sandbox.write(name, "0");
    }
    let err = "qemu-s390x is absent; registrar register says why it cannot be registered";
    sandbox.fails(&["status", "--check", "s390x"], err);
    assert_eq!(sandbox.run(&["register", "s390x"]).code, Some(1));
}

/// A terminal of its own, by script(1).
fn colours(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let on_terminal = |setting: (&str, &str)| {
        let command = format!("{} status s390x m68k", sandbox.registrar().display());
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).stdin(Stdio::null());
        let output = script.env("TERM", "xterm").env(setting.0, setting.1).output().expect("script(1) starts");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text")
    };
    let coloured = on_terminal(("NO_COLOR", ""));
    assert!(coloured.contains("\u{1b}[32mregistered\u{1b}[0m"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[31mabsent    \u{1b}[0m"), "{coloured:?}");
    assert!(!on_terminal(("NO_COLOR", "1")).contains('\u{1b}'));
    assert!(!on_terminal(("TERM", "dumb")).contains('\u{1b}'));
    assert!(!sandbox.succeeds(&["status"]).contains('\u{1b}'));
}
