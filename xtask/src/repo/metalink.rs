//! Metalink 3.0 of Fedora's MirrorManager: the mirrors, and the digests of `repomd.xml` and of older ones that count
//! too.

use anyhow::{Context, Result, bail, ensure};
use quick_xml::events::BytesStart;
use ureq::http::Uri;

use super::xml::{Node, attribute, local_name, walk};
use super::{Checksum, size};
use crate::verify::digest::ExpectedDigest;

/// Most mirrors that are taken; Fedora lists about 150.
const MOST_MIRRORS: usize = 2000;

/// Most older versions that are taken; Fedora lists those of the last days, up to about ten.
const MOST_ALTERNATES: usize = 200;

/// Largest `repomd.xml` that may be promised, in bytes; real ones have about 6,000.
const LARGEST_REPOMD: u64 = 16 << 20;

const FILE: &str = "repomd.xml";

const SUFFIX: &str = "/repodata/repomd.xml";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metalink {
    pub(crate) current: ExpectedDigest,
    /// Older ones that are still acceptable, in the document's order.
    pub(crate) alternates: Vec<ExpectedDigest>,
    /// Where the repository is, the most preferred first; at least one.
    pub mirrors: Vec<Mirror>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// An http or https URL of the folder that holds `repodata`, without a slash at its end.
    pub url: String,
    /// From 0 to 100; higher is nearer or better.
    pub preference: u32,
}

/// Reads a metalink. It must have the size and a SHA-2 digest of the current `repomd.xml`, and a mirror.
pub fn parse(document: &[u8]) -> Result<Metalink> {
    let mut parser = Parser::default();
    walk(document, |node| parser.node(&node)).context("reading the metalink")?;
    parser.finish().context("reading the metalink")
}

#[derive(Default)]
struct Draft {
    /// MirrorManager lists MD5, SHA-1, SHA-256 and SHA-512.
    checksum: Checksum,
    size: Option<u64>,
}

impl Draft {
    fn version(mut self) -> Option<ExpectedDigest> {
        Some(ExpectedDigest { digest: self.checksum.strongest()?, size: self.size? })
    }

    fn take(&mut self, path: &str, text: &str, hash: Option<&str>) -> Result<()> {
        match path {
            "/verification/hash" => self.checksum.take(hash, text)?,
            "/size" => {
                ensure!(self.size.is_none(), "two sizes of one {FILE}");
                self.size = Some(size(text, LARGEST_REPOMD)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Elements that hold what matters, by their place from the root: a hash says nothing without it.
const IN_FILE: &str = "/metalink/files/file";
const IN_ALTERNATE: &str = "/metalink/files/file/alternates/alternate";
const MIRROR: &str = "/metalink/files/file/resources/url";

#[derive(Default)]
struct Parser {
    /// Local names of the open elements, each after a slash.
    path: String,
    /// Whether the open `file` is the one.
    wanted: bool,
    hash: Option<String>,
    preference: u32,
    current: Option<Draft>,
    alternate: Draft,
    alternates: Vec<ExpectedDigest>,
    mirrors: Vec<Mirror>,
}

impl Parser {
    fn node(&mut self, node: &Node<'_>) -> Result<()> {
        match node {
            Node::Start(start) => {
                self.path.push('/');
                self.path.push_str(start.local_name().as_ref());
                self.open(start)
            }
            Node::End(name, text) => {
                if self.wanted {
                    self.close(text.trim())?;
                }
                self.path.truncate(self.path.len().saturating_sub(local_name(name).len() + 1));
                Ok(())
            }
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<()> {
        match self.path.as_str() {
            IN_FILE => {
                self.wanted = attribute(start, "name")?.as_deref() == Some(FILE);
                if self.wanted {
                    ensure!(self.current.is_none(), "it describes {FILE} twice");
                    self.current = Some(Draft::default());
                }
            }
            IN_ALTERNATE => self.alternate = Draft::default(),
            MIRROR => {
                let preference = attribute(start, "preference")?;
                self.preference = preference.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            }
            path if path.ends_with("/hash") => self.hash = attribute(start, "type")?,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, text: &str) -> Result<()> {
        let (path, hash) = (self.path.as_str(), self.hash.as_deref());
        if path == IN_FILE {
            self.wanted = false;
        } else if path == IN_ALTERNATE {
            // Versions that only have older kinds of digests cannot be recognised safely.
            self.alternates.extend(std::mem::take(&mut self.alternate).version());
            ensure!(self.alternates.len() <= MOST_ALTERNATES, "more than {MOST_ALTERNATES} older versions");
        } else if path == MIRROR {
            let preference = self.preference;
            self.mirrors.extend(base(text).map(|url| Mirror { url: url.to_owned(), preference }));
            ensure!(self.mirrors.len() <= MOST_MIRRORS, "more than {MOST_MIRRORS} mirrors");
        } else if let Some(rest) = path.strip_prefix(IN_ALTERNATE) {
            self.alternate.take(rest, text, hash)?;
        } else if let (Some(rest), Some(current)) = (path.strip_prefix(IN_FILE), &mut self.current) {
            current.take(rest, text, hash)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Metalink> {
        let current = self.current.and_then(Draft::version);
        let current = current.with_context(|| format!("it promises no size and no SHA-256, 384 or 512 of {FILE}"))?;
        if self.mirrors.is_empty() {
            bail!("it names no mirror by http or https");
        }
        self.mirrors.sort_by_key(|mirror| std::cmp::Reverse(mirror.preference));
        Ok(Metalink { current, alternates: self.alternates, mirrors: self.mirrors })
    }
}

/// The base of a mirror's URL, if it is one that can be used: http or https, a host, and nothing beside the path.
fn base(url: &str) -> Option<&str> {
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\\\"<>".contains(&byte));
    let base = url.strip_suffix(SUFFIX).filter(|_| plain)?;
    let uri: Uri = base.parse().ok()?;
    // As written, not as parsed: `HTTPS://` would not be recognised where a redirect to http is to be refused.
    let known = base.starts_with("https://") || base.starts_with("http://");
    let (host, authority) = (uri.host()?, uri.authority()?.as_str());
    let whole = authority == host || uri.port_u16().is_some_and(|port| authority == format!("{host}:{port}"));
    (known && whole && !host.is_empty()).then(|| base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
