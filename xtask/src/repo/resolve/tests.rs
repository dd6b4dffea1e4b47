//! Tests: which packages are wanted.

use rpm_version::Evr;

use super::{Range, RepoPackage, resolve};
use crate::repo::repo_package::{is_candidate, operator};

fn entry(name: &str, arch: &str, version: &str, requires: &[&str]) -> RepoPackage {
    RepoPackage {
        name: name.into(),
        arch: arch.into(),
        epoch: "2".into(),
        version: version.into(),
        release: "1.fc45".into(),
        requires: requires.iter().map(|&name| name.into()).collect(),
        ..RepoPackage::default()
    }
}

/// `NAME VERSION [requires A B] [provides A B] [obsoletes A OPERATOR VERSION]`, where `-` is short for `ROOT-`
/// and `=` for `ROOT`.
fn parse(line: &str) -> RepoPackage {
    let full = |word: &str| match word.strip_prefix('-') {
        Some(rest) => format!("qemu-user-static-{rest}"),
        None if word == "=" => "qemu-user-static".into(),
        None => word.to_owned(),
    };
    let mut words = line.split_whitespace();
    let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
    let mut entry = entry(&full(name), "x86_64", version, &[]);
    let mut list = "";
    while let Some(word) = words.next() {
        match (word, list) {
            ("requires" | "provides" | "obsoletes", _) => list = word,
            (_, "requires") => entry.requires.push(full(word)),
            (_, "provides") => entry.provides.push(full(word)),
            _ if matches!(word, "LT" | "LE" | "EQ" | "GE" | "GT") => {
                let version = words.next().expect("a version");
                let range = entry.obsoletes.last_mut().expect("a name before the operator");
                range.constraint = Some((operator(word).expect(word), evr(version)));
            }
            _ => entry.obsoletes.push(Range { name: full(word), constraint: None }),
        }
    }
    entry
}

fn evr(version: &str) -> Evr<'static> {
    Evr::new("2".to_owned(), version.to_owned(), String::new())
}

#[test]
fn follows_splits_and_renames() {
    for (case, lines, expected) in [
        ("plain", &["= 11 requires -arm -sparc", "-arm 11", "-sparc 11", "-cris 11"][..], "= -arm -sparc"),
        (
            "a split, the old one still there",
            &["= 11 requires -sparc32 -sparc64", "-sparc 10", "-sparc64 11 obsoletes -sparc LT 11", "-sparc32 11"],
            "= -sparc32 -sparc64",
        ),
        (
            "a split that the root does not know of yet",
            &[
                "= 10 requires -sparc",
                "-sparc 10 requires -gone",
                "-sparc64 11 obsoletes -sparc LT 11",
                "-sparc32 11 obsoletes -sparc LT 11",
            ],
            "= -sparc32 -sparc64",
        ),
        (
            "a split whose halves provide the old name",
            &[
                "= 11 requires -sparc",
                "-sparc64 11 provides -sparc",
                "-sparc32 11 provides -sparc",
                "a 12 provides -sparc",
            ],
            "= -sparc32 -sparc64",
        ),
        ("a rename with Provides", &["= 11 requires -x86", "-i386 11 provides -x86 obsoletes -x86 LT 11"], "= -i386"),
        (
            "a rename with Provides, the old one still there",
            &["= 11 requires -x86", "-x86 10", "-i386 11 provides -x86 obsoletes -x86 LT 11"],
            "= -i386",
        ),
        ("a rename without Provides", &["= 10 requires -x86", "-x86 10", "-i386 11 obsoletes -x86 LT 11"], "= -i386"),
        (
            "a rename without Provides, the old one gone",
            &["= 11 requires -x86", "-i386 11 obsoletes -x86 LT 11"],
            "= -i386",
        ),
        (
            "a rename twice",
            &["= 9 requires -a", "-a 9", "-b 10 obsoletes -a LT 10", "-c 11 obsoletes -b LT 11"],
            "= -c",
        ),
        (
            "a rename to another prefix",
            &["= 11 requires qemu-linux-arm /bin/sh", "qemu-linux-arm 11 obsoletes -arm LT 11", "-arm 10"],
            "qemu-linux-arm =",
        ),
        (
            "the root renamed, the old one still there",
            &["= 10 requires -arm", "qemu-linux 11 requires -arm -x86 obsoletes = LT 11", "-arm 11", "-x86 11"],
            "qemu-linux -arm -x86",
        ),
        ("the root renamed with Provides", &["qemu-linux 11 requires -arm provides =", "-arm 11"], "qemu-linux -arm"),
        (
            "the root renamed without Provides",
            &["qemu-linux 11 requires -arm obsoletes = LT 11", "-arm 11"],
            "qemu-linux -arm",
        ),
        ("an older obsoleter", &["= 11 requires -x86", "-x86 11", "-i386 10 obsoletes -x86 LT 99"], "= -x86"),
        ("an obsoleter of the same age", &["= 11 requires -x86", "-x86 11", "-i386 11 obsoletes -x86"], "= -x86"),
        ("an obsoleter of itself", &["= 11 requires -x86", "-x86 11 obsoletes -x86", "-x86 10"], "= -x86"),
        ("each other's obsoleters", &["= 11 requires -a", "-a 10 obsoletes -b", "-b 11 obsoletes -a"], "= -b"),
        (
            "a foreign package of another range",
            &["= 11 requires -x86", "-x86 11", "evil 99 obsoletes -x86 LT 11 = GT 11"],
            "= -x86",
        ),
        (
            "a foreign package that provides too",
            &["= 11 requires -x86", "-x86 11", "evil 99 provides -x86 ="],
            "= -x86",
        ),
        (
            "a foreign package of the right range",
            &["= 11 requires -x86", "-x86 11", "other 12 obsoletes -x86 LT 12"],
            "other =",
        ),
        ("the newest of foreign providers", &["b 11 provides =", "a 10 provides =", "c 11 provides ="], "b"),
        ("an obsoleter without a version", &["= 11 requires -x86", "-x86 11", "-i386 12 obsoletes -x86"], "= -i386"),
    ] {
        let short = |entry: &RepoPackage| entry.name.replace("qemu-user-static-", "-").replace("qemu-user-static", "=");
        let mut entries: Vec<_> = lines.iter().map(|line| parse(line)).collect();
        assert!(entries.iter().all(|entry| is_candidate(entry, super::ROOT)), "{case}");
        for _ in 0..2 {
            let chosen = resolve(entries.clone(), "x86_64").unwrap_or_else(|error| panic!("{case}: {error:#}"));
            assert_eq!(chosen.iter().map(short).collect::<Vec<_>>().join(" "), expected, "{case}");
            // Whatever the order of the list.
            entries.reverse();
        }
    }
}

