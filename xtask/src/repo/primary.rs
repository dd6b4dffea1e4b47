//! `primary.xml`: the packages of a repository, read as a stream, of which only those that may matter are kept.

use std::io::{BufReader, Read};

use anyhow::{Context, Result, bail, ensure};
use quick_xml::events::BytesStart;
use rpm_version::Evr;

use super::repo_package::{Range, RepoPackage, is_candidate, operator};
use super::skip::Skip;
use super::xml::{Node, attribute, walk};
use super::{Checksum, MAX_FILE, check_base, validate_relative_path, validate_rpm_token};
use crate::extract::decompress::{Limits, decompress};
use crate::output::quoted;
use crate::verify::digest::ExpectedDigest;

/// What a compressed list may ask for: `xz -9` needs 65 MiB; zstd's decoder allows 128 MiB by default.
pub(crate) const LIMITS: Limits = Limits {
    xz_memory: 80 << 20,
    zstd_window: 27,
    several: true,
    excess: "the list of packages is longer than promised",
};

const ADVICE: &str =
    "reading the list of packages (createrepo_c --general-compress-type zstd makes one that can be read)";

const CHUNK: usize = 1 << 16;

/// Most memory for packages, in bytes: emulators' take 200 kB, and the largest of Fedora's, until it is dropped, 1 MB.
const MOST_HELD: usize = 16 << 20;

/// Reads a list of at most `decompressed_size` bytes, compressed or not; keeps what [`is_candidate`] to `prefix`.
pub fn packages(compressed: impl Read, decompressed_size: u64, prefix: &str) -> Result<Vec<RepoPackage>> {
    let compressed = BufReader::with_capacity(CHUNK, compressed);
    let open = decompress(compressed, decompressed_size, LIMITS).context(ADVICE)?;
    let mut parser = Parser { prefix, ..Parser::default() };
    walk(Skip::new(open, prefix), |node| match node {
        Node::Start(start) => parser.open(start),
        Node::End(name, text) => parser.close(name, text.trim()),
    })?;
    Ok(parser.kept)
}

#[derive(Clone, Copy)]
enum List {
    Requires,
    Provides,
    Obsoletes,
}

#[derive(Default)]
struct Parser<'a> {
    prefix: &'a str,
    kept: Vec<RepoPackage>,
    /// Bytes that the kept packages take.
    kept_size: usize,
    /// The same with the open package.
    held: usize,
    entry: RepoPackage,
    size: Option<String>,
    base: Option<String>,
    checksum: Checksum,
    checksum_type: Option<String>,
    list: Option<List>,
}

