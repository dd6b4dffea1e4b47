//! A layer: a tar archive of files with headers that depend on nothing but the files, compressed while it is made.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use tar::{Builder, EntryType, Header};

use super::blobs::Blobs;
use super::compress::Compression;
use super::spec::Descriptor;
use crate::digest::{Hasher, Sha256};

/// One thing in a layer.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Path below the root.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: Kind,
}

/// What something in a layer is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Folder,
    /// To a file that came before.
    HardLink(String),
    File {
        /// Where it is read.
        source: PathBuf,
        /// What it must be.
        sha256: Sha256,
        mode: u32,
    },
}

/// A finished layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Its blob.
    pub(super) blob: Descriptor,
    /// Digest of the archive before compression.
    pub(super) diff_id: String,
}

/// Size of a chunk that goes from one thread to the other, and how many of them may be in the queue.
const CHUNK: usize = 1 << 20;
const QUEUE_DEPTH: usize = 8;

/// Makes a layer; `time`, in seconds since 1970, is that of everything in it. One thread reads and hashes, another
/// compresses.
///
/// # Errors
/// If a file is not as recorded, or something cannot be read or written.
pub(super) fn write(items: &[Item], time: u64, compression: Compression, blobs: &Blobs) -> Result<Layer> {
    let (sender, receiver) = sync_channel(QUEUE_DEPTH);
    thread::scope(|scope| {
        let reading = scope.spawn(move || archive(items, time, ChunkSender::new(sender)));
        let blob = compress(&receiver, compression, blobs);
        // Else the reader would wait for ever for room in the queue.
        drop(receiver);
        let Ok(diff_id) = reading.join() else { bail!("a worker panicked, see above") };
        // If nothing could be written, the reader's failure is that nobody takes what it reads.
        let blob = blob?;
        Ok(Layer { blob, diff_id: format!("sha256:{}", diff_id?) })
    })
}

fn compress(chunks: &Receiver<Vec<u8>>, compression: Compression, blobs: &Blobs) -> Result<Descriptor> {
    let context = || format!("writing a layer into {}", blobs.folder.display());
    let mut encoder = compression.encoder(blobs.begin()?).with_context(context)?;
    for chunk in chunks {
        encoder.write_all(&chunk).with_context(context)?;
    }
    encoder.finish().with_context(context)?.finish(compression.media_type())
}

/// Writes the archive, and gives its digest.
fn archive(items: &[Item], time: u64, chunks: ChunkSender) -> Result<Sha256> {
    let mut builder = Builder::new(chunks);
    for Item { path, kind } in items {
        let context = || format!("adding {path} to a layer");
        let mut header = Header::new_ustar();
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_mode(0o755);
        match kind {
            Kind::Folder => {
                header.set_entry_type(EntryType::Directory);
                builder.append_data(&mut header, format!("{path}/"), io::empty()).with_context(context)?;
            }
            Kind::HardLink(first) => {
                header.set_entry_type(EntryType::Link);
                builder.append_link(&mut header, path, first).with_context(context)?;
            }
            Kind::File { source, sha256, mode } => {
                header.set_mode(*mode);
                let file = File::open(source).with_context(|| format!("reading {}", source.display()))?;
                let size = file.metadata().with_context(|| format!("reading {}", source.display()))?.len();
                header.set_size(size);
                let mut read =
                    Hashed { inner: BufReader::with_capacity(CHUNK, file).take(size), hasher: Hasher::default() };
                builder.append_data(&mut header, path, &mut read).with_context(context)?;
                check(source, sha256, read.hasher)?;
            }
        }
    }
    builder.into_inner().and_then(ChunkSender::finish).context("finishing a layer")
}

/// That what was read is what the bill of materials says.
fn check(source: &Path, recorded: &Sha256, read: Hasher) -> Result<()> {
    ensure!(
        read.finish() == *recorded,
        "{} is not as recorded beside it; run `cargo xtask fetch-and-build` again",
        source.display()
    );
    Ok(())
}

/// Hashes what is read through it.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

/// Hashes what is written to it and sends it on, a chunk at a time.
struct ChunkSender {
    sender: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    hasher: Hasher,
}

impl ChunkSender {
    fn new(sender: SyncSender<Vec<u8>>) -> Self {
        Self { sender, chunk: Vec::with_capacity(CHUNK), hasher: Hasher::default() }
    }

    fn send(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.hasher.update(&chunk);
        self.sender.send(chunk).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<Sha256> {
        self.send()?;
        Ok(self.hasher.finish())
    }
}

impl Write for ChunkSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
