//! Tests: documents made to harm are refused with one line, or harmless, in little time and memory.

use std::time::{Duration, Instant};

use crate::repo::{metalink, primary, repomd};

const DIGEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// How long any of these may take, unoptimised and on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A package that is kept, with `more` inside of it.
fn package(more: &str) -> String {
    format!(
        "<package type='rpm'><name>qemu-user-static</name><arch>noarch</arch><version epoch='2' ver='1' rel='1'/>\
         <checksum type='sha256'>{DIGEST}</checksum><size package='5'/><location href='a.rpm'/>{more}</package>"
    )
}

/// Metadata of one list, with `more` behind it.
fn repomd(more: &str) -> String {
    format!(
        "<repomd><data type='primary'><checksum type='sha256'>{DIGEST}</checksum><location href='a'/><size>1</size>\
         <open-size>2</open-size></data>{more}</repomd>"
    )
}

fn read(document: &str) -> anyhow::Result<usize> {
    primary::packages(document.as_bytes(), document.len() as u64, "qemu").map(|kept| kept.len())
}

/// Holds what comes out against `expected`: how many packages, or part of an error.
fn check(case: &str, outcome: anyhow::Result<usize>, expected: Result<usize, &str>) {
    match (outcome, expected) {
        (Ok(count), Ok(expected)) => assert_eq!(count, expected, "{case}"),
        (Err(error), Err(expected)) => {
            let error = format!("{error:#}");
            assert!(error.contains(expected) && error.len() < 1000 && !error.contains('\n'), "{case}: {error}");
        }
        (outcome, _) => panic!("{case}: {outcome:?} instead of {expected:?}"),
    }
}

