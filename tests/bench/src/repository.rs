//! Writes a made-up repository: the list of packages in several compressions at once, each in a folder of its own with
//! a `repomd.xml` that is true. What the list says is for [`crate::primary`].

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::primary;
use xtask::verify::digest::{Algorithm, Hasher, Sha256};

/// Compression of a list of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Compression {
    /// zstd, as Fedora since 42
    Zst,
    /// gzip, as Fedora until 41
    Gz,
    /// xz, as elsewhere
    Xz,
}

impl Compression {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zst => "zst",
            Self::Gz => "gz",
            Self::Xz => "xz",
        }
    }
}

/// What was written.
pub(super) struct Repository {
    /// Holds `repodata`.
    pub(super) folder: PathBuf,
    pub(super) compression: Compression,
    /// Length of the list in its compression, in bytes.
    pub(super) size: u64,
    /// Length of the list, in bytes.
    pub(super) decompressed_size: u64,
}

/// Writes one repository for each compression below `folder`, all with the same list.
pub(super) fn write(folder: &Path, packages: usize, compressions: &[Compression]) -> Result<Vec<Repository>> {
    let mut lists =
        compressions.iter().map(|&compression| List::new(folder, compression)).collect::<Result<Vec<_>>>()?;
    let mut open = Open { lists: &mut lists, hasher: Hasher::new(Algorithm::Sha256), size: 0 };
    let mut buffered = BufWriter::with_capacity(1 << 20, &mut open);
    primary::write(packages, &mut buffered).and_then(|()| buffered.flush()).context("writing the list of packages")?;
    drop(buffered);
    let Open { hasher, size, .. } = open;
    let digest = hasher.finish();
    lists.into_iter().map(|list| list.finish(digest.hex(), size)).collect()
}

/// The list on its way into all compressions.
struct Open<'a> {
    lists: &'a mut [List],
    hasher: Hasher,
    size: u64,
}

impl Write for Open<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for list in &mut *self.lists {
            list.encoder.write_all(bytes)?;
        }
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Levels as createrepo_c has them.
enum Encoder {
    Zst(zstd::Encoder<'static, File>),
    Gz(flate2::write::GzEncoder<File>),
    Xz(liblzma::write::XzEncoder<File>),
}

impl Encoder {
    fn new(compression: Compression, file: File) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zst => Self::Zst(zstd::Encoder::new(file, 10)?),
            Compression::Gz => Self::Gz(flate2::write::GzEncoder::new(file, flate2::Compression::new(6))),
            Compression::Xz => Self::Xz(liblzma::write::XzEncoder::new(file, 5)),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zst(encoder) => encoder.write_all(bytes),
            Self::Gz(encoder) => encoder.write_all(bytes),
            Self::Xz(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<File> {
        match self {
            Self::Zst(encoder) => encoder.finish(),
            Self::Gz(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
        }
    }
}

/// One compressed list.
struct List {
    folder: PathBuf,
    path: PathBuf,
    compression: Compression,
    encoder: Encoder,
}

impl List {
    fn new(folder: &Path, compression: Compression) -> Result<Self> {
        let folder = folder.join(compression.name());
        let path = folder.join("repodata").join(format!("primary.xml.{}", compression.name()));
        let context = || format!("making {}", path.display());
        fs::create_dir_all(folder.join("repodata")).with_context(context)?;
        let file = File::create(&path).with_context(context)?;
        let encoder = Encoder::new(compression, file).with_context(context)?;
        Ok(Self { folder, path, compression, encoder })
    }

    fn finish(self, open_digest: &str, decompressed_size: u64) -> Result<Repository> {
        let Self { folder, path, compression, encoder } = self;
        let context = || format!("writing {}", path.display());
        encoder.finish().with_context(context)?;
        let digest = Sha256::of_reader(File::open(&path).with_context(context)?).with_context(context)?;
        let size = fs::metadata(&path).with_context(context)?.len();
        let name = compression.name();
        let repomd = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">
  <revision>1790000000</revision>
  <data type=\"primary\">
    <checksum type=\"sha256\">{digest}</checksum>
    <open-checksum type=\"sha256\">{open_digest}</open-checksum>
    <location href=\"repodata/primary.xml.{name}\"/>
    <timestamp>1790000000</timestamp>
    <size>{size}</size>
    <open-size>{decompressed_size}</open-size>
  </data>
</repomd>
"
        );
        fs::write(folder.join("repodata/repomd.xml"), repomd).with_context(context)?;
        Ok(Repository { folder, compression, size, decompressed_size })
    }
}
