//! What the fuzz targets do with bytes: one function for each reader of what comes from elsewhere. None may panic, hang
//! or take much memory, whatever the bytes. `tests/mirror/corpus.rs` does the same with fewer bytes in each test run.

use std::io;

use anyhow::Result;
use codegen::rule::{self, ConfLine, Problem};
use xtask::extract::{self, Limits};
use xtask::repo::{metalink, primary, repomd, resolve};
use xtask::verify::Keys;
use xtask::verify::rpm_header_bounds;

/// Less than for real lists of packages and real packages, so that bombs take no time.
const OPEN: u64 = 4 << 20;
const LIMITS: Limits = Limits { files: 64, unpacked: 1 << 20 };

/// As a conf file. What is read from it says, written as a line that is not too long, the same again.
pub fn conf(bytes: &[u8]) {
    for line in rule::parse_conf(bytes).filter_map(|(_, line)| line.ok()) {
        match ConfLine::parse(&line.rule.line("name", "/interpreter", "F")) {
            Err(Problem::TooLong(_)) => {}
            again => assert_eq!(again.map(|again| again.rule).as_ref(), Ok(&line.rule)),
        }
    }
}

/// As a keyring of somebody else's, of which no key is wanted, and as a file of keys that all are.
pub fn keyring(bytes: &[u8]) {
    assert!(Keys::pinned(&[bytes], "the keyring", &["0".repeat(40)]).is_err());
    let _ = Keys::from_bytes([("the file".to_owned(), bytes.to_vec())]);
}

/// As a metalink. What is read from it can be asked for.
pub fn metalink(bytes: &[u8]) {
    if let Ok(metalink) = metalink::parse(bytes) {
        assert!(!metalink.mirrors.is_empty());
        assert!(metalink.mirrors.is_sorted_by(|one, next| one.preference >= next.preference));
        assert!(metalink.mirrors.iter().all(|mirror| mirror.url.starts_with("http") && !mirror.url.ends_with('/')));
    }
}

/// As `repomd.xml`.
pub fn repomd(bytes: &[u8]) {
    let _ = repomd::primary(bytes);
}

/// As a list of packages, of which some are chosen. All of them can be asked for.
pub fn primary(bytes: &[u8]) {
    let entries = primary::packages(bytes, OPEN, resolve::ROOT).unwrap_or_default();
    for entry in resolve::resolve(entries, "x86_64").unwrap_or_default() {
        assert!(entry.expected.is_some());
        assert!(!entry.href.split('/').any(|part| part.is_empty() || part == ".."));
    }
}

/// As a package. Digests are not checked, so that what comes after them is reached.
pub fn package(bytes: &[u8]) {
    let length = bytes.len() as u64;
    let _ = extract::entries(bytes, length, LIMITS, |_, content| {
        io::copy(content, &mut io::sink())?;
        Ok(())
    });
    if let Ok(Some(headers)) = rpm_header_bounds::headers(bytes, length) {
        let _ = header(&headers);
    }
}

/// All that [`xtask::verify`] reads of a header.
fn header(mut headers: &[u8]) -> Result<()> {
    let metadata = rpm::PackageMetadata::parse(&mut headers)?;
    let _ = (metadata.check_digests(), metadata.get_nevra(), metadata.get_license(), metadata.is_source_package());
    Keys::from_files(&[])?.check("package", &metadata.header_bytes()?, &metadata.raw_signatures()?)?;
    Ok(())
}
