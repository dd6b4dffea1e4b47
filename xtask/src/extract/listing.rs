//! The files that a package's header lists. Who has verified the header knows of each file what it must be.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rpm::{FileFlags, FileMode, FileType, Header, IndexTag, PackageMetadata};

use crate::verify::digest::Algorithm;

#[derive(Debug)]
pub struct Listed {
    /// Its absolute path, as the package says: nothing is to be written under that name.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    /// What its content must be; directories and links have none.
    pub(super) digest: Option<FileDigest>,
    /// How many bytes of it are in an archive that does not say so itself.
    pub(super) stored: u64,
    /// Whether the archive need not hold it.
    pub(super) is_ghost: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Link(String),
    /// Anything else; a hard link whose content comes with another name, too.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileDigest {
    /// By [`FileDigest::algorithm`]; a file that is not wanted may have another.
    number: u64,
    pub(super) digits: String,
}

impl FileDigest {
    /// The algorithm of a file's digest by RPM's number, which is OpenPGP's (RFC 9580, 9.5).
    pub(super) fn algorithm(&self) -> Result<Algorithm> {
        let other = match self.number {
            8 => return Ok(Algorithm::Sha256),
            9 => return Ok(Algorithm::Sha384),
            10 => return Ok(Algorithm::Sha512),
            1 => "MD5".into(),
            2 => "SHA-1".into(),
            3 => "RIPEMD-160".into(),
            11 => "SHA-224".into(),
            12 => "SHA3-256".into(),
            14 => "SHA3-512".into(),
            number => format!("digest algorithm {number}"),
        };
        bail!("its header has digests of files by {other}; SHA-256, SHA-384 and SHA-512 are taken")
    }
}

pub(super) fn files(metadata: &PackageMetadata, most: usize) -> Result<Vec<Listed>> {
    let header = &metadata.header;
    let names = texts(header, IndexTag::RPMTAG_BASENAMES)?.unwrap_or_default();
    let count = names.len();
    ensure!(count <= most, "it lists {count} files, which no such package does (at most {most})");
    let all = |tag, text: &str| {
        let found = numbers(header, tag)?.filter(|found: &Vec<u64>| found.len() == count);
        found.ok_or_else(|| anyhow!("its header is damaged: not one {text} for each file"))
    };
    let folders = texts(header, IndexTag::RPMTAG_DIRNAMES)?.unwrap_or_default();
    let folder_of = all(IndexTag::RPMTAG_DIRINDEXES, "folder")?;
    let modes = all(IndexTag::RPMTAG_FILEMODES, "mode")?;
    let flags = all(IndexTag::RPMTAG_FILEFLAGS, "set of flags")?;
    let sizes = match numbers(header, IndexTag::RPMTAG_LONGFILESIZES)? {
        Some(_) => all(IndexTag::RPMTAG_LONGFILESIZES, "size")?,
        None => all(IndexTag::RPMTAG_FILESIZES, "size")?,
    };
    let digests = texts(header, IndexTag::RPMTAG_FILEDIGESTS)?.unwrap_or_default();
    // Without a number they are MD5.
    let digest_kind = numbers(header, IndexTag::RPMTAG_FILEDIGESTALGO)?.and_then(|found| found.first().copied());
    let number = digest_kind.unwrap_or(1);
    let links = texts(header, IndexTag::RPMTAG_FILELINKTOS)?.unwrap_or_default();
    let devices = numbers(header, IndexTag::RPMTAG_FILEDEVICES)?.unwrap_or_default();
    let inodes = numbers(header, IndexTag::RPMTAG_FILEINODES)?.unwrap_or_default();

    let file_type = |index: usize| FileMode::from(modes[index] as u16).file_type();
    let is_ghost = |index: usize| flags[index] & u64::from(FileFlags::GHOST.bits()) != 0;
    let is_plain = |index: usize| file_type(index) == FileType::Regular && !is_ghost(index);
    // Of several links to one file, the last one comes with the content.
    let identity = |index: usize| Some((*devices.get(index)?, *inodes.get(index)?));
    let last: HashMap<_, _> =
        (0..count).filter(|&index| is_plain(index)).filter_map(|index| Some((identity(index)?, index))).collect();
    let is_last = |index: usize| identity(index).is_none_or(|identity| last.get(&identity) == Some(&index));
    let file = |(index, name): (usize, String)| {
        let folder = usize::try_from(folder_of[index]).ok().and_then(|at| folders.get(at));
        let folder = folder.context("its header is damaged: a file in a folder that is not there")?;
        let is_file = is_plain(index) && is_last(index);
        let kind = match file_type(index) {
            FileType::SymbolicLink => Kind::Link(links.get(index).cloned().unwrap_or_default()),
            _ if is_file => Kind::File,
            _ => Kind::Other,
        };
        let digest = digests.get(index).filter(|digits| !digits.is_empty());
        let has_none = is_ghost(index) || is_plain(index) && !is_file;
        Ok(Listed {
            path: format!("{folder}{name}"),
            kind,
            size: sizes[index],
            digest: digest.map(|digits| FileDigest { number, digits: digits.to_ascii_lowercase() }),
            stored: if has_none { 0 } else { sizes[index] },
            is_ghost: is_ghost(index),
        })
    };
    names.into_iter().enumerate().map(file).collect()
}

fn numbers(header: &Header<IndexTag>, tag: IndexTag) -> Result<Option<Vec<u64>>> {
    if !header.entry_is_present(tag as u32) {
        return Ok(None);
    }
    let wide = header.get_entry_data_as_u64_array(tag);
    let middle = || header.get_entry_data_as_u32_array(tag).map(|found| found.into_iter().map(u64::from).collect());
    let narrow = || header.get_entry_data_as_u16_array(tag).map(|found| found.into_iter().map(u64::from).collect());
    let found = wide.or_else(|_| middle()).or_else(|_| narrow());
    found.map(Some).map_err(|_| anyhow!("its header is damaged: {tag} holds no numbers"))
}

fn texts(header: &Header<IndexTag>, tag: IndexTag) -> Result<Option<Vec<String>>> {
    if !header.entry_is_present(tag as u32) {
        return Ok(None);
    }
    let found = header.get_entry_data_as_string_array(tag).map(|found| found.into_iter().map(str::to_owned).collect());
    found.map(Some).map_err(|_| anyhow!("its header is damaged: {tag} holds no text"))
}
