//! Real conf files held against the targets, and confs with a fault: what each costs.

use codegen::remark::Remark;
use codegen::rule::{Byte, Problem, Rule, parse_conf};
use codegen::table::{Emulator, Inputs, Table};
use codegen::targets;
use codegen::witness::Conf;

/// A file of `tests/data/binfmt`, the number of its lines, and where they differ from the computed rules: bytes, magic
/// and mask of the lines, entries (after `!`: all but these).
type File = (&'static str, &'static str, usize, &'static [(usize, usize, u8, u8, &'static str)]);

const FILES: &[File] = &[
    (
        "qemu-10.2.2",
        include_str!("../../tests/data/binfmt/qemu-10.2.2.conf"),
        33,
        &[
            (5, 5, 0x01, 0xfe, "alpha i386 i486"),
            (6, 6, 0x01, 0xfe, "alpha i386 i486 m68k"),
            (7, 7, 0x00, 0xfc, "loongarch64"),
            (8, 8, 0x00, 0xff, "! loongarch64 mips mips64 mips64el mipsel mipsn32 mipsn32el"),
            (9, 15, 0x00, 0xff, "!"),
            (16, 16, 0x02, 0xfe, "microblaze"),
            (17, 17, 0x00, 0xff, "microblaze"),
            (19, 19, 0x00, 0x00, "ppc64le"),
            (20, 20, 0x01, 0xff, "mipsel mipsn32el"),
            (20, 22, 0x00, 0xff, "mips mipsn32"),
            (21, 23, 0x00, 0xff, "mipsel mipsn32el"),
            (23, 23, 0x01, 0xff, "mips mipsn32"),
        ],
    ),
    (
        "debian-7.2",
        include_str!("../../tests/data/binfmt/debian-7.2.conf"),
        31,
        &[
            (5, 6, 0x01, 0xfe, "i386 x86_64"),
            (7, 7, 0x00, 0xfc, DEBIAN_OSABI),
            (8, 8, 0x00, 0xff, "! loongarch64 mips mips64 mips64el mipsel mipsn32 mipsn32el"),
            (8, 8, 0x00, 0xfe, "mips mips64 mips64el mipsel mipsn32 mipsn32el"),
            (9, 15, 0x00, 0xff, "!"),
            (19, 19, 0x00, 0x00, "ppc64le"),
            (20, 20, 0x00, 0x00, "mipsel mipsn32el"),
            (23, 23, 0x00, 0x00, "mips mipsn32"),
        ],
    ),
    ("debian-10.0", include_str!("../../tests/data/binfmt/debian-10.0.conf"), 33, DEBIAN),
    ("debian-11.1", include_str!("../../tests/data/binfmt/debian-11.1.conf"), 33, DEBIAN),
];

const DEBIAN_OSABI: &str = "i386 loongarch64 ppc ppc64 ppc64le s390x sh4 sh4eb sparc sparc32plus sparc64 x86_64";

const DEBIAN: &[(usize, usize, u8, u8, &str)] = &[
    (5, 6, 0x01, 0xfe, "i386 x86_64"),
    (7, 7, 0x00, 0xfc, DEBIAN_OSABI),
    (8, 8, 0x00, 0xff, "! loongarch64 mips mips64 mips64el mipsel mipsn32 mipsn32el"),
    (9, 15, 0x00, 0xff, "!"),
    (19, 19, 0x00, 0x00, "ppc64le"),
    (20, 20, 0x01, 0xff, "mipsel mipsn32el"),
    (20, 22, 0x00, 0xff, "mips mipsn32"),
    (21, 23, 0x00, 0xff, "mipsel mipsn32el"),
    (23, 23, 0x01, 0xff, "mips mipsn32"),
];

/// The lines of a file, with their entries' names.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let rules = text.lines().filter(|line| !line.starts_with('#'));
    rules.map(|line| (line.split(':').nth(1).and_then(|name| name.strip_prefix("qemu-")).expect(line), line))
}

/// A conf as packages have it: one line in a file of the entry's name, in Fedora without a newline.
fn conf(entry: &str, text: impl Into<Vec<u8>>) -> Conf {
    Conf { file: format!("binfmt.d/qemu-{entry}.conf"), text: text.into() }
}

