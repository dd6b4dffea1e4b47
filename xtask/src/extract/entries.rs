//! The files in an RPM package, one after the other, in bounded memory and time whatever the package says.
//!
//! How much of anything there may be is decided here, and how much memory a payload may ask for. The `rpm` crate reads
//! the header, `decompress` the payload, `archive` what comes out of that. Digests and signatures are
//! [`crate::verify`]'s, and what is wanted of the files is the caller's.

use std::io::{BufReader, Read, Seek};

use anyhow::{Context, Result, bail, ensure};
use rpm::{IndexTag, PackageMetadata};

use super::archive::{Archive, files};
use crate::decompress::{self, decompress};
use crate::rpm_layout;

/// What a compressed payload may ask for: `xz -9` needs 65 MiB; zstd at Fedora's level 19 has a window of 8 MiB, and 32 MiB
/// are let pass.
pub(crate) const LIMITS: decompress::Limits = decompress::Limits {
    xz_memory: 72 << 20,
    zstd_window: 25,
    several: false,
    excess: "it unpacks to more than any such package does",
};

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
    let payload = BufReader::with_capacity(1 << 17, package);
    let payload = decompress(payload, limits.unpacked, LIMITS).context("reading its payload")?;
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
