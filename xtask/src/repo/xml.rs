//! XML as a stream of tags and texts, in memory that does not grow with the document.

use std::io::{self, BufRead, Read};

use anyhow::{Context, Result, anyhow, bail, ensure};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::output::quoted;

/// Largest accepted piece of a document between two tags, in bytes: it is held in memory.
const LARGEST_NODE: usize = 1 << 20;

const TOO_LONG: &str = "more than 1 MiB without a tag";

/// How deep elements may be nested: the parser keeps the names of all open ones. Metadata have up to seven levels.
const DEEPEST: usize = 64;

pub(super) enum Node<'a> {
    /// A start tag (or an empty element, which an `End` follows).
    Start(&'a BytesStart<'a>),
    /// An end tag, and the text since the last tag, references resolved.
    End(&'a str, &'a str),
}

/// Calls `each` for the nodes of a document, in memory that does not grow with it.
pub(super) fn walk(document: impl BufRead, mut each: impl FnMut(Node<'_>) -> Result<()>) -> Result<()> {
    let mut reader = Reader::from_reader(Bounded { inner: document, used: 0 });
    let mut buffer = Vec::new();
    let mut text = String::new();
    let mut depth = 0;
    loop {
        buffer.clear();
        reader.get_mut().used = 0;
        let event = reader.read_event_into(&mut buffer);
        match event.map_err(|error| damaged(error, reader.error_position()))? {
            Event::Start(start) => {
                depth += 1;
                ensure!(depth <= DEEPEST, "reading XML: elements lie more than {DEEPEST} deep in each other");
                text.clear();
                each(Node::Start(&start))?;
            }
            Event::Empty(start) => {
                text.clear();
                each(Node::Start(&start))?;
                each(Node::End(start.name().as_ref(), ""))?;
            }
            Event::Text(piece) => text.push_str(&piece.xml10_content()),
            Event::CData(piece) => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(reference) => text.push_str(&resolve(reference.as_ref())?),
            Event::End(end) => {
                depth -= 1;
                each(Node::End(end.name().as_ref(), &text))?;
                text.clear();
            }
            Event::DocType(_) => bail!("reading XML: a document type definition has no place in metadata"),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => {
                ensure!(depth == 0, "reading XML: the document ends inside an element; it is cut off");
                return Ok(());
            }
        }
        ensure!(text.len() <= LARGEST_NODE, "reading XML: {TOO_LONG}");
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
            return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LONG));
        }
        let bytes = self.inner.fill_buf()?;
        // No more than fits, also where all of a document is there already.
        Ok(&bytes[..bytes.len().min(LARGEST_NODE + 1 - self.used)])
    }

    fn consume(&mut self, length: usize) {
        self.used += length;
        self.inner.consume(length);
    }
}

pub(super) fn local_name(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The character that a reference stands for: numeric, or one of XML's own five.
fn resolve(reference: &str) -> Result<String> {
    let text = quick_xml::escape::unescape(&format!("&{reference};")).map(Into::into).ok();
    text.with_context(|| format!("reading XML: {} is no reference to a character", quoted(reference)))
}

/// What is said of a document that is none: in words of ours, since the parser's quote what the document says.
fn damaged(error: quick_xml::Error, position: u64) -> anyhow::Error {
    match error {
        // Of what is read: too long, cut off, badly compressed.
        quick_xml::Error::Io(error) => anyhow!("reading XML: {error}"),
        _ => anyhow!("reading XML: it is damaged at byte {position}"),
    }
}

pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>> {
    let damaged = || format!("reading XML: a damaged attribute of element {}", quoted(start.name().as_ref()));
    let Some(attribute) = start.try_get_attribute(name).ok().with_context(damaged)? else { return Ok(None) };
    let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok().with_context(damaged)?;
    Ok(Some(value.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Node, walk};

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
