//! The files in an RPM package, one after the other, in bounded memory and time whatever the package says.
//!
//! How much of anything there may be is decided here, and so is the decompression, which lets no payload ask for as much
//! memory as it likes. The `rpm` crate reads the header, `archive` what is decompressed. Digests and signatures are
//! [`crate::verify`]'s, and what is wanted of the files is the caller's.

use std::io::{self, BufRead, BufReader, Read, Seek};

use anyhow::{Context, Result, bail, ensure};
use liblzma::stream::Stream;
use rpm::{IndexTag, PackageMetadata};

use super::archive::{Archive, files};
use crate::rpm_layout;

/// Most memory that an xz payload may ask for, in bytes: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 72 << 20;

/// Largest window of a zstd payload, as a power of two: 32 MiB. Fedora's level 19 has 8 MiB.
const ZSTD_WINDOW: u32 = 25;

/// What a package may be like.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many files it may list.
    pub files: usize,
    /// How long its archive may be, in bytes.
    pub unpacked: u64,
}

impl Limits {
    /// For real packages. Those of emulators list some 40 files, Fedora's package of keys some hundreds; all emulators of
    /// Fedora 44 together have 170 MiB.
    pub const PACKAGE: Self = Self { files: 2048, unpacked: 1 << 30 };
}

/// Calls `each` with path, whether it is a plain file with a content of its own, size, and content, for all that the
/// archive holds and the header knows. What is left of a content is passed over. Paths and sizes are as the package
/// says: nothing is to be written under such a name.
///
/// # Errors
/// If the package is damaged or goes beyond a limit, or if `each` fails.
pub fn entries(
    mut package: impl Read + Seek,
    limits: Limits,
    mut each: impl FnMut(&str, bool, u64, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let Some(start) = rpm_layout::payload_offset(&mut package)? else { bail!("it is not an RPM package") };
    package.rewind()?;
    let mut headers = Vec::new();
    package.by_ref().take(start).read_to_end(&mut headers)?;
    let metadata = PackageMetadata::parse(&mut headers.as_slice())?;
    check_files(&metadata, limits)?;
    let payload = decompress(BufReader::with_capacity(1 << 17, package))?;
    let payload = Bounded { inner: payload, left: limits.unpacked };
    let archive = Archive::new(BufReader::with_capacity(1 << 17, payload), files(&metadata)?);
    archive.read(|file, content| each(&file.path, file.is_file, file.size, content))
}

/// That it lists no more files than it may.
fn check_files(metadata: &PackageMetadata, limits: Limits) -> Result<()> {
    let names = match metadata.header.get_entry_data_as_string_array(IndexTag::RPMTAG_BASENAMES) {
        Err(rpm::Error::TagNotFound(_)) => return Ok(()),
        names => names?.len(),
    };
    ensure!(names <= limits.files, "it lists {names} files, which no such package does (at most {})", limits.files);
    Ok(())
}

/// By the first bytes: gzip, xz, zstd, or as it is.
fn decompress<'a>(mut payload: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    Ok(match payload.fill_buf().context("reading its payload")? {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::GzDecoder::new(payload)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, 0).context("starting xz")?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(payload, stream))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(payload).context("starting zstd")?;
            decoder.window_log_max(ZSTD_WINDOW).context("starting zstd")?;
            Box::new(decoder)
        }
        _ => Box::new(payload),
    })
}

/// Fails, instead of ending, where more comes than may.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "it unpacks to more than any such package does")
        })?;
        Ok(length)
    }
}
