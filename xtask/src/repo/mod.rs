//! RPM repositories: what their metadata says, and which packages are wanted. Reading only; bytes come from
//! [`crate::download`], packages go to [`crate::verify`].

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::digest::Sha256;

pub mod closure;
pub mod primary;
pub mod repomd;

/// What metadata promise of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Digest of the whole file.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
}

/// Longest accepted path of a file in a repository.
const LONGEST_HREF: usize = 1024;

/// A path below a repository's root.
///
/// # Errors
/// If it leaves the repository, has a scheme, or is not a plain relative path.
pub fn check_href(href: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\?#%\"<>".contains(&byte);
    let inside = href.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if href.len() > LONGEST_HREF || !inside || !href.bytes().all(plain) || href.contains(':') {
        bail!("metadata name a file at {href:?}, which is not a plain path inside the repository");
    }
    Ok(href)
}

/// What of a document matters here.
enum Node<'a> {
    /// A start tag (or an empty element, which an `End` follows).
    Start(&'a BytesStart<'a>),
    /// Character data with references resolved; may come in pieces.
    Text(&'a str),
    /// An end tag.
    End(&'a str),
}

/// Calls `each` for the nodes of a document, in memory that does not grow with it.
fn walk(document: impl BufRead, mut each: impl FnMut(Node<'_>) -> Result<()>) -> Result<()> {
    let mut reader = Reader::from_reader(document);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).context("reading XML")? {
            Event::Start(start) => each(Node::Start(&start))?,
            Event::Empty(start) => {
                each(Node::Start(&start))?;
                each(Node::End(start.name().as_ref()))?;
            }
            Event::Text(text) => each(Node::Text(&text.xml10_content()))?,
            Event::CData(text) => each(Node::Text(&text.xml10_content()))?,
            Event::GeneralRef(reference) => each(Node::Text(&resolve(reference.as_ref())?))?,
            Event::End(end) => each(Node::End(end.name().as_ref()))?,
            Event::DocType(_) => bail!("reading XML: a document type definition has no place in metadata"),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => return Ok(()),
        }
    }
}

/// The character that a reference stands for: numeric, or one of XML's own five.
fn resolve(reference: &str) -> Result<String> {
    quick_xml::escape::unescape(&format!("&{reference};")).map(Into::into).context("reading XML")
}

/// The value of an attribute.
fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>> {
    let Some(attribute) = start.try_get_attribute(name).context("reading XML")? else { return Ok(None) };
    Ok(Some(attribute.normalized_value(XmlVersion::Implicit1_0).context("reading XML")?.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::check_href;

    #[test]
    fn paths_stay_inside_the_repository() {
        for good in ["repodata/abc-primary.xml.zst", "Packages/q/qemu-user-static-x86-2.fc45~rc1+1^a.x86_64.rpm"] {
            check_href(good).expect(good);
        }
        let long = "a/".repeat(600) + "b";
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/.",
            "file:///x",
            "http://x/y",
            "a b",
            "a%2e",
            "a\\b",
            &long,
        ] {
            check_href(bad).expect_err(bad);
        }
    }
}
