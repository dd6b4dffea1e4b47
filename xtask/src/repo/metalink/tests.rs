//! Tests: what is read of a metalink, and what is refused.

use super::{Mirror, parse};
use crate::verify::digest::Algorithm;
use crate::verify::digest::ExpectedDigest;

fn version(digit: &str, size: u64) -> String {
    format!(
        "<mm0:timestamp>1700000000</mm0:timestamp><size>{size}</size><verification>\
         <hash type=\"md5\">{}</hash><hash type=\"sha1\">{}</hash><hash type=\"sha256\">{}</hash>\
         <hash type=\"sha512\">{}</hash></verification>",
        digit.repeat(32),
        digit.repeat(40),
        digit.repeat(64),
        digit.repeat(128)
    )
}

fn document(current: &str, alternates: &str, urls: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" type=\"dynamic\" \
         pubdate=\"Mon, 02 Nov 2026 10:00:00 GMT\" generator=\"mirrormanager\" \
         xmlns:mm0=\"http://fedorahosted.org/mirrormanager\">\n<files><file name=\"repomd.xml\">{current}\
         <mm0:alternates>{alternates}</mm0:alternates><resources maxconnections=\"1\">{urls}</resources>\
         </file></files></metalink>"
    )
}

fn alternate(version: &str) -> String {
    format!("<mm0:alternate>{version}</mm0:alternate>")
}

const URL: &str = "<url protocol=\"https\" type=\"https\" location=\"DE\" preference=\"100\">\
                   https://one.example/fedora/os/repodata/repomd.xml</url>";

#[test]
fn tells_the_current_version_from_older_ones() {
    let older = alternate(&version("b", 5)) + &alternate(&version("c", 6));
    let text = document(&version("a", 4), &older, URL);
    let read = parse(text.as_bytes()).expect("a metalink");
    let seen = |ExpectedDigest { digest, size }: &ExpectedDigest| {
        assert_eq!(digest.algorithm, Algorithm::Sha512, "the strongest");
        (digest.hex()[..1].to_owned(), *size)
    };
    assert_eq!(seen(&read.current), ("a".into(), 4));
    let older: Vec<_> = read.alternates.iter().map(seen).collect();
    assert_eq!(older, [("b".into(), 5), ("c".into(), 6)]);
    // The prefix is the document's own choice.
    let renamed = text.replace("mm0:", "mirrors:").replace("<size>", "<m:size>").replace("</size>", "</m:size>");
    assert_eq!(parse(renamed.as_bytes()).expect("other prefixes"), read);
}

#[test]
fn keeps_mirrors_that_can_be_used_by_preference() {
    let url = |url: &str, preference: &str| format!("<url type=\"x\" {preference}>{url}/repodata/repomd.xml</url>");
    let urls = [
        url("http://low.example", "preference=\"7\""),
        url("https://first.example/a/b", "preference=\"99\""),
        url("https://second.example:8443/a", "preference=\"99\""),
        url("https://[2001:db8::1]/a/", "preference=\"100\""),
        url("https://none.example", ""),
        url("https://odd.example", "preference=\"-4\""),
        url("rsync://rsync.example/a", "preference=\"100\""),
        url("ftp://ftp.example/a", "preference=\"100\""),
        url("file:///a", "preference=\"100\""),
        url("https:///a", "preference=\"100\""),
        url("https://:8443/a", "preference=\"100\""),
        url("/a", "preference=\"100\""),
        url("HTTPS://first.example/a", "preference=\"100\""),
        url("https://user:word@first.example/a", "preference=\"100\""),
        url("https://first.example/a?b=", "preference=\"100\""),
        url("https://first.example/a#b", "preference=\"100\""),
        url("https://first.example/a b", "preference=\"100\""),
        url("https://first.example:port/a", "preference=\"100\""),
        "<url preference=\"100\">https://first.example/a/repodata/repomd.xml?</url>".into(),
        "<url preference=\"100\">https://first.example/a/repomd.xml</url>".into(),
        "<url preference=\"100\"></url>".into(),
    ];
    let read = parse(document(&version("a", 4), "", &urls.concat()).as_bytes()).expect("a metalink");
    let mirror = |url: &str, preference| Mirror { url: url.into(), preference };
    let expected = [
        mirror("https://[2001:db8::1]/a", 100),
        mirror("https://first.example/a/b", 99),
        mirror("https://second.example:8443/a", 99),
        mirror("http://low.example", 7),
        mirror("https://none.example", 0),
        mirror("https://odd.example", 0),
    ];
    assert_eq!(read.mirrors, expected);
}

#[test]
fn a_digest_counts_only_in_its_place() {
    let good = version("a", 4);
    let hash = format!("<hash type=\"sha256\">{}</hash>", "d".repeat(64));
    let size = "<size>9</size>";
    let none = "it promises no size and no SHA-256, 384 or 512 of repomd.xml";
    let swap = |from: &str, to: &str| document(&good.replace(from, to), "", URL);
    for (text, expected) in [
        (document("", &alternate(&good), URL), none),
        (swap("\"sha256\"", "\"sha1\"").replace("\"sha512\"", "\"sha224\""), none),
        (swap("verification>", "pieces>"), none),
        (swap("<size>4</size>", ""), none),
        (document(&hash, "", URL), none),
        (document(&format!("{size}<resources><verification>{hash}</verification></resources>"), "", URL), none),
        (document(&good, "", URL).replace("\"repomd.xml\"", "\"other.xml\""), none),
        (document(&good, "", URL).replace("files>", "x>"), none),
        (document(&good, "", ""), "it names no mirror by http or https"),
        (swap("</verification>", &(hash.clone() + "</verification>")), "two SHA-256 digests"),
        (document(&(good.clone() + size), "", URL), "two sizes"),
        (document(&(good.clone() + "</file><file name=\"repomd.xml\">" + &good), "", URL), "repomd.xml twice"),
        (swap(&"a".repeat(64), "a"), "is not a SHA-256 digest"),
        (swap("<size>4</size>", "<size>-4</size>"), "is no size"),
        (swap("<size>4</size>", "<size>99999999999</size>"), "exceed the limit of"),
        (document(&good, &alternate(&good).repeat(201), URL), "more than 200 older versions"),
        (document(&good, "", &URL.repeat(2001)), "more than 2000 mirrors"),
        (document(&good, "", URL).replace("</metalink>", ""), "cut off"),
        (document(&good, "", URL).replace("<files>", "<!DOCTYPE a><files>"), "document type definition"),
        (String::new(), none),
        ("<html>503</html>".into(), none),
    ] {
        let error = format!("{:#}", parse(text.as_bytes()).expect_err(expected));
        assert!(error.starts_with("reading the metalink: ") && error.contains(expected), "{error}: {text}");
    }
    // Those that cannot be recognised are left out, the rest is as good as before.
    let weak = alternate(&version("b", 5).replace("\"sha256\"", "\"sha224\"").replace("\"sha512\"", "\"sha3\""));
    let read = parse(document(&good, &(weak + &alternate(&version("c", 6))), URL).as_bytes());
    assert_eq!(read.expect("a metalink").alternates.len(), 1);
}
