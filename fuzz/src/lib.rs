//! What the fuzz targets do with bytes: one function for each reader of what comes from elsewhere. None may panic, hang
//! or take much memory, whatever the bytes. `tests/mirror/corpus.rs` does the same with fewer bytes in each test run.

use std::io::{self, Cursor};

use anyhow::Result;
use codegen::rule::{self, Rule};
use xtask::extract::{self, Limits};
use xtask::repo::repomd;
use xtask::rpm_layout;
use xtask::verify::Keys;

/// Less than for real packages, so that bombs take no time.
const LIMITS: Limits = Limits { files: 64, unpacked: 1 << 20 };

/// As a conf file. What is read from it says, written as lines, the same again.
pub fn conf(bytes: &[u8]) {
    let rules = rule::parse_conf("fuzz.conf", &String::from_utf8_lossy(bytes)).unwrap_or_default();
    for rule in rules {
        assert_eq!(Rule::parse(&rule.to_string()).as_ref(), Ok(&rule));
    }
}

/// As `repomd.xml`.
pub fn repomd(bytes: &[u8]) {
    let _ = repomd::primary(bytes);
}

/// As a package. Digests are not checked, so that what comes after them is reached.
pub fn package(bytes: &[u8]) {
    let _ = extract::entries(Cursor::new(bytes.to_vec()), LIMITS, |_, _, _, content| {
        io::copy(content, &mut io::sink())?;
        Ok(())
    });
    if let Ok(Some(_)) = rpm_layout::payload_offset(&mut Cursor::new(bytes)) {
        let _ = header(bytes);
    }
}

/// All that [`xtask::verify`] reads of a header.
fn header(package: &[u8]) -> Result<()> {
    let metadata = rpm::PackageMetadata::parse(&mut Cursor::new(package))?;
    let _ = (metadata.check_digests(), metadata.get_nevra(), metadata.get_license(), metadata.is_source_package());
    Keys::from_files(&[])?.check("package", &metadata.header_bytes()?, &metadata.raw_signatures()?)?;
    Ok(())
}