#[test]
fn relates_by_name_provides_and_obsoletes() {
    for (line, expected) in [
        ("= 1", true),
        ("-arm 1", true),
        ("a 1 provides -arm", true),
        ("a 1 obsoletes b -arm LT 3", true),
        ("a 1 requires -arm", false),
        ("qemu-user 1 provides qemu-user obsoletes qemu", false),
    ] {
        assert_eq!(is_candidate(&parse(line), "qemu-user-static"), expected, "{line}");
    }
}

#[test]
fn follows_emulator_packages_only_and_takes_the_newest() {
    let entries = vec![
        entry("qemu-user-static", "x86_64", "10.1.5", &["qemu-user-static-arm", "/bin/sh", "rtld(GNU_HASH)"]),
        entry("qemu-user-static", "x86_64", "9.2.4", &["qemu-user-static-cris"]),
        entry("qemu-user-static-arm", "x86_64", "9.2.4", &[]),
        entry("qemu-user-static-arm", "x86_64", "10.1.5", &["qemu-user-static"]),
        entry("qemu-user-static-arm", "aarch64", "11.0.0", &[]),
        entry("qemu-user-static-cris", "x86_64", "9.2.4", &[]),
    ];
    let chosen = resolve(entries, "x86_64").expect("a closure");
    let names: Vec<_> = chosen.iter().map(|entry| format!("{}-{}", entry.name, entry.version)).collect();
    assert_eq!(names, ["qemu-user-static-10.1.5", "qemu-user-static-arm-10.1.5"]);
}

#[test]
fn says_what_is_missing() {
    let alone = vec![entry("qemu-user-static", "x86_64", "1", &["qemu-user-static-arm"])];
    let error = resolve(alone, "x86_64").expect_err("an incomplete repository");
    assert!(error.to_string().contains("requires qemu-user-static-arm"), "{error}");
    let error = resolve(Vec::new(), "s390x").expect_err("an empty repository");
    assert!(error.to_string().contains("no package qemu-user-static for s390x"), "{error}");
}