#[test]
fn lists_of_packages() {
    let entries = |list: &str, count| format!("<{list}>{}</{list}>", "<rpm:entry name='a'/>".repeat(count));
    let swap = |from: &str, to: &str| package("").replace(from, to);
    let size = |size: &str| swap("'5'", size);
    let large = swap("-user", "").replace("<name>qemu", "<summary>qemu</summary><name>a");
    let large = large.replace("</package>", &(entries("rpm:requires", 1000) + "</package>"));
    let obsoletes = |range: &str| package(&format!("<rpm:obsoletes><rpm:entry name='a' {range}/></rpm:obsoletes>"));
    // A few of them, each nearly as long as a node may be.
    let long_ranges = |part: &str| {
        let entry = format!("<rpm:entry name='a' flags='LT' {part}='{}'/>", "1".repeat(900_000));
        format!("<rpm:obsoletes>{}</rpm:obsoletes>", entry.repeat(20))
    };
    // The same package over and over, each version as long as versions may be.
    let many_versions = || -> String {
        let version = |number: usize| format!("ver='{}{number:06}'", "1".repeat(249));
        (0..60_000).map(|number| package("").replace("ver='1'", &version(number))).collect()
    };
    for (case, document, expected) in [
        ("as it should be", package(""), Ok(1)),
        ("nothing", String::new(), Ok(0)),
        ("not XML", "qemu".into(), Ok(0)),
        ("deep nesting", package(&"<a>".repeat(100_000)), Err("more than 64 deep")),
        ("deep nesting that is closed", package(&("<a>".repeat(70) + &"</a>".repeat(70))), Err("more than 64 deep")),
        ("many attributes", package(&format!("<size {}/>", "a='' ".repeat(100_000))), Err("no size")),
        ("too many attributes", package(&format!("<a {}/>", "b='' ".repeat(500_000))), Err("more than 1 MiB")),
        ("the same attribute twice", size("'5' package='-6'"), Ok(1)),
        ("a huge attribute", package(&format!("<a b='{}'/>", "c".repeat(2 << 20))), Err("more than 1 MiB")),
        ("a huge text", package(&"a".repeat(3 << 20)), Err("more than 1 MiB")),
        ("a huge text in pieces", package(&"aaaaaaaaaa<!---->".repeat(200_000)), Err("more than 1 MiB")),
        ("versions of what is obsoleted, all long", package(&long_ranges("ver")), Err("bytes of names")),
        ("epochs", package(&long_ranges("epoch")), Err("bytes of names")),
        ("releases", package(&long_ranges("rel")), Err("bytes of names")),
        ("a long version", swap("ver='1'", &format!("ver='{}'", "1".repeat(256))), Err("no name or version")),
        ("many versions", many_versions(), Err("bytes of names")),
        ("a place of files in another scheme", swap("href", "xml:base='rsync://a' href"), Err("no http or https URL")),
        (
            "a huge place of files",
            swap("href", &format!("xml:base='http://{}' href", "a".repeat(5000))),
            Err("no http"),
        ),
        ("a huge name", swap("<name>", &format!("<name>{}", "a".repeat(300))), Ok(0)),
        (
            "a huge name that matters",
            swap("static<", &format!("static{}<", "a".repeat(300))),
            Err("no name or version"),
        ),
        ("many requirements", package(&entries("rpm:requires", 200_000)), Err("bytes of names")),
        ("many provides", package(&entries("rpm:provides", 200_000)), Err("bytes of names")),
        ("many obsoletes", package(&entries("rpm:obsoletes", 200_000)), Err("bytes of names")),
        ("many files", package(&"<file>a</file>".repeat(800_000)), Err("bytes of names")),
        ("many packages", package("").repeat(80_000), Err("bytes of names")),
        ("many packages that do not matter", swap("qemu", "kemu").repeat(80_000), Ok(0)),
        ("large packages that only speak of it", large.repeat(300), Ok(0)),
        ("a document type", format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", package("")), Err("document type")),
        ("an entity", swap("a.rpm", "&lol;.rpm"), Err("reading XML")),
        ("an entity in a text", package("&lol;"), Err("reading XML")),
        ("cut off", package("").replace("</package>", ""), Err("cut off")),
        ("cut off in a tag", package("<a b='"), Err("reading XML")),
        ("closed by another", package("<a></b>"), Err("reading XML")),
        ("closed twice", package("</package>"), Err("reading XML")),
        ("a negative size", size("'-1'"), Err("is no size")),
        ("an absurd size", size("'99999999999999999999'"), Err("is no size")),
        ("too large a size", size("'9999999999999'"), Err("exceed the limit of")),
        ("no size", size("''"), Err("is no size")),
        ("a size of words", size("'five'"), Err("is no size")),
        ("a hexadecimal size", size("'0x10'"), Err("is no size")),
        ("an older digest", swap("sha256", "sha1"), Err("no SHA-256, SHA-384 or SHA-512 (only \"sha1\"")),
        (
            "two digests",
            swap("<size", &format!("<checksum type='sha256'>{DIGEST}</checksum><size")),
            Err("two SHA-256"),
        ),
        ("half a digest", swap(DIGEST, "aaaa"), Err("is not a SHA-256 digest")),
        ("a name that is a path", swap("static<", "static/../../a<"), Err("no name or version")),
        ("a version that is a path", swap("ver='1'", "ver='../1'"), Err("no name or version")),
        ("a source that is a path", package("<rpm:sourcerpm>../a</rpm:sourcerpm>"), Err("no name or version")),
        ("a place outside", swap("a.rpm", "../a.rpm"), Err("not a plain path")),
        ("a place that is long", swap("a.rpm", &"../".repeat(9000)), Err("not a plain path")),
        ("a size that is long", size(&format!("'{}'", "x".repeat(9000))), Err("is no size")),
        ("a digest that is long", swap(DIGEST, &DIGEST.repeat(900)), Err("is not a SHA-256 digest")),
        ("a kind of digest that is long", swap("sha256", &"sha".repeat(900)), Err("no SHA-256, SHA-384 or SHA-512")),
        (
            "a requirement that is long",
            package(&format!("<rpm:entry name='&#9;{}'/>", "a".repeat(9000))),
            Err("no name of"),
        ),
        ("a comparison that is long", obsoletes(&format!("flags='{}'", "x".repeat(9000))), Err("no comparison")),
        ("a reference that is long", package(&format!("&{};", "x".repeat(9000))), Err("no reference to a character")),
        ("tags that do not fit", package(&format!("<a></{}>", "x".repeat(9000))), Err("damaged at byte")),
        ("an attribute without a value", package("<size package/>"), Err("a damaged attribute of element")),
        ("bzip2", "BZh91AY&SY".into(), Err("compressed with bzip2, which is not read here")),
        ("a place elsewhere", swap("a.rpm", "http://a/a.rpm"), Err("not a plain path")),
        ("an unknown comparison", obsoletes("flags='NE' ver='1'"), Err("no comparison of versions")),
        ("a requirement for terminals", package("<rpm:entry name='&#27;[2J'/>"), Err("no name of a dependency")),
    ] {
        let start = Instant::now();
        check(case, read(&document), expected);
        assert!(start.elapsed() < TIMEOUT, "{case}: {:?}", start.elapsed());
    }
    primary::packages(&b"<a b='\xff'/>"[..], 10, "qemu").expect_err("not UTF-8");
}

#[test]
fn indexes_of_lists() {
    let data = |kind: &str| format!("<data type='{kind}'><location href='../b'/><size>-1</size></data>");
    let swap = |from: &str, to: &str| repomd("").replace(from, to);
    for (case, document, expected) in [
        ("as it should be", repomd(""), Ok(2)),
        ("thousands of others", repomd(&data("other").repeat(50_000)), Ok(2)),
        ("two lists", repomd(&data("primary")), Err("two lists")),
        ("deep nesting", repomd(&"<a>".repeat(100_000)), Err("more than 64 deep")),
        ("too many attributes", repomd(&format!("<a {}/>", "b='' ".repeat(500_000))), Err("more than 1 MiB")),
        ("a document type", repomd("<!DOCTYPE a>"), Err("document type")),
        ("an entity", repomd("&lol;"), Err("reading XML")),
        ("cut off", swap("</repomd>", ""), Err("cut off")),
        ("a negative size", swap("<size>1", "<size>-1"), Err("is no size")),
        ("an absurd size", swap("<size>1", "<size>9999999999999"), Err("exceed the limit of")),
        ("a negative open size", swap("<open-size>2", "<open-size>-2"), Err("is no size")),
        ("an absurd open size", swap("<open-size>2", "<open-size>9999999999999"), Err("exceed the limit of")),
        ("a place outside", swap("href='a'", "href='../a'"), Err("not a plain path")),
    ] {
        let start = Instant::now();
        let outcome = repomd::primary(document.as_bytes()).map(|primary| primary.decompressed_size as usize);
        check(case, outcome, expected);
        assert!(start.elapsed() < TIMEOUT, "{case}: {:?}", start.elapsed());
    }
}

#[test]
fn metalinks() {
    for (case, document, expected) in [
        ("deep nesting", "<a>".repeat(100_000), "more than 64 deep"),
        ("a huge name", format!("<{}/>", "a".repeat(2 << 20)), "more than 1 MiB"),
        ("a document type", "<!DOCTYPE a><metalink/>".into(), "document type"),
        ("an entity", "<metalink>&lol;</metalink>".into(), "reading XML"),
    ] {
        check(case, metalink::parse(document.as_bytes()).map(|link| link.mirrors.len()), Err(expected));
    }
}
