//! `repomd.xml`: where the list of packages is, and what it must look like.

use anyhow::{Context, Result, bail, ensure};

use super::xml::{Node, attribute, walk};
use super::{LARGEST_FILE, LARGEST_OPEN, Promise, check_href};
use crate::digest::Sha256;

/// The entry of type `primary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Path below the repository's root.
    pub href: String,
    /// What the file must be.
    pub promise: Promise,
    /// Length of its content, decompressed, in bytes.
    pub open_size: u64,
}

/// Finds `<data type="primary">`. Other types, known or not, are ignored.
///
/// # Errors
/// If there is none or more than one, or it lacks its path, SHA-256 or size.
pub fn primary(document: &[u8]) -> Result<Primary> {
    let mut inside = false;
    let mut seen = false;
    let mut checksum_type = None;
    let (mut href, mut sha256, mut size, mut open_size) = (None, None, None, None);
    walk(document, |node| {
        match node {
            Node::Start(start) => match start.local_name().as_ref() {
                "data" => {
                    inside = attribute(start, "type")?.as_deref() == Some("primary");
                    // Which of them other tools would take is not known, so there is no safe choice.
                    ensure!(!(inside && seen), "two lists of packages (data type=\"primary\")");
                    seen |= inside;
                }
                "location" if inside => href = attribute(start, "href")?,
                "checksum" if inside => checksum_type = attribute(start, "type")?,
                _ => {}
            },
            Node::End(name, text) if inside => match name {
                "checksum" if checksum_type.as_deref() == Some("sha256") => sha256 = Some(Sha256::parse(text.trim())?),
                "size" => size = Some(super::size(text, LARGEST_FILE).context("reading the size of primary")?),
                "open-size" => {
                    open_size = Some(super::size(text, LARGEST_OPEN).context("reading the open size of primary")?);
                }
                "data" => inside = false,
                _ => {}
            },
            Node::End(..) => {}
        }
        Ok(())
    })?;
    let (Some(href), Some(sha256), Some(size), Some(open_size)) = (href, sha256, size, open_size) else {
        bail!("no list of packages with path, SHA-256 and sizes (data type=\"primary\")");
    };
    Ok(Primary { href: check_href(&href)?.to_owned(), promise: Promise { sha256, size }, open_size })
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
    fn takes_primary_and_nothing_like_it() {
        let found = primary(document("primary", "repodata/p.xml.zst", "sha256").as_bytes()).expect("primary");
        assert_eq!((found.href.as_str(), found.promise.size, found.open_size), ("repodata/p.xml.zst", 17, 99));
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
