//! A layer: a tar archive of files with headers that depend on nothing but the files, compressed while it is made.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tar::{Builder, EntryType, Header};

use super::blobs::Blobs;
use super::compress::Compression;
use super::spec::Descriptor;
use crate::verify::digest::{BUFFER, Hashing, Sha256};

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) path: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Folder,
    /// To a file that came before.
    HardLink(String),
    File {
        source: PathBuf,
        sha256: Sha256,
        mode: u32,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) blob: Descriptor,
    pub(super) diff_id: String,
}

/// Writes a layer, read, hashed and compressed in one pass; `time`, in seconds since 1970, is that of everything in it.
pub(super) fn write(items: &[Item], time: u64, compression: Compression, blobs: &Blobs) -> Result<Layer> {
    let context = || format!("writing a layer into {}", blobs.folder.display());
    let write = |sink: &mut dyn Write| {
        let mut archive = Builder::new(BufWriter::with_capacity(BUFFER, Hashing::sha256(sink)));
        items.iter().try_for_each(|item| append(&mut archive, item, time))?;
        let archive = archive.into_inner().and_then(|buffer| Ok(buffer.into_inner()?)).with_context(context)?;
        Ok(format!("sha256:{}", archive.finish().1.sha256))
    };
    let (blob, diff_id) = blobs.stream(compression.media_type(), |blob| compression.encode(blob, write))?;
    Ok(Layer { blob, diff_id })
}

pub(super) fn tar_header(time: u64, size: u64, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mode(mode);
    header
}

fn append(archive: &mut Builder<impl Write>, Item { path, kind }: &Item, time: u64) -> Result<()> {
    let context = || format!("adding {path} to a layer");
    let mut header = tar_header(time, 0, 0o755);
    match kind {
        Kind::Folder => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, format!("{path}/"), io::empty()).with_context(context)?;
        }
        Kind::HardLink(first) => {
            header.set_entry_type(EntryType::Link);
            archive.append_link(&mut header, path, first).with_context(context)?;
        }
        Kind::File { source, sha256, mode } => {
            header.set_mode(*mode);
            let file = File::open(source).with_context(|| format!("reading {}", source.display()))?;
            let size = file.metadata().with_context(|| format!("reading {}", source.display()))?.len();
            header.set_size(size);
            let mut file = Hashing::sha256(file.take(size));
            archive
                .append_data(&mut header, path, BufReader::with_capacity(BUFFER, &mut file))
                .with_context(context)?;
            let (_, read) = file.finish();
            ensure!(
                read.sha256 == *sha256,
                "{} is not as recorded beside it; run `cargo xtask fetch-and-build` again",
                source.display()
            );
        }
    }
    Ok(())
}
