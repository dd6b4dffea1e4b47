//! Emulators, conf lines and license files out of verified packages, into a staged folder with a [`Record`] of their
//! origin.
//!
//! `entries` reads a package, `wanted_file` is the allow-list, `extractor` writes and checks.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::output::progress;
use crate::system::host::Host;
use crate::system::parallel;
use crate::verify::digest::{Algorithm, Digest, Sha256};
use crate::verify::package::Package;
use crate::verify::{Trust, Verified, VerifiedPackage, VerifiedRpm};
use crate::workspace::atomic_dir::StagedDir;

use extractor::Extractor;

mod archive;
pub(crate) mod decompress;
pub mod entries;
mod extractor;
mod listing;
mod record;
mod wanted_file;

pub use entries::{Limits, entries};
pub(crate) use extractor::Extracted;
pub(crate) use listing::Kind;
pub use record::{EmulatorRecord, Record, Stage, TextRecord};

#[derive(Debug)]
pub struct ExtractRequest<'a> {
    pub host: Host,
    /// QEMU's names of the wanted targets; all if empty.
    pub targets: &'a [String],
    pub trust: &'a Trust,
}

/// Verifies and extracts `packages` into `dir`, whose lock the caller holds; does nothing if `dir` is from the same,
/// unchanged.
pub(crate) fn stage(
    packages: &[Package],
    verify: impl Fn(&Package) -> Result<Verified> + Sync,
    request: &ExtractRequest<'_>,
    dir: &Path,
) -> Result<(Stage, bool)> {
    let digests = digests(packages)?;
    let key = key(packages, &digests, request);
    if let Some(record) = Record::read(dir).filter(|record| record.key == key && record.is_whole(dir)) {
        return Ok((Stage { dir: dir.into(), record }, false));
    }
    let staged = StagedDir::create(dir, Record::is_in)?;
    let record = extract_all(packages, &digests, verify, request, staged.path(), key)?;
    record.write(staged.path())?;
    staged.commit()?;
    Ok((Stage { dir: dir.into(), record }, true))
}

/// Digests of the packages: promised ones, or as the files are now.
fn digests(packages: &[Package]) -> Result<Vec<Digest>> {
    let digest = |package: &Package| match &package.expected {
        Some(expected) => Ok(expected.digest.clone()),
        None => File::open(&package.path)
            .and_then(|file| Algorithm::Sha256.of_reader(file))
            .with_context(|| format!("reading the package {}", package.path.display())),
    };
    packages.iter().map(digest).collect()
}

/// Digest of all that decides what the folder holds.
fn key(packages: &[Package], digests: &[Digest], request: &ExtractRequest<'_>) -> Sha256 {
    let mut text = format!("7 {} {} {:?}\n", request.host.name, request.trust.cache_key(), request.targets);
    for (package, digest) in packages.iter().zip(digests) {
        text += &format!("{} {}\n", digest.hex(), package.name);
    }
    Sha256::of(text.as_bytes())
}

fn extract_all(
    packages: &[Package],
    digests: &[Digest],
    verify: impl Fn(&Package) -> Result<Verified> + Sync,
    request: &ExtractRequest<'_>,
    dir: &Path,
    key: Sha256,
) -> Result<Record> {
    for folder in ["emulators", "binfmt.d", "licenses"] {
        fs::create_dir(dir.join(folder)).context("making the folder of extracted files")?;
    }
    let size = |package: &Package| fs::metadata(&package.path).map_or(0, |metadata| metadata.len());
    // The largest first, so that none is left over at the end for one worker alone.
    let mut queue: Vec<_> = packages.iter().zip(digests).map(|(one, digest)| (size(one), one, digest)).collect();
    queue.sort_by_key(|&(size, ..)| std::cmp::Reverse(size));
    let bar = progress::bytes(queue.iter().map(|&(size, ..)| size).sum(), "extracting");
    let shares = parallel::each(&queue, parallel::processors(), |&(size, package, digest)| {
        let share = extract(verify(package)?, package, request, dir)?;
        // The key must be of the bytes that were read. Listed digests were compared by `verify`.
        let is_same = package.expected.is_some() || Digest::from(share.verified.sha256.clone()) == *digest;
        ensure!(is_same, "{} was changed while it was read; run again", package.path.display());
        bar.inc(size);
        Ok(share)
    })?;
    let mut record = Record { key, packages: vec![], emulators: vec![], confs: vec![], licenses: vec![] };
    let mut passed_over = Vec::new();
    for Extracted { verified, emulators, confs, licenses, links } in shares {
        record.packages.push(verified);
        record.emulators.extend(emulators);
        record.confs.extend(confs);
        record.licenses.extend(licenses);
        passed_over.extend(links);
    }
    record.packages.sort_by(|a, b| a.nevra.cmp(&b.nevra));
    record.emulators.sort_by(|a, b| a.target.cmp(&b.target));
    record.confs.sort();
    record.licenses.sort();
    passed_over.iter().try_for_each(|link| link.check(&record.emulators))?;
    check_complete(&record, request)?;
    Ok(record)
}

/// That every wanted target came out, and something at all.
fn check_complete(record: &Record, request: &ExtractRequest<'_>) -> Result<()> {
    let held = |target: &String| record.emulators.iter().any(|emulator| emulator.target == *target);
    if let Some(missing) = request.targets.iter().find(|target| !held(target)) {
        bail!("no package holds an emulator for {missing}");
    }
    if record.emulators.is_empty() {
        bail!("no package holds an emulator (/usr/bin/qemu-*-static)");
    }
    Ok(())
}

fn extract(verified: Verified, package: &Package, request: &ExtractRequest<'_>, dir: &Path) -> Result<Extracted> {
    match verified {
        Verified::Rpm(verified) => unpack_rpm(*verified, package, request, dir),
        Verified::Deb(file, verified) => unpack_deb(file, verified, package, request, dir),
    }
}

/// Extracts from a verified package. Each file must have the digest that the signed header lists.
pub fn unpack_rpm(
    verified: VerifiedRpm,
    package: &Package,
    request: &ExtractRequest<'_>,
    dir: &Path,
) -> Result<Extracted> {
    let VerifiedRpm { verified, header, payload } = verified;
    let mut extractor = Extractor::new(package, request, dir, verified);
    entries::unpack(&header, payload, Limits::PACKAGE, |file, content| extractor.accept(file, content))
        .and_then(|missing| extractor.check_missing(&missing))
        .with_context(|| format!("unpacking {}", package.name))?;
    Ok(extractor.extracted)
}

fn unpack_deb(
    file: File,
    verified: VerifiedPackage,
    package: &Package,
    request: &ExtractRequest<'_>,
    dir: &Path,
) -> Result<Extracted> {
    let mut extractor = Extractor::new(package, request, dir, verified);
    let mut dpkg = Command::new("dpkg-deb")
        .args(["--fsys-tarfile", "-"])
        .stdin(file)
        .stdout(Stdio::piped())
        // Of a failure in here, our own line is the one to be read.
        .stderr(Stdio::null())
        .spawn()
        .context("running dpkg-deb")?;
    let result = dpkg.stdout.take().context("reading from dpkg-deb").and_then(|tar| extractor.accept_tar(tar));
    let status = dpkg.wait().context("waiting for dpkg-deb")?;
    result?;
    if !status.success() {
        bail!("unpacking {}: dpkg-deb failed; the package is damaged", package.name);
    }
    Ok(extractor.extracted)
}