impl Parser<'_> {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<()> {
        match start.name().as_ref() {
            "package" => {
                (self.entry, self.size, self.base, self.list) = (RepoPackage::default(), None, None, None);
                self.checksum = Checksum::default();
                self.held = self.kept_size;
            }
            "version" => {
                self.entry.epoch = attribute(start, "epoch")?.unwrap_or_else(|| "0".into());
                self.entry.version = attribute(start, "ver")?.unwrap_or_default();
                self.entry.release = attribute(start, "rel")?.unwrap_or_default();
            }
            "checksum" => self.checksum_type = attribute(start, "type")?,
            "size" => self.size = attribute(start, "package")?,
            "location" => {
                self.entry.href = attribute(start, "href")?.unwrap_or_default();
                self.base = attribute(start, "xml:base")?;
            }
            "rpm:requires" => self.list = Some(List::Requires),
            "rpm:provides" => self.list = Some(List::Provides),
            "rpm:obsoletes" => self.list = Some(List::Obsoletes),
            "rpm:entry" => {
                let name = attribute(start, "name")?.unwrap_or_default();
                self.hold(name.len() + size_of::<Range>())?;
                ensure!(!name.contains(char::is_control), "{} is no name of a dependency", quoted(&name));
                match self.list {
                    Some(List::Requires) => self.entry.requires.push(name),
                    Some(List::Provides) => self.entry.provides.push(name),
                    Some(List::Obsoletes) => {
                        let range = range(start, name)?;
                        // A version is as long as its writer likes; those that packages have are checked below.
                        self.hold(range.constraint.as_ref().map_or(0, |(_, evr)| length(evr)))?;
                        self.entry.obsoletes.push(range);
                    }
                    None => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, text: &str) -> Result<()> {
        match name {
            "name" => self.entry.name = text.into(),
            "arch" => self.entry.arch = text.into(),
            "checksum" => self.checksum.take(self.checksum_type.as_deref(), text)?,
            "rpm:sourcerpm" => self.entry.source_rpm = text.into(),
            "rpm:requires" | "rpm:provides" | "rpm:obsoletes" => self.list = None,
            "file" => {
                self.hold(text.len() + size_of::<String>())?;
                self.entry.files.push(text.into());
            }
            "package" => {
                let entry = std::mem::take(&mut self.entry);
                if is_candidate(&entry, self.prefix) {
                    let name = entry.name.clone();
                    let checked = self.checked(entry).with_context(|| format!("package {}", quoted(&name)))?;
                    self.kept.push(checked);
                    self.kept_size = self.held;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn hold(&mut self, size: usize) -> Result<()> {
        self.held += size;
        ensure!(self.held <= MOST_HELD, "packages have more than {MOST_HELD} bytes of names, which real ones do not");
        Ok(())
    }

    /// The entry, if all of it can be used safely.
    fn checked(&mut self, mut entry: RepoPackage) -> Result<RepoPackage> {
        let Some(digest) = self.checksum.strongest() else { bail!("it has no {}", self.checksum.missing()) };
        let size = self.size.take().context("it has no size")?;
        let words = [&entry.name, &entry.arch, &entry.epoch, &entry.version, &entry.release];
        for word in words {
            validate_rpm_token(word)?;
        }
        if !entry.source_rpm.is_empty() {
            validate_rpm_token(&entry.source_rpm)?;
        }
        validate_relative_path(&entry.href)?;
        let base = self.base.take();
        let length: usize = words.iter().chain(&[&entry.source_rpm, &entry.href]).map(|text| text.len()).sum();
        self.hold(length + base.as_ref().map_or(0, String::len) + size_of::<RepoPackage>())?;
        entry.base = base.map(|base| check_base(&base)).transpose()?;
        entry.expected = Some(ExpectedDigest { digest, size: super::size(&size, MAX_FILE)? });
        Ok(entry)
    }
}

fn length(evr: &Evr<'_>) -> usize {
    evr.epoch().len() + evr.version().len() + evr.release().len()
}

fn range(start: &BytesStart<'_>, name: String) -> Result<Range> {
    let Some(flags) = attribute(start, "flags")? else { return Ok(Range { name, constraint: None }) };
    let part = |key| attribute(start, key).map(Option::unwrap_or_default);
    let evr = Evr::new(part("epoch")?, part("ver")?, part("rel")?);
    Ok(Range { name, constraint: Some((operator(&flags)?, evr)) })
}

#[cfg(test)]
mod tests {
    use rpm_version::{Evr, ReqOperator};

    use super::packages;

    const DIGEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn document() -> String {
        let package = |name: &str, arch: &str| {
            format!(
                "<package type='rpm'><name>{name}</name><arch>{arch}</arch><version epoch='2' ver='11.1.3' rel='1.fc45'/>\
                 <checksum type='sha256' pkgid='YES'>{DIGEST}</checksum><size package='5' installed='7' archive='8'/>\
                 <location href='Packages/q/{name}.rpm'/><format><rpm:provides><rpm:entry name='{name}'/></rpm:provides>\
                 <rpm:sourcerpm>qemu-11.1.3-1.fc45.src.rpm</rpm:sourcerpm><rpm:obsoletes>\
                 <rpm:entry name='{name}-old' flags='LT' epoch='2' ver='11'/><rpm:entry name='b'/></rpm:obsoletes>\
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
        assert_eq!(entry.source_rpm, "qemu-11.1.3-1.fc45.src.rpm");
        let [old, any] = entry.obsoletes.as_slice() else { panic!("{:?}", entry.obsoletes) };
        assert_eq!((old.name.as_str(), any.name.as_str()), ("qemu-user-static-arm-old", "b"));
        assert_eq!(old.constraint, Some((ReqOperator::LT, Evr::new("2", "11", ""))));
        assert_eq!(any.constraint, None);
        assert_eq!(entry.files, ["/usr/bin/qemu-user-static-arm"]);
        assert_eq!(entry.expected.as_ref().map(|expected| expected.size), Some(5));
        assert_eq!(entry.base, None);
    }

    #[test]
    fn kinds_of_digests_may_be_mixed_and_packages_elsewhere() {
        let sha512 = document().replace("'sha256'", "'sha512'").replace(DIGEST, &"b".repeat(128));
        let base = "xml:base=\"https://other.example/pool/\" href='Packages/";
        let text = [document(), sha512.replace("href='Packages/", base)].concat();
        let kept = packages(text.as_bytes(), text.len() as u64, "qemu-user-static").expect("packages");
        let digests: Vec<_> =
            kept.iter().filter_map(|entry| Some(entry.expected.as_ref()?.digest.to_string())).collect();
        assert_eq!(digests, [format!("SHA-256 {DIGEST}"), format!("SHA-512 {}", "b".repeat(128))]);
        let places: Vec<_> = kept.iter().map(|entry| entry.base.as_ref().map(|base| base.of(&entry.href))).collect();
        let elsewhere = "https://other.example/pool/Packages/q/qemu-user-static-arm.rpm".to_owned();
        assert_eq!(places, [None, Some(elsewhere)]);
    }
}
