//! Rules against headers, against the real conf files of a distribution, and through the parser and back.

use std::fs;
use std::path::Path;

use codegen::probe;
use codegen::rule::{Correction, Flags, Masks, Problem, Rule, limits, parse_conf};
use codegen::targets::{self, Machine, TARGETS, Target};
use object::Endianness;
use proptest::prelude::*;

/// Rules of all targets, each with the target and machine number that it is for.
fn all_rules(masks: Masks) -> Vec<(&'static Target, Machine, Rule)> {
    let of = |target: &'static Target| target.machines.iter().map(move |&machine| (target, machine));
    TARGETS.iter().flat_map(of).map(|(target, machine)| (target, machine, rule(target, machine, masks))).collect()
}

fn rule(target: &Target, machine: Machine, masks: Masks) -> Rule {
    Rule::for_target(target, machine, masks, &format!("/usr/bin/qemu-{}-static", target.qemu))
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
    let rules = all_rules(Masks::Corrected);
    assert_eq!(rules.len(), 36);
    for (target, machine, _) in &rules {
        for e_type in [2, 3] {
            for (mark, apply) in MARKS {
                let mut header = probe::header(target, machine.number, e_type);
                apply(&mut header);
                let matching: Vec<_> = rules.iter().filter(|(.., rule)| rule.matches(&header)).collect();
                let names: Vec<_> = matching.iter().map(|(.., rule)| rule.name.as_str()).collect();
                assert_eq!(names, [format!("qemu-{}", machine.name)], "{}, type {e_type}, {mark}", machine.name);
            }
        }
    }
}

#[test]
fn objects_and_cores_match_no_rule() {
    for (target, machine, rule) in all_rules(Masks::Corrected) {
        for e_type in [1, 4] {
            assert!(!rule.matches(&probe::header(target, machine.number, e_type)), "{}, type {e_type}", rule.name);
        }
    }
}

#[test]
fn each_correction_is_needed() {
    let upstream = all_rules(Masks::Upstream);
    let fails = |name: &str, mark: fn(&mut [u8; 64]), e_type: u16| {
        let (target, machine, rule) = upstream.iter().find(|(.., rule)| rule.name == name).expect(name);
        let mut header = probe::header(target, machine.number, e_type);
        mark(&mut header);
        assert!(!rule.matches(&header), "{name}");
    };
    fails("qemu-aarch64", |header| header[8..11].copy_from_slice(b"AI\x02"), 2);
    fails("qemu-microblaze", |_| {}, 3);
    let (.., ppc64le) = upstream.iter().find(|(.., rule)| rule.name == "qemu-ppc64le").expect("ppc64le");
    let mut other_machine = probe::header(targets::by_qemu_name("ppc64le").expect("ppc64le"), 0x1515, 2);
    assert!(ppc64le.matches(&other_machine), "the high byte of the machine number is not compared upstream");
    other_machine[18..20].copy_from_slice(&[0x15, 0]);
    assert!(ppc64le.matches(&other_machine));
}

#[test]
fn corrections_turn_upstream_rules_into_computed_ones() {
    for (target, machine, mut upstream) in all_rules(Masks::Upstream) {
        let applied = upstream.correct(target);
        assert!(applied.contains(&Correction::AbiVersionAndPadding), "{}", upstream.name);
        assert_eq!(upstream, rule(target, machine, Masks::Corrected));
        assert_eq!(upstream.correct(target), [], "{}: a second time", upstream.name);
    }
}

/// MIPS rules of QEMU 7 and of QEMU 10, as Debian 12 and 13 package them: the ELF version is new, a byte of padding
/// no longer compared.
#[test]
fn rules_of_old_and_new_versions_are_the_same_after_correction() {
    const OLD: &str = r":qemu-mips:M::\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20:/usr/bin/qemu-mips-static:F";
    const NEW: &str = r":qemu-mips:M::\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00:\xff\xff\xff\xff\xff\xff\xff\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20:/usr/bin/qemu-mips-static:F";
    let (mips, machine) = targets::by_entry_name("mips").expect("mips");
    assert_eq!(rule(mips, machine, Masks::Upstream).to_string(), NEW);
    for line in [OLD, NEW] {
        let mut rule = Rule::parse(line).expect(line);
        assert!(rule.correct(mips).contains(&Correction::AbiVersionAndPadding));
        assert_eq!(rule.compared(), self::rule(mips, machine, Masks::Corrected).compared());
    }
}

/// The longest and shortest of Fedora's lines have 364 and 192 bytes.
#[test]
fn upstream_rules_have_the_length_of_packaged_ones() {
    let lengths: Vec<_> = all_rules(Masks::Upstream).iter().map(|(.., rule)| rule.to_string().len()).collect();
    assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&192), Some(&364)));
}

