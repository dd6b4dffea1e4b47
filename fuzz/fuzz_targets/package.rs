//! Any bytes as a package. Digests are not checked, so that what comes after them is reached.
#![no_main]

use std::io::{self, Cursor};

use xtask::extract::{self, Limits};
use xtask::rpm_layout;
use xtask::verify::Keys;

/// Less than for real packages, so that bombs take no time.
const LIMITS: Limits = Limits { files: 64, unpacked: 1 << 20 };

libfuzzer_sys::fuzz_target!(|package: &[u8]| {
    let _ = extract::entries(Cursor::new(package.to_vec()), LIMITS, |_, _, _, content| {
        io::copy(content, &mut io::sink())?;
        Ok(())
    });
    if let Ok(Some(_)) = rpm_layout::payload_offset(&mut Cursor::new(package)) {
        let _ = signatures(package);
    }
});

/// Reads all that [`xtask::verify`] reads of a header.
fn signatures(package: &[u8]) -> anyhow::Result<()> {
    let metadata = rpm::PackageMetadata::parse(&mut Cursor::new(package))?;
    let _ = (metadata.check_digests(), metadata.get_nevra(), metadata.get_license(), metadata.is_source_package());
    Keys::from_files(&[])?.check("package", &metadata.header_bytes()?, &metadata.raw_signatures()?)?;
    Ok(())
}