/// QEMU's own line of an entry.
fn upstream(entry: &str) -> &'static str {
    lines(FILES[0].1).find(|(name, _)| *name == entry).expect(entry).1
}

/// A table for an x86_64 host, of these emulators and confs.
fn table(emulators: &[&str], confs: Vec<Conf>) -> Table {
    let emulators = emulators.iter().map(|&target| Emulator { target: target.into() }).collect();
    Table::build(Inputs { host: targets::by_qemu_name("x86_64"), emulators, confs, ..Inputs::from_targets() })
        .expect("a table")
}

fn warnings(table: &Table) -> Vec<String> {
    table.remarks.iter().filter(|remark| remark.is_warning()).map(ToString::to_string).collect()
}

#[test]
fn every_real_line_is_a_witness_with_known_differences() {
    for (file, text, count, expected) in FILES {
        assert_eq!(lines(text).count(), *count, "{file}");
        for (entry, line) in lines(text) {
            let (target, machine) = targets::by_entry_name(entry).expect(entry);
            let parsed = parse_conf(line.as_bytes()).next().expect("a line").1.expect(line);
            let is_of = |entries: &str| match entries.strip_prefix('!') {
                Some(others) => others.split_whitespace().all(|other| other != entry),
                None => entries.split_whitespace().any(|one| one == entry),
            };
            let computed = Rule::for_target(target, machine);
            for at in 0..64 {
                let mut rows = expected
                    .iter()
                    .filter(|(first, last, .., entries)| (*first..=*last).contains(&at) && is_of(entries));
                let expected = rows.next().map_or(computed.at(at), |&(_, _, magic, mask, _)| Byte { magic, mask });
                assert_eq!(parsed.rule.at(at), expected, "{file}: {entry}, byte {at}");
                assert_eq!(rows.next(), None, "{file}: {entry}, byte {at} twice");
            }
            let table = table(&[target.qemu], vec![conf(entry, line)]);
            assert_eq!(warnings(&table), [""; 0], "{file}: {entry}");
            let handler = table.handlers.iter().find(|handler| handler.name == parsed.name).expect(entry);
            assert_eq!(handler.rule, computed, "{file}: {entry}");
            assert!(!handler.probe.is_empty(), "{file}: {entry}");
        }
    }
}

#[test]
fn any_changed_byte_is_named_with_both_values_and_the_computed_rule_is_used() {
    for (entry, line) in lines(FILES[0].1) {
        let (target, machine) = targets::by_entry_name(entry).expect(entry);
        let computed = Rule::for_target(target, machine);
        let parsed = parse_conf(line.as_bytes()).next().expect("a line").1.expect(line);
        for at in 0..parsed.rule.end() {
            for is_mask in [false, true] {
                let mut rule = parsed.rule.clone();
                let byte = if is_mask { &mut rule.mask[at] } else { &mut rule.magic[at] };
                *byte ^= 0x10;
                let (changed, right) = (rule.at(at), computed.at(at));
                let text = rule.line(&parsed.name, &parsed.interpreter, "F");
                let table = table(&[target.qemu], vec![conf(entry, text)]);
                let handler = table.handlers.iter().find(|handler| handler.name == parsed.name).expect(entry);
                assert_eq!(handler.rule, computed, "{entry}");
                let expected = format!(
                    "binfmt.d/qemu-{entry}.conf: byte {at} is {:#04x} with mask {:#04x}, computed: {:#04x} with mask \
                     {:#04x}; no known reason, the computed rule is used",
                    changed.magic, changed.mask, right.magic, right.mask
                );
                assert_eq!(warnings(&table), [expected], "{entry}");
            }
        }
    }
}

#[test]
fn a_known_reason_is_one_of_its_target_alone() {
    // What is known of microblaze is not known of sparc.
    let microblaze = upstream("microblaze").replace("microblaze", "sparc").replace("\\xba\\xab", "\\x00\\x02");
    let table = table(&["sparc"], vec![conf("sparc", microblaze)]);
    let warnings = warnings(&table);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("byte 16 is 0x02 with mask 0xfe, computed: 0x00 with mask 0xff"), "{warnings:?}");
}

