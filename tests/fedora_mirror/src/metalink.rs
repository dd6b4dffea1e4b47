//! The text of a metalink, as Fedora's metalink server gives it: what `repomd.xml` is, what it was before, and which
//! mirrors have it, as `do_metalink` of adrianreber/mirrorlist-server writes it, which serves Fedora's. What
//! mirrors.fedoraproject.org gave for `epel-7` in 2019 and MirrorManager for openEuler in 2023 agree: four digests, older
//! versions, and each host with all of its protocols. Pure; the reader of such texts is `xtask::repo`'s and shares nothing
//! with this.

use std::fmt::Write;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// The metalink of a repository whose `repomd.xml` is `current` and was `alternates`, newest first. Mirrors are the
/// repository's URLs with preferences, 100 the highest.
pub fn text(current: &[u8], alternates: &[Vec<u8>], mirrors: &[(String, u32)]) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" type=\"dynamic\" \
         pubdate=\"Mon, 02 Nov 2026 12:00:00 GMT\" generator=\"mirrormanager\" \
         xmlns:mm0=\"http://fedorahosted.org/mirrormanager\">\n \
         <files>\n  <file name=\"repomd.xml\">\n",
    );
    version(&mut text, current, "   ");
    if !alternates.is_empty() {
        text.push_str("   <mm0:alternates>\n");
        for alternate in alternates {
            text.push_str("    <mm0:alternate>\n");
            version(&mut text, alternate, "      ");
            text.push_str("    </mm0:alternate>\n");
        }
        text.push_str("   </mm0:alternates>\n");
    }
    text.push_str("   <resources maxconnections=\"1\">\n");
    for (url, preference) in mirrors {
        let protocol = url.split(':').next().unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "    <url protocol=\"{protocol}\" type=\"{protocol}\" location=\"DE\" preference=\"{preference}\">{}</url>",
            quick_xml::escape::escape(format!("{url}/repodata/repomd.xml"))
        );
    }
    text.push_str("   </resources>\n  </file>\n </files>\n</metalink>\n");
    text
}

fn version(text: &mut String, document: &[u8], indent: &str) {
    let _ = write!(
        text,
        "{indent}<mm0:timestamp>{}</mm0:timestamp>\n{indent}<size>{}</size>\n{indent}<verification>\n\
         {indent} <hash type=\"md5\">{:x}</hash>\n{indent} <hash type=\"sha1\">{:x}</hash>\n\
         {indent} <hash type=\"sha256\">{:x}</hash>\n{indent} <hash type=\"sha512\">{:x}</hash>\n{indent}</verification>\n",
        revision(document).unwrap_or_default(),
        document.len(),
        Md5::digest(document),
        Sha1::digest(document),
        Sha256::digest(document),
        Sha512::digest(document)
    );
}

/// When an index was made, in seconds since 1970, as it says itself.
fn revision(document: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(document).ok()?;
    text.split_once("<revision>")?.1.split_once("</revision>")?.0.parse().ok()
}

/// The index as if it had been made a number of days before; the same if it does not say when it was made.
pub fn older(document: &[u8], days: u64) -> Vec<u8> {
    let Some(made) = revision(document) else { return document.to_vec() };
    let old = made.saturating_sub(days * 24 * 60 * 60);
    let revision = |time: u64| format!("<revision>{time}</revision>");
    String::from_utf8_lossy(document).replacen(&revision(made), &revision(old), 1).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{older, text};

    const INDEX: &[u8] = b"<repomd><revision>1700000000</revision></repomd>";

    #[test]
    fn an_older_index_differs_in_its_time_alone() {
        assert_eq!(older(INDEX, 2), b"<repomd><revision>1699827200</revision></repomd>");
        assert_eq!(older(b"<repomd/>", 2), b"<repomd/>");
    }

    #[test]
    fn versions_and_mirrors_are_named_with_digests_and_preferences() {
        let mirrors = [("http://one/os".to_owned(), 100), ("https://two/a&b".to_owned(), 7)];
        let text = text(INDEX, &[older(INDEX, 1)], &mirrors);
        for expected in [
            "   <mm0:timestamp>1700000000</mm0:timestamp>\n   <size>48</size>\n",
            "      <mm0:timestamp>1699913600</mm0:timestamp>\n",
            // By md5sum and sha1sum.
            "    <hash type=\"md5\">0a4328e57c9a3ee02e784466f2deab35</hash>\n    <hash type=\"sha1\">23b8825993335767af669edaaa884db91606a196</hash>\n    <hash type=\"sha256\">",
            &format!("<hash type=\"sha256\">{}</hash>", xtask::verify::digest::Sha256::of(INDEX)),
            "protocol=\"http\" type=\"http\" location=\"DE\" preference=\"100\">http://one/os/repodata/repomd.xml</url>",
            "preference=\"7\">https://two/a&amp;b/repodata/repomd.xml</url>",
        ] {
            assert!(text.contains(expected), "no {expected:?} in {text}");
        }
        assert!(!super::text(INDEX, &[], &mirrors).contains("alternate"));
    }
}
