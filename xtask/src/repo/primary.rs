//! `primary.xml`: the packages of a repository, read as a stream, of which only those that may matter are kept.

use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context, Result, bail};

use super::xml::{Node, attribute, walk};
use super::{LARGEST_FILE, Promise, check_href, check_word};
use crate::digest::Sha256;

/// One package as the metadata describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its architecture, or `noarch`.
    pub arch: String,
    /// Epoch, `0` if none.
    pub epoch: String,
    /// Upstream's version.
    pub version: String,
    /// The distribution's release.
    pub release: String,
    /// Path below the repository's root.
    pub href: String,
    /// What the file must be; absent while the entry is read.
    pub promise: Option<Promise>,
    /// Names of what it needs.
    pub requires: Vec<String>,
    /// Names of what it gives.
    pub provides: Vec<String>,
    /// Paths that the metadata list: programs in `/usr/bin` among them.
    pub files: Vec<String>,
}

impl Entry {
    /// `epoch:version-release`
    pub fn evr(&self) -> rpm_version::Evr<'_> {
        rpm_version::Evr::new(self.epoch.as_str(), self.version.as_str(), self.release.as_str())
    }
}

/// Reads a list of packages, compressed or not, and keeps those whose name begins with `prefix`. `open_size` is the
/// promised length of the decompressed list: more than that is refused, however small the file.
///
/// # Errors
/// If it is damaged, longer than promised, or an entry lacks what is needed to fetch it.
pub fn packages(compressed: impl Read, open_size: u64, prefix: &str) -> Result<Vec<Entry>> {
    let mut open = Bounded { inner: decompress(BufReader::with_capacity(1 << 16, compressed))?, left: open_size };
    let mut kept = Vec::new();
    let mut entry = Entry::default();
    let mut size = None;
    let mut sha256 = None;
    let mut text = String::new();
    let mut checksum_type = None;
    let mut list = None;
    walk(BufReader::with_capacity(1 << 16, &mut open), |node| {
        match node {
            Node::Start(start) => {
                text.clear();
                match start.name().as_ref() {
                    "package" => (entry, size, sha256) = (Entry::default(), None, None),
                    _ if !entry.name.is_empty() && !entry.name.starts_with(prefix) => {}
                    "version" => {
                        entry.epoch = attribute(start, "epoch")?.unwrap_or_else(|| "0".into());
                        entry.version = attribute(start, "ver")?.unwrap_or_default();
                        entry.release = attribute(start, "rel")?.unwrap_or_default();
                    }
                    "checksum" => checksum_type = attribute(start, "type")?,
                    "size" => size = attribute(start, "package")?,
                    "location" => entry.href = attribute(start, "href")?.unwrap_or_default(),
                    "rpm:requires" => list = Some(List::Requires),
                    "rpm:provides" => list = Some(List::Provides),
                    "rpm:entry" => {
                        let name = attribute(start, "name")?.unwrap_or_default();
                        match list {
                            Some(List::Requires) => entry.requires.push(name),
                            Some(List::Provides) => entry.provides.push(name),
                            None => {}
                        }
                    }
                    _ => {}
                }
            }
            Node::Text(piece) => text.push_str(piece),
            Node::End("name") => entry.name = text.trim().into(),
            Node::End("package") => {
                if entry.name.starts_with(prefix) {
                    let mut entry = std::mem::take(&mut entry);
                    let (Some(size), Some(sha256)) = (size.take(), sha256.take()) else {
                        bail!("package {} has no SHA-256 or no size", entry.name);
                    };
                    for word in [&entry.name, &entry.arch, &entry.epoch, &entry.version, &entry.release] {
                        check_word(word)?;
                    }
                    let context = || format!("package {}", entry.name);
                    check_href(&entry.href).with_context(context)?;
                    let size = super::size(&size, LARGEST_FILE).with_context(context)?;
                    entry.promise = Some(Promise { sha256, size });
                    kept.push(entry);
                }
            }
            Node::End(_) if !entry.name.starts_with(prefix) => {}
            Node::End(name) => match name {
                "arch" => entry.arch = text.trim().into(),
                "checksum" if checksum_type.as_deref() == Some("sha256") => sha256 = Some(Sha256::parse(text.trim())?),
                "rpm:requires" | "rpm:provides" => list = None,
                "file" => entry.files.push(text.trim().into()),
                _ => {}
            },
        }
        Ok(())
    })?;
    Ok(kept)
}

/// Which list of dependencies an entry stands in.
#[derive(Clone, Copy)]
enum List {
    Requires,
    Provides,
}

/// By the first bytes: gzip, xz, zstd, or as it is.
fn decompress<'a>(mut input: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    let start = input.fill_buf().context("reading the list of packages")?;
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Box::new(liblzma::bufread::XzDecoder::new(input)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(input).context("starting zstd")?),
        _ => Box::new(input),
    })
}

/// Fails, instead of ending, where more comes than was promised.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the list of packages is longer than promised")
        })?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::packages;

    const DIGEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn document() -> String {
        let package = |name: &str, arch: &str| {
            format!(
                "<package type='rpm'><name>{name}</name><arch>{arch}</arch><version epoch='2' ver='11.1.3' rel='1.fc45'/>\
                 <checksum type='sha256' pkgid='YES'>{DIGEST}</checksum><size package='5' installed='7' archive='8'/>\
                 <location href='Packages/q/{name}.rpm'/><format><rpm:provides><rpm:entry name='{name}'/></rpm:provides>\
                 <rpm:requires><rpm:entry name='a&amp;b'/><rpm:entry name='/bin/sh'/></rpm:requires>\
                 <file>/usr/bin/{name}</file></format></package>"
            )
        };
        format!(
            "<metadata packages='2'>{}{}</metadata>",
            package("other", "noarch"),
            package("qemu-user-static-arm", "x86_64")
        )
    }

    #[test]
    fn keeps_what_the_prefix_selects() {
        let text = document();
        let kept = packages(text.as_bytes(), text.len() as u64, "qemu-user-static").expect("packages");
        let [entry] = kept.as_slice() else { panic!("{kept:?}") };
        assert_eq!((entry.name.as_str(), entry.arch.as_str()), ("qemu-user-static-arm", "x86_64"));
        assert_eq!(entry.evr().to_string(), "2:11.1.3-1.fc45");
        assert_eq!(entry.requires, ["a&b", "/bin/sh"]);
        assert_eq!(entry.provides, ["qemu-user-static-arm"]);
        assert_eq!(entry.files, ["/usr/bin/qemu-user-static-arm"]);
        assert_eq!(entry.promise.as_ref().map(|promise| promise.size), Some(5));
    }

    #[test]
    fn reads_every_compression_and_no_more_than_promised() {
        let text = document();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).expect("gzip");
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(text.as_bytes()).expect("xz");
        let zstd = zstd::encode_all(text.as_bytes(), 1).expect("zstd");
        for bytes in [gzip.finish().expect("gzip"), xz.finish().expect("xz"), zstd] {
            let kept = packages(bytes.as_slice(), text.len() as u64, "qemu").expect("packages");
            assert_eq!(kept.len(), 1);
            let error = packages(bytes.as_slice(), text.len() as u64 - 1, "qemu").expect_err("a bomb");
            assert!(format!("{error:#}").contains("longer than promised"), "{error:#}");
        }
    }
}
