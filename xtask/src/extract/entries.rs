//! The files in an RPM package, one after the other, in bounded memory and time whatever the package says. Nothing is
//! verified here: that is [`crate::verify`]'s.

use std::io::{BufReader, Read};

use anyhow::{Context, Result, anyhow, bail};
use rpm::PackageMetadata;

use super::archive::Archive;
use super::listing::{Listed, files};
use crate::extract::decompress::{self, decompress};
use crate::verify::rpm_header_bounds;

/// What a compressed payload may ask for: `xz -9` needs 65 MiB, zstd at Fedora's level 19 a window of 8 MiB.
pub(crate) const LIMITS: decompress::Limits = decompress::Limits {
    xz_memory: 72 << 20,
    zstd_window: 25,
    several: false,
    excess: "it unpacks to more than any such package does",
};

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub files: usize,
    pub unpacked: u64,
}

impl Limits {
    /// Fedora's package of keys lists some hundreds of files; all emulators of Fedora 44 together have 170 MiB.
    pub(crate) const PACKAGE: Self = Self { files: 2048, unpacked: 1 << 30 };
}

/// Calls `each` for the archive's files that the header lists, with their contents. `length` is the package's, in
/// bytes.
pub fn entries(
    mut package: impl Read,
    length: u64,
    limits: Limits,
    each: impl FnMut(&Listed, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let Some(headers) = rpm_header_bounds::headers(&mut package, length)? else { bail!("it is not an RPM package") };
    let header = PackageMetadata::parse(&mut headers.as_slice()).map_err(|_| anyhow!("its header is damaged"))?;
    unpack(&header, package, limits, each).map(drop)
}

/// The same for a parsed header and the payload after it. Gives the listed files that the archive lacks.
pub(super) fn unpack(
    header: &PackageMetadata,
    payload: impl Read,
    limits: Limits,
    each: impl FnMut(&Listed, &mut dyn Read) -> Result<()>,
) -> Result<Vec<Listed>> {
    let files = files(header, limits.files)?;
    let payload = BufReader::with_capacity(1 << 17, payload);
    let payload = decompress(payload, limits.unpacked, LIMITS).context("reading its payload")?;
    Archive::new(BufReader::with_capacity(1 << 17, payload), files).read(each)
}