/// Debian's files are an independent source of magic and mask for 29 targets.
#[test]
fn a_distributions_conf_files_agree_after_correction() {
    let mut seen = 0;
    // Debian 13's and newer ones are in the first folder.
    let folders = ["/usr/share/qemu/binfmt.d", "/usr/lib/binfmt.d"].map(Path::new);
    let folder = folders.into_iter().find(|folder| folder.exists()).expect("no conf files of QEMU");
    for entry in fs::read_dir(folder).expect("the folder of conf files") {
        let path = entry.expect("a folder entry").path();
        let file = path.display().to_string();
        let text = fs::read_to_string(&path).expect(&file);
        for mut rule in parse_conf(&file, &text).expect(&file) {
            assert_eq!(rule.to_string(), text.trim(), "{file} is written back byte for byte");
            let Some(entry) = rule.name.strip_prefix("qemu-").map(str::to_owned) else { continue };
            let (target, machine) = targets::by_entry_name(&entry).expect(&entry);
            rule.correct(target);
            let computed = Rule::for_target(target, machine, Masks::Corrected, "");
            assert_eq!(rule.compared(), computed.compared(), "{file}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "only {seen} conf files of QEMU; install qemu-user-static");
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
    let text = "\n# comment\n; another\n  \t\n  :one:E::py::/bin/py:  \r\n:two:M:4:ab:\\xff\\x0f:/bin/two:POCF\n";
    let rules = parse_conf("some.conf", text).expect("two rules");
    assert_eq!(rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(rules[1].compared().expect("magic"), [(4, b'a', 0xff), (5, b'b' & 0x0f, 0x0f)]);
    assert!(rules[1].flags.value.preserve_argv0 && rules[1].flags.value.fix_binary);
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
        (":x:M::m\0m::/bin/i:", Problem::ControlByte(0)),
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
        (":x:E::a/b::/bin/i:F", Problem::Extension("a/b".into())),
        (":x:M::m::::::F", Problem::EmptyInterpreter),
        (":x:M::m::/bin/i:FX", Problem::Flag('X')),
        (":x:M::m::/bin/i", Problem::MissingField("interpreter")),
    ] {
        let text = format!("# first line\n{line}");
        let error = parse_conf("dir/x.conf", &text).expect_err(line);
        assert_eq!((error.line, &error.problem), (2, &problem), "{line}");
        assert!(error.to_string().starts_with("dir/x.conf:2: "), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

/// A delimiter that cannot be taken for a part of the fields that [`line`] makes.
const DELIMITERS: &str = "[:;,|!%@]";

prop_compose! {
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
    ) -> (String, Vec<u8>) {
        let offset = offset.map(|offset| offset.to_string()).unwrap_or_default();
        let mask = if masked { "\\xfE".repeat(value.len()) } else { String::new() };
        let fields = [name.as_str(), "M", &offset, &magic, &mask, &interpreter, &flags];
        (fields.iter().flat_map(|field| [&delimiter, *field]).collect(), value)
    }
}

proptest! {
    #[test]
    fn any_valid_rule_survives_parse_and_print((line, value) in line()) {
        let rule = Rule::parse(&line).expect(&line);
        prop_assert_eq!(rule.to_string(), line);
        let header: Vec<u8> = match &rule.kind {
            codegen::rule::Kind::Magic { offset, .. } => vec![0; offset.value].into_iter().chain(value).collect(),
            codegen::rule::Kind::Extension { .. } => unreachable!("no such line is made"),
        };
        prop_assert!(rule.matches(&header));
    }

    #[test]
    fn no_input_makes_the_parser_panic(text in any::<String>()) {
        let _ = parse_conf("any", &text);
    }

    #[test]
    fn no_input_like_a_rule_makes_the_parser_panic(line in "[:;a-fMEx0-9\\\\/é\u{0}]{0,80}") {
        if let Ok(rule) = Rule::parse(&line) {
            prop_assert_eq!(rule.to_string(), line);
            prop_assert!(rule.to_string().len() <= limits::LONGEST_LINE);
        }
    }

    #[test]
    fn flags_print_as_the_kernel_shows_them(bits in any::<[bool; 4]>()) {
        let [preserve_argv0, open_binary, credentials, fix_binary] = bits;
        let text = Flags { preserve_argv0, open_binary, credentials, fix_binary }.spelled().text().to_owned();
        prop_assert!(text.chars().all(|c| "POCF".contains(c)));
        prop_assert_eq!(text.len(), bits.iter().filter(|bit| **bit).count());
    }
}

#[test]
fn byte_orders_of_the_executable_type_differ() {
    for (target, _, rule) in all_rules(Masks::Corrected) {
        let at = if target.endian == Endianness::Little { 16 } else { 17 };
        let compared = rule.compared().expect("magic");
        assert!(compared.contains(&(at, 2, 0xfe)), "{}: {compared:?}", rule.name);
    }
}
