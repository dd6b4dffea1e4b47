//! Tables of what packages hold: what is accepted, what is refused, and that the text is Rust and always the same.

use codegen::emit;
use codegen::rule::{Masks, Rule};
use codegen::table::{Conf, Emulator, Inputs, Provenance, Remark, Table, TableError};
use codegen::targets;

fn inputs(emulators: &[&str], confs: &[&str]) -> Inputs {
    Inputs {
        host: targets::by_qemu_name("x86_64"),
        emulators: emulators.iter().map(|&target| Emulator { target: target.into() }).collect(),
        confs: confs
            .iter()
            .map(|line| Conf { file: "some.conf".into(), rule: Rule::parse(line).expect(line) })
            .collect(),
        masks: Masks::Corrected,
        provenance: Provenance { qemu_version: "11.1.3".into(), origin: "a test".into() },
    }
}

/// A packaged line of a known target.
fn packaged(entry: &str) -> String {
    let (target, machine) = targets::by_entry_name(entry).expect(entry);
    Rule::for_target(target, machine, Masks::Upstream, &format!("/elsewhere/{entry}-binfmt-P")).to_string()
}

/// A made-up target with a machine number of its own.
const UNKNOWN: &str = r":qemu-z80:M::\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xdc\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-z80-static:F";

#[test]
fn packaged_and_computed_rules_make_one_table() {
    let arm = packaged("arm");
    let table = Table::build(inputs(&["arm", "i386", "x86_64", "z80"], &[&arm, UNKNOWN])).expect("a table");
    let names: Vec<_> = table.handlers.iter().map(|handler| handler.rule.name.as_str()).collect();
    assert_eq!(names, ["qemu-arm", "qemu-i386", "qemu-i486", "qemu-x86_64", "qemu-z80"]);
    let arm = &table.handlers[0];
    assert!(arm.rule.to_string().ends_with(":/usr/bin/qemu-arm-static:F"), "{}", arm.rule);
    assert!(!arm.probe.is_empty());
    let z80 = &table.handlers[4];
    assert_eq!(z80.rule.to_string(), UNKNOWN, "an unknown target's rule is kept as it is");
    let warnings: Vec<_> = table.remarks.iter().filter(|remark| remark.is_warning()).collect();
    assert_eq!(warnings, [&Remark::UnknownTarget { file: "some.conf".into(), target: "z80".into() }]);
    assert!(
        table.remarks.iter().any(|remark| matches!(remark, Remark::Corrected { entry, .. } if entry == "qemu-arm"))
    );
    assert_eq!(table.names.get("armhf").map(String::as_str), Some("arm"));
    assert_eq!(table.names.get("qemu-z80").map(String::as_str), Some("z80"));
}

#[test]
fn upstream_masks_are_kept_when_asked_for() {
    let arm = packaged("arm");
    let table = Table::build(Inputs { masks: Masks::Upstream, ..inputs(&["arm"], &[&arm]) }).expect("a table");
    let expected = arm.replace("/elsewhere/arm-binfmt-P", "/usr/bin/qemu-arm-static");
    assert_eq!(table.handlers[0].rule.to_string(), expected);
}

#[test]
fn contradictions_are_refused() {
    let arm = packaged("arm");
    let wrong_machine = arm.replacen("\\x28", "\\x29", 1);
    let file = || "some.conf".to_owned();
    let host_rule = packaged("x86_64").replace(":qemu-x86_64:", ":qemu-mine:");
    // Only the host's static glibc programs, which are marked with GNU's OSABI.
    let gnu_host_rule =
        r":qemu-mine:M::\x7fELF\x02\x01\x01\x03\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00::/x:F".to_owned();
    for (emulators, confs, expected) in [
        (
            vec!["i386"],
            vec![arm.as_str()],
            TableError::NoEmulator { file: file(), interpreter: "/elsewhere/arm-binfmt-P".into() },
        ),
        (vec!["arm"], vec![wrong_machine.as_str()], TableError::Disagrees { file: file(), byte: 18 }),
        (vec!["arm"], vec![arm.as_str(), arm.as_str()], TableError::Twice { entry: "qemu-arm".into() }),
        (vec!["py"], vec![":qemu-py:E::py::/usr/bin/qemu-py-static:"], TableError::NotMagic { file: file() }),
        (vec!["mine"], vec![host_rule.as_str()], TableError::MatchesHost { entry: "qemu-mine".into(), host: "x86_64" }),
        (
            vec!["mine"],
            vec![gnu_host_rule.as_str()],
            TableError::MatchesHost { entry: "qemu-mine".into(), host: "x86_64" },
        ),
        (
            vec!["x86_64", "mine"],
            vec![host_rule.as_str()],
            TableError::Overlap { one: "qemu-mine".into(), other: "qemu-x86_64".into() },
        ),
    ] {
        let error = Table::build(inputs(&emulators, &confs)).expect_err("a contradiction");
        assert_eq!(error, expected);
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn an_unknown_emulator_without_a_rule_is_named() {
    let table = Table::build(inputs(&["z80"], &[])).expect("a table");
    assert!(table.handlers.is_empty());
    assert_eq!(table.remarks, [Remark::NoRule { target: "z80".into() }]);
}

#[test]
fn emulators_are_known_by_their_file_names() {
    for (name, target) in [
        ("qemu-aarch64_be-static", Some("aarch64_be")),
        ("qemu-arm", Some("arm")),
        ("qemu-", None),
        ("qemu--static", None),
        ("qemu-../x-static", None),
        ("python3", None),
    ] {
        assert_eq!(Emulator::from_file_name(name).map(|emulator| emulator.target).as_deref(), target, "{name}");
    }
}

#[test]
fn the_text_is_rust_and_always_the_same() {
    let text = || emit::table(&Table::build(Inputs::from_targets()).expect("a table")).expect("Rust");
    assert_eq!(text(), text());
    assert!(text().starts_with("// @generated by `cargo xtask codegen`."));
}
