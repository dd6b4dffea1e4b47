//! Rules against headers, and through the parser and back.

use codegen::probe;
use codegen::rule::{Byte, ConfLine, Problem, Rule, limits, parse_conf};
use codegen::targets::{self, Machine, TARGETS, Target};
use object::Endianness;
use proptest::prelude::*;

const UPSTREAM: &[u8] = include_bytes!("../../tests/data/binfmt/qemu-10.2.2.conf");

/// Rules of all targets, each with its entry's name and the target and machine number that it is for.
fn all_rules() -> Vec<(&'static Target, Machine, Rule)> {
    let of = |target: &'static Target| target.machines.iter().map(move |&machine| (target, machine));
    TARGETS.iter().flat_map(of).map(|(target, machine)| (target, machine, Rule::for_target(target, machine))).collect()
}

/// The first 64 bytes of the target's test program, with this `e_type`.
fn header(target: &Target, machine: Machine, e_type: u8) -> [u8; 64] {
    let program = probe::executable(target, machine).expect("a test program");
    let mut header: [u8; 64] = program[..64].try_into().expect("64 bytes");
    header[if target.endian == Endianness::Little { 16 } else { 17 }] = e_type;
    header
}

/// A change that a toolchain makes to an ordinary header.
type Mark = (&'static str, fn(&mut [u8; 64]));

const MARKS: &[Mark] = &[
    ("plain", |_| {}),
    ("GNU OSABI", |header| header[7] = 3),
    ("AppImage", |header| header[8..11].copy_from_slice(b"AI\x02")),
    ("-mplt ABI version", |header| header[8] = 1),
];

#[test]
fn exactly_the_right_rule_matches_every_header() {
    let rules = all_rules();
    assert_eq!(rules.len(), 36);
    for (target, machine, _) in &rules {
        for e_type in [2, 3] {
            for (mark, apply) in MARKS {
                let mut header = header(target, *machine, e_type);
                apply(&mut header);
                let matching = rules.iter().filter(|(.., rule)| rule.matches(&header));
                let names: Vec<_> = matching.map(|(_, machine, _)| machine.name).collect();
                assert_eq!(names, [machine.name], "type {e_type}, {mark}");
            }
        }
    }
}

#[test]
fn objects_and_cores_match_no_rule() {
    for (target, machine, rule) in all_rules() {
        for e_type in [1, 4] {
            assert!(!rule.matches(&header(target, machine, e_type)), "{}, type {e_type}", machine.name);
        }
    }
}

/// Why a rule is computed and not taken from a package.
#[test]
fn upstream_rules_fail_where_computed_ones_do_not() {
    let upstream = |entry: &str| {
        let mut lines = parse_conf(UPSTREAM).map(|(_, line)| line.expect("a rule"));
        lines.find(|line| line.name == format!("qemu-{entry}")).expect(entry).rule
    };
    for (entry, e_type, mark) in [("aarch64", 2, "AppImage"), ("microblaze", 2, "plain"), ("microblaze", 3, "plain")] {
        let (target, machine) = targets::by_entry_name(entry).expect(entry);
        let mut header = header(target, machine, e_type);
        MARKS.iter().find(|(name, _)| *name == mark).expect(mark).1(&mut header);
        assert!(!upstream(entry).matches(&header), "{entry}");
        assert!(Rule::for_target(target, machine).matches(&header), "{entry}");
    }
    let (target, machine) = targets::by_entry_name("ppc64le").expect("ppc64le");
    let mut other_machine = header(target, machine, 2);
    other_machine[19] = 0x15;
    assert!(upstream("ppc64le").matches(&other_machine), "the high byte of the machine number is not compared");
    assert!(!Rule::for_target(target, machine).matches(&other_machine));
}

#[test]
fn names_are_unambiguous() {
    let mut owners = std::collections::BTreeMap::new();
    for target in TARGETS {
        for name in target.all_names() {
            if let Some(other) = owners.insert(name.clone(), target.qemu) {
                panic!("{name} means {other} and {}", target.qemu);
            }
        }
    }
    for (name, qemu) in [
        ("linux/arm64/v8", "aarch64"),
        ("arm/v7", "arm"),
        ("armhf", "arm"),
        ("armel", "arm"),
        ("linux/386", "i386"),
        ("i686", "i386"),
        ("qemu-i486", "i386"),
        ("x86-64", "x86_64"),
        ("mips64le", "mips64el"),
        ("mips64el", "mips64el"),
        ("ppc64el", "ppc64le"),
        ("loong64", "loongarch64"),
        ("powerpc", "ppc"),
        ("parisc", "hppa"),
        ("riscv64-linux-gnu", "riscv64"),
    ] {
        assert_eq!(targets::by_any_name(name).map(|target| target.qemu), Some(qemu), "{name}");
    }
    assert!(TARGETS.windows(2).all(|pair| pair[0].qemu < pair[1].qemu), "targets are sorted");
}

#[test]
fn reads_a_file_as_systemd_does() {
    let text = "\n# comment\n; another\n  \t\n  :one:M::py::/bin/py:  \r\n:two:M:4:ab:\\xff\\x0f:/bin/two:POCF\n";
    let lines: Vec<_> = parse_conf(text.as_bytes()).collect();
    let [(5, Ok(one)), (6, Ok(two))] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((one.name.as_str(), two.name.as_str(), two.interpreter.as_str()), ("one", "two", "/bin/two"));
    let byte = |magic, mask| Byte { magic, mask };
    assert_eq!(one.rule, Rule { offset: 0, magic: b"py".into(), mask: vec![0xff; 2] }, "no mask: all bits count");
    assert_eq!([3, 4, 5, 6].map(|at| two.rule.at(at)), [byte(0, 0), byte(b'a', 0xff), byte(b'b', 0x0f), byte(0, 0)]);
    assert!(two.rule.matches(b"....a\xf2") && !two.rule.matches(b"....a\xf3") && !two.rule.matches(b"....b\xf2"));
}

#[test]
fn a_bad_line_hides_no_other() {
    let text = b":one:M::py::/bin/py:\n:two:M::p\xff::/bin/py:\n:three:M::py::/bin/py:X\n:four:M::py::/bin/py:";
    let lines: Vec<_> = parse_conf(text).map(|(_, line)| line.map(|line| line.name)).collect();
    assert_eq!(lines, [Ok("one".into()), Err(Problem::NotUtf8), Err(Problem::Flag('X')), Ok("four".into())]);
}

#[test]
fn says_what_the_kernel_would_refuse_and_where() {
    let name = "n".repeat(256);
    let magic = "m".repeat(257);
    let long = format!(":x:M::m::/{}:F", "i".repeat(1921 - 12));
    assert_eq!(long.len(), 1921);
    for (line, problem) in [
        (":x:M::m::i", Problem::TooShort(10)),
        (long.as_str(), Problem::TooLong(1921)),
        (":x:M::m\0m::/bin/i:", Problem::Nul),
        ("éxéMééméé/bin/ié", Problem::Delimiter('é')),
        ("::M::m::/bin/i:F", Problem::Name("".into())),
        (":..:M::m::/bin/i:F", Problem::Name("..".into())),
        (":a/b:M::m::/bin/i:F", Problem::Name("a/b".into())),
        (&format!(":{name}:M::m::/bin/i:F"), Problem::NameTooLong(256)),
        (":x:N::m::/bin/i:F", Problem::Type("N".into())),
        (":x:M:-1:m::/bin/i:F", Problem::Offset("-1".into())),
        (":x:M:1x:m::/bin/i:F", Problem::Offset("1x".into())),
        (":x:M::::/bin/i:F", Problem::EmptyMagic),
        (":x:M::\\x4:\\xff:/bin/i:F", Problem::Escape("magic")),
        (":x:M::mm:\\xff:/bin/i:F", Problem::MaskLength { magic: 2, mask: 1 }),
        (&format!(":x:M::{magic}::/bin/i:F"), Problem::BeyondHeader(257)),
        (":x:M:250:magic-7::/bin/i:F", Problem::BeyondHeader(257)),
        (":x:E::py::/bin/i:F", Problem::Extension),
        (":x:M::m::::::F", Problem::EmptyInterpreter),
        (":x:M::m::/bin/i:FX", Problem::Flag('X')),
        (":x:M::m::/bin/i", Problem::MissingField("interpreter")),
    ] {
        let text = format!("# first line\n{line}");
        let lines: Vec<_> = parse_conf(text.as_bytes()).collect();
        assert_eq!(lines, [(2, Err(problem.clone()))], "{line}");
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
}

/// A delimiter that cannot be taken for a part of the fields that [`line`] makes.
const DELIMITERS: &str = "[:;,|!%@]";

prop_compose! {
    /// Bytes, each spelled in one of the ways that the kernel reads.
    fn bytes()(bytes in prop::collection::vec(any::<(u8, bool)>(), 1..40)) -> (String, Vec<u8>) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let spell = |&(byte, raw): &(u8, bool)| {
            if raw && plain(byte) { char::from(byte).to_string() } else { format!("\\x{byte:02X}") }
        };
        (bytes.iter().map(spell).collect(), bytes.iter().map(|&(byte, _)| byte).collect())
    }
}

prop_compose! {
    fn line()(
        delimiter in DELIMITERS,
        name in "[a-zA-Z0-9_.-]{3,40}",
        (magic, value) in bytes(),
        offset in prop::option::of(0usize..200),
        masked in any::<bool>(),
        interpreter in "/[a-zA-Z0-9/_.-]{1,60}",
        flags in "[POCF]{0,4}",
    ) -> (String, ConfLine) {
        let mask = if masked { "\\xfE".repeat(value.len()) } else { String::new() };
        let shown = offset.map(|offset| offset.to_string()).unwrap_or_default();
        let fields = [name.as_str(), "M", &shown, &magic, &mask, &interpreter, &flags];
        let text = fields.iter().flat_map(|field| [&delimiter, *field]).collect();
        let mask = vec![if masked { 0xfe } else { 0xff }; value.len()];
        let rule = Rule { offset: offset.unwrap_or(0), magic: value, mask };
        (text, ConfLine { name, rule, interpreter })
    }
}

proptest! {
    #[test]
    fn any_spelling_is_read_and_ours_reads_the_same((text, line) in line()) {
        let ours = line.rule.line(&line.name, &line.interpreter, "F");
        prop_assert_eq!(ConfLine::parse(&text), Ok(line.clone()));
        prop_assert_eq!(ConfLine::parse(&ours), Ok(line));
    }

    #[test]
    fn no_input_makes_the_parser_panic(text in any::<Vec<u8>>()) {
        parse_conf(&text).for_each(drop);
    }

    #[test]
    fn no_input_like_a_rule_makes_the_parser_panic(line in "[:;a-fMEx0-9\\\\/é\u{0}]{0,80}") {
        if let Ok(line) = ConfLine::parse(&line) {
            prop_assert!(line.rule.end() <= limits::COMPARED_BYTES);
            prop_assert_eq!(line.rule.magic.len(), line.rule.mask.len());
        }
    }
}
