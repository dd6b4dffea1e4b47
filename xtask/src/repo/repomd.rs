//! `repomd.xml`: where the list of packages is, and what it must look like.

use anyhow::{Context, Result, bail, ensure};

use super::xml::{Node, attribute, walk};
use super::{Checksum, MAX_DECOMPRESSED, MAX_FILE, check_base, validate_relative_path};
use crate::download::Location;
use crate::verify::digest::ExpectedDigest;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Path below the repository's root, or below [`Primary::base`].
    pub(crate) href: String,
    pub(crate) base: Option<Location>,
    pub(crate) expected: ExpectedDigest,
    pub(crate) decompressed_size: u64,
}

/// Finds `<data type="primary">`. Other types, known or not, are ignored.
pub fn primary(document: &[u8]) -> Result<Primary> {
    let mut inside = false;
    let mut seen = false;
    let (mut checksum_type, mut checksum) = (None, Checksum::default());
    let (mut href, mut base, mut size, mut decompressed_size) = (None, None, None, None);
    walk(document, |node| {
        match node {
            Node::Start(start) => match start.local_name().as_ref() {
                "data" => {
                    inside = attribute(start, "type")?.as_deref() == Some("primary");
                    // Which of them other tools would take is not known, so there is no safe choice.
                    ensure!(!(inside && seen), "two lists of packages (data type=\"primary\")");
                    seen |= inside;
                }
                "location" if inside => {
                    href = attribute(start, "href")?;
                    base = attribute(start, "xml:base")?;
                }
                "checksum" if inside => checksum_type = attribute(start, "type")?,
                _ => {}
            },
            Node::End(name, text) if inside => match name {
                "checksum" => checksum.take(checksum_type.as_deref(), text.trim())?,
                "size" => size = Some(super::size(text, MAX_FILE).context("reading the size of primary")?),
                "open-size" => {
                    decompressed_size =
                        Some(super::size(text, MAX_DECOMPRESSED).context("reading the open size of primary")?);
                }
                "data" => inside = false,
                _ => {}
            },
            Node::End(..) => {}
        }
        Ok(())
    })?;
    ensure!(seen, "no list of packages (data type=\"primary\")");
    let (Some(href), Some(size), Some(decompressed_size)) = (href, size, decompressed_size) else {
        bail!("no path or sizes of the list of packages (data type=\"primary\")");
    };
    let digest = checksum.strongest();
    let digest = digest.with_context(|| format!("the list of packages has no {}", checksum.missing()))?;
    let base = base.map(|base| check_base(&base)).transpose()?;
    Ok(Primary {
        href: validate_relative_path(&href)?.to_owned(),
        base,
        expected: ExpectedDigest { digest, size },
        decompressed_size,
    })
}

#[cfg(test)]
mod tests {
    use super::primary;

    const DIGEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn document(kind: &str, href: &str, checksum: &str) -> String {
        format!(
            "<?xml version='1.0'?><repomd><data type='primary_zck'><location href='no'/></data><data type='{kind}'>\
             <checksum type='{checksum}'>{DIGEST}</checksum><open-checksum type='sha256'>b</open-checksum>\
             <location href='{href}'/><size>17</size><open-size>99</open-size></data></repomd>"
        )
    }

    #[test]
    fn digests_of_every_kind_that_proves_something() {
        // openSUSE Leap 16 has SHA-512.
        for (kind, length) in [("sha384", 96), ("sha512", 128)] {
            let document = document("primary", "p", kind).replace(DIGEST, &"b".repeat(length));
            let found = primary(document.as_bytes()).expect(kind);
            assert_eq!(
                (found.expected.digest.algorithm.in_metadata(), found.expected.digest.hex().len()),
                (kind, length)
            );
            let short = document.replace(&"b".repeat(length), DIGEST);
            let error = primary(short.as_bytes()).expect_err("half a digest").to_string();
            assert!(error.contains("is not a SHA-") && error.contains(&kind[3..]), "{error}");
        }
        // Those that createrepo_c can write besides.
        for kind in ["md5", "sha", "sha1", "sha224"] {
            let error = primary(document("primary", "p", kind).as_bytes()).expect_err(kind).to_string();
            assert!(error.contains(&format!("only {kind:?}")) && error.contains("createrepo_c --checksum"), "{error}");
        }
    }

    #[test]
    fn a_list_that_is_elsewhere() {
        let text = document("primary", "p", "sha256");
        assert_eq!(primary(text.as_bytes()).expect("primary").base, None);
        let elsewhere = |base: &str| text.replace("href='p'", &format!("xml:base='{base}' href='p'"));
        let found = primary(elsewhere("https://other.example/os/").as_bytes()).expect("primary");
        assert_eq!(found.base.expect("a place").of("p"), "https://other.example/os/p");
        primary(elsewhere("ftp://other.example/os").as_bytes()).expect_err("another scheme");
    }

    #[test]
    fn takes_primary_and_nothing_like_it() {
        let found = primary(document("primary", "repodata/p.xml.zst", "sha256").as_bytes()).expect("primary");
        assert_eq!((found.href.as_str(), found.expected.size, found.decompressed_size), ("repodata/p.xml.zst", 17, 99));
        for bad in [
            document("primary_db", "repodata/p.xml.zst", "sha256"),
            document("primary", "../p.xml.zst", "sha256"),
            document("primary", "repodata/p.xml.zst", "sha1"),
            "<repomd>".to_owned(),
        ] {
            primary(bad.as_bytes()).expect_err(&bad);
        }
    }
}