#[test]
fn no_bad_witness_stops_the_build_of_a_known_target() {
    let good = upstream("arm");
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    let no_mask = {
        let mut fields: Vec<_> = good.split(':').collect();
        fields[5] = "";
        fields.join(":").into_bytes()
    };
    let unusable = |problem| Remark::Unusable { file: "binfmt.d/qemu-arm.conf".into(), line: 1, problem }.to_string();
    for (text, expected) in [
        (
            changed(":qemu-arm:", ":qemu-army:"),
            "binfmt.d/qemu-arm.conf: names its entry \"qemu-army\", unlike the file",
        ),
        (changed(":qemu-arm:", ":arm:"), "binfmt.d/qemu-arm.conf: names its entry \"arm\", unlike the file"),
        (changed(":M::", ":M:4:"), "byte 0 is 0x00 with mask 0x00, computed: 0x7f with mask 0xff; no known reason"),
        (changed("\\x28\\x00:", "\\x28\\x00\\x01:"), &unusable(Problem::MaskLength { magic: 21, mask: 20 })),
        (
            changed("\\x28\\x00:", "\\x28\\x00\\x01:")
                .iter()
                .map(|&byte| char::from(byte))
                .collect::<String>()
                .replacen("\\xff\\xff:/", "\\xff\\xff\\xff:/", 1)
                .into_bytes(),
            "byte 20 is 0x01 with mask 0xff, computed: 0x00 with mask 0x00; no known reason",
        ),
        (no_mask, "byte 7 is 0x00 with mask 0xff, computed: 0x00 with mask 0x00; no known reason"),
        (b":qemu-arm:E::arm::/usr/bin/qemu-arm-static:F".into(), &unusable(Problem::Extension)),
        (changed(":F", ":FX"), &unusable(Problem::Flag('X'))),
        (
            changed("\\x7fELF", "\u{fffd}").into_iter().filter(|byte| *byte != 0xbd).collect(),
            &unusable(Problem::NotUtf8),
        ),
        (changed(":/", "\n:/"), &unusable(Problem::MissingField("mask"))),
        (b"# nothing\n".into(), "binfmt.d/qemu-arm.conf: holds no rule"),
        (Vec::new(), "binfmt.d/qemu-arm.conf: holds no rule"),
        (vec![0; 1000], &unusable(Problem::Nul)),
        (
            changed("qemu-arm-static", "qemu-sparc-static"),
            "binfmt.d/qemu-arm.conf: names the interpreter \"/usr/bin/qemu-sparc-static\"; qemu-arm-static is used",
        ),
        (
            format!("{good}\n{good}").into_bytes(),
            "binfmt.d/qemu-arm.conf: is of the same entry as binfmt.d/qemu-arm.conf",
        ),
        (upstream("sparc").into(), "binfmt.d/qemu-arm.conf: no package holds the emulator of \"sparc\""),
    ] {
        let shown = String::from_utf8_lossy(&text).into_owned();
        let table = table(&["arm"], vec![conf("arm", text)]);
        assert!(warnings(&table).iter().any(|warning| warning.contains(expected)), "{shown}: {:?}", table.remarks);
        let names: Vec<_> = table.handlers.iter().map(|handler| handler.name.as_str()).collect();
        assert_eq!(names, ["qemu-arm"], "{shown}");
        let (arm, machine) = targets::by_entry_name("arm").expect("arm");
        assert_eq!(table.handlers[0].rule, Rule::for_target(arm, machine), "{shown}");
        assert!(table.remarks.iter().all(|remark| !remark.to_string().contains('\n')), "{shown}");
    }
}

#[test]
fn a_conf_of_another_emulator_is_passed_over() {
    let table = table(&["arm"], vec![conf("arm", upstream("arm")), conf("cris", upstream("sparc"))]);
    assert_eq!(warnings(&table).len(), 2, "{:?}", table.remarks);
    assert_eq!(table.handlers.len(), 1);
}

#[test]
fn a_missing_conf_is_a_note() {
    let table = table(&["i386"], vec![conf("i386", upstream("i386"))]);
    assert_eq!(warnings(&table), [""; 0]);
    assert!(table.remarks.contains(&Remark::NoConf { entry: "qemu-i486".into() }), "{:?}", table.remarks);
    assert!(!table.remarks.contains(&Remark::NoConf { entry: "qemu-i386".into() }), "{:?}", table.remarks);
}
