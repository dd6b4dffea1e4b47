//! Tables of what packages hold: what unknown targets get, what is refused, and the Rust text.

use codegen::emit;
use codegen::remark::Remark;
use codegen::table::{Emulator, Inputs, Provenance, Table, TableError};
use codegen::targets;
use codegen::witness::Conf;

fn inputs(emulators: &[&str], confs: &[&str]) -> Inputs {
    Inputs {
        host: targets::by_qemu_name("x86_64"),
        emulators: emulators.iter().map(|&target| Emulator { target: target.into() }).collect(),
        confs: confs.iter().map(|&line| Conf { file: "some.conf".into(), text: line.into() }).collect(),
        provenance: Provenance { qemu_version: "11.1.3".into(), origin: "a test".into() },
    }
}

/// A made-up target with a machine number of its own.
const UNKNOWN: &str = r":qemu-z80:M::\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xdc\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-z80-static:POF";

#[test]
fn known_and_unknown_targets_make_one_table() {
    let table = Table::build(inputs(&["arm", "i386", "x86_64", "z80"], &[UNKNOWN])).expect("a table");
    let names: Vec<_> = table.handlers.iter().map(|handler| handler.name.as_str()).collect();
    assert_eq!(names, ["qemu-arm", "qemu-i386", "qemu-i486", "qemu-x86_64", "qemu-z80"]);
    let arm = &table.handlers[0];
    assert!(arm.line().ends_with(":/usr/bin/qemu-arm-static:POF"), "{}", arm.line());
    assert!(!arm.probe.is_empty());
    assert_eq!(table.handlers[4].line(), UNKNOWN, "an unknown target's rule is kept as it is");
    let warnings: Vec<_> = table.remarks.iter().filter(|remark| remark.is_warning()).collect();
    assert_eq!(warnings, [&Remark::UnknownTarget { file: "some.conf".into(), target: "z80".into() }]);
    assert_eq!(table.names.get("armhf").map(String::as_str), Some("arm"));
    assert_eq!(table.names.get("qemu-z80").map(String::as_str), Some("z80"));
}

#[test]
fn an_unknown_rule_gets_the_images_path_and_flag() {
    let theirs = UNKNOWN.replace("/usr/bin/qemu-z80-static:POF", "/usr/libexec/qemu-binfmt/z80-binfmt-P:OPC");
    let table = Table::build(inputs(&["z80"], &[&theirs.replace(":qemu-z80:", ":z80:")])).expect("a table");
    assert_eq!(table.handlers[0].line(), UNKNOWN);
}

#[test]
fn of_two_unknown_rules_for_an_entry_the_first_is_used() {
    let other = UNKNOWN.replacen("\\xdc", "\\xdd", 1);
    let table = Table::build(inputs(&["z80"], &[UNKNOWN, &other])).expect("a table");
    assert_eq!(table.handlers.len(), 1);
    assert_eq!(table.handlers[0].line(), UNKNOWN);
    assert!(table.remarks.contains(&Remark::Repeated { file: "some.conf".into(), first: "some.conf".into() }));
}

#[test]
fn a_rule_too_long_in_our_spelling_is_not_used() {
    // 236 bytes, as the kernel takes them: each would become eight, with its mask.
    let long = format!(":qemu-z80:M:20:{}::/usr/bin/qemu-z80-static:F", "z".repeat(236));
    let table = Table::build(inputs(&["z80"], &[&long])).expect("a table");
    assert!(table.handlers.is_empty());
    let [unusable, no_rule] = table.remarks.as_slice() else { panic!("{:?}", table.remarks) };
    assert!(unusable.to_string().contains("1933 bytes, the kernel takes at most 1920"), "{unusable}");
    assert_eq!(no_rule, &Remark::NoRule { target: "z80".into() });
}

#[test]
fn what_would_be_fatal_is_refused() {
    let z80 = |machine: &str| UNKNOWN.replacen("\\xdc\\x00", machine, 1);
    let host = z80("\\x3e\\x00").replacen("ELF\\x01", "ELF\\x02", 1);
    // Only the host's static glibc programs, which are marked with GNU's OSABI.
    let gnu_host = host.replacen("\\x01\\x01\\x00", "\\x01\\x01\\x03", 1);
    let all = r":qemu-z80:M::\x00:\x00:/usr/bin/qemu-z80-static:F".to_owned();
    let matches_host = || TableError::MatchesHost { entry: "qemu-z80".into(), host: "x86_64" };
    let overlap = |one: &str| TableError::Overlap { one: one.into(), other: "qemu-z80".into() };
    for (emulators, conf, expected) in [
        (vec!["z80"], &host, matches_host()),
        (vec!["z80"], &gnu_host, matches_host()),
        (vec!["z80"], &all, matches_host()),
        (vec!["x86_64", "z80"], &host, overlap("qemu-x86_64")),
        (vec!["arm", "z80"], &z80("\\x28\\x00"), overlap("qemu-arm")),
    ] {
        let error = Table::build(inputs(&emulators, &[conf])).expect_err("fatal");
        assert_eq!(error, expected, "{conf}");
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
fn the_text_holds_each_handlers_line_and_rule() {
    let text = emit::table(&Table::build(inputs(&["z80"], &[UNKNOWN])).expect("a table")).expect("Rust");
    assert!(text.starts_with("// @generated by `cargo xtask codegen`."));
    assert!(text.contains(&format!("{UNKNOWN:?}")), "{text}");
    let rule = r#"magic: b"\x7FELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xDC\0""#;
    assert!(text.contains(rule), "{text}");
    let mask = r#"mask: b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE\xFF\xFF\xFF""#;
    assert!(text.contains(mask), "{text}");
}

#[test]
fn selections_are_sorted_names_of_qemus() {
    let select = |words: &str| targets::selection(&words.split(' ').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(select("riscv64 linux/arm64 aarch64 z80"), ["aarch64", "riscv64", "z80"]);
    assert_eq!(select("common arm64"), targets::COMMON);
    let platforms = targets::COMMON.map(|name| targets::by_qemu_name(name).expect("known").platform());
    let expected = ["arm64", "arm", "386", "loong64", "mips64le", "ppc64le", "riscv64", "s390x", "amd64"];
    assert_eq!(platforms, expected.map(|name| format!("linux/{name}")));
}
