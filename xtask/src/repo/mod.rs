//! RPM repositories: what their metadata says, and which packages are wanted. Reading only; bytes come from
//! [`crate::download`], packages go to [`crate::verify`].

use std::io::{self, BufRead, Read};

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

/// Largest accepted package and list of packages, in bytes: metadata are not signed, and what they promise is what a
/// hostile mirror wants us to take. Fedora's have 20 MB each.
pub const LARGEST_FILE: u64 = 1 << 30;

/// Largest accepted list of packages when decompressed, in bytes; Fedora's has 200 MB.
pub const LARGEST_OPEN: u64 = 2 << 30;

/// Largest accepted piece of a document between two tags, in bytes: it is held in memory.
const LARGEST_NODE: usize = 1 << 20;

/// Reads a size and holds it against a limit.
///
/// # Errors
/// If it is no number or too large.
pub fn size(text: &str, limit: u64) -> Result<u64> {
    let size = text.trim().parse().with_context(|| format!("{:?} is no size", text.trim()))?;
    if size > limit {
        bail!("{size} bytes are promised, which no such file has (at most {limit})");
    }
    Ok(size)
}

/// A name, version or architecture of a package, of the characters that RPM allows.
///
/// # Errors
/// If there is anything else in it.
pub fn check_word(word: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-~^".contains(&byte);
    if word.is_empty() || word.starts_with('.') || !word.bytes().all(plain) {
        bail!("{word:?} is no name or version of a package");
    }
    Ok(word)
}

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
    let mut reader = Reader::from_reader(Bounded { inner: document, used: 0 });
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        reader.get_mut().used = 0;
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

/// Fails where more than [`LARGEST_NODE`] is read without `used` being set back.
struct Bounded<R> {
    inner: R,
    used: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used > LARGEST_NODE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more than 1 MiB without a tag"));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.used += length;
        self.inner.consume(length);
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
    use super::{Node, check_href, check_word, size, walk};

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
    #[test]
    fn names_and_sizes_are_what_packages_have() {
        for good in ["qemu-user-static-x86", "11.1.3", "1.fc45", "2~rc1^git+a", "x86_64", "0"] {
            check_word(good).expect(good);
        }
        for bad in ["", "..", "a/b", "a\nb", "../../climbed", "a b"] {
            check_word(bad).expect_err(bad);
        }
        assert_eq!(size(" 17\n", 20).expect("a size"), 17);
        for bad in ["21", "-1", "", "18446744073709551615", "18446744073709551616"] {
            size(bad, 20).expect_err(bad);
        }
    }

    #[test]
    fn a_document_without_tags_is_not_held_in_memory() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let error = walk(endless, |_| Ok(())).expect_err("an endless text");
        assert!(format!("{error:#}").contains("more than 1 MiB"), "{error:#}");
        let mut tags = 0;
        let many = "<a/>".repeat(1 << 19);
        walk(many.as_bytes(), |node| {
            tags += usize::from(matches!(node, Node::Start(_)));
            Ok(())
        })
        .expect("many tags");
        assert_eq!(tags, 1 << 19);
    }
}
