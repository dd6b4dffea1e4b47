//! Emulators, conf lines and licence texts out of packages: verified, by an allow-list, under names chosen here.
//!
//! All into a folder in the making that gets its name when everything in it is good, together with a [`Record`] of what
//! came from where. Nothing else of a package is written anywhere. Here: the order of the steps; what a package holds is
//! read in `entries`, what of it is wanted is in `item`, the writing and checking of that in `sink`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::digest::{Algorithm, Digest, Sha256};
use crate::host::Host;
use crate::package::{Format, Package};
use crate::partial::Partial;
use crate::verify::{self, Trust, VerifiedRpm};
use crate::{parallel, progress};

use sink::Sink;

mod archive;
pub(crate) mod entries;
mod item;
mod listing;
mod record;
mod sink;

pub use entries::{Limits, entries};
pub use listing::{Kind, Listed};
pub use record::{EmulatorRecord, Record, Stage, TextRecord};
pub use sink::Extracted;

/// What to extract for whom.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The machine that the emulators must run on.
    pub host: Host,
    /// QEMU's names of the wanted targets; all if empty.
    pub targets: &'a [String],
    /// Whose word is taken.
    pub trust: &'a Trust,
}

/// Verifies `packages` and extracts them into `dir`. If `dir` was made from the same before, and holds it byte for byte,
/// nothing is done. The caller holds the [`lock`](crate::partial::lock) of `dir`.
///
/// # Errors
/// The first package that fails a check, or holds an emulator that would not run. `dir` is then as it was.
pub fn stage(packages: &[Package], wanted: &Wanted<'_>, dir: &Path) -> Result<(Stage, bool)> {
    let digests = digests(packages)?;
    let key = key(packages, &digests, wanted);
    if let Some(record) = Record::read(dir).filter(|record| record.key == key && record.is_whole(dir)) {
        return Ok((Stage { dir: dir.into(), record }, false));
    }
    let partial = Partial::begin(dir, Record::is_in)?;
    let record = extract_all(packages, &digests, wanted, partial.path(), key)?;
    record.write(partial.path())?;
    partial.finish()?;
    Ok((Stage { dir: dir.into(), record }, true))
}

/// Digests of the packages: promised ones, or as the files are now.
fn digests(packages: &[Package]) -> Result<Vec<Digest>> {
    let digest = |package: &Package| match &package.promise {
        Some(promise) => Ok(promise.digest.clone()),
        None => File::open(&package.path)
            .and_then(|file| Algorithm::Sha256.of_reader(file))
            .with_context(|| format!("reading the package {}", package.path.display())),
    };
    packages.iter().map(digest).collect()
}

/// Digest of all that decides what the folder holds.
fn key(packages: &[Package], digests: &[Digest], wanted: &Wanted<'_>) -> Sha256 {
    let mut text = format!("6 {} {} {:?}\n", wanted.host.name, wanted.trust.identity(), wanted.targets);
    for (package, digest) in packages.iter().zip(digests) {
        text += &format!("{} {}\n", digest.hex(), package.name);
    }
    Sha256::of(text.as_bytes())
}

/// Takes the packages in parallel, largest first.
fn extract_all(
    packages: &[Package],
    digests: &[Digest],
    wanted: &Wanted<'_>,
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
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let shares = parallel::each(&queue, workers, |&(size, package, digest)| {
        let share = extract(package, wanted, dir)?;
        // What the folder is found by must be what it was made from. Digests that a repository lists, of whatever kind, have
        // been compared when the package was verified.
        let is_same = package.promise.is_some() || Digest::from(share.proof.sha256.clone()) == *digest;
        ensure!(is_same, "{} was changed while it was read; run again", package.path.display());
        bar.inc(size);
        Ok(share)
    })?;
    let mut record = Record { key, packages: vec![], emulators: vec![], confs: vec![], licences: vec![] };
    let mut passed_over = Vec::new();
    for Extracted { proof, emulators, confs, licences, links } in shares {
        record.packages.push(proof);
        record.emulators.extend(emulators);
        record.confs.extend(confs);
        record.licences.extend(licences);
        passed_over.extend(links);
    }
    record.packages.sort_by(|a, b| a.nevra.cmp(&b.nevra));
    record.emulators.sort_by(|a, b| a.target.cmp(&b.target));
    record.confs.sort();
    record.licences.sort();
    passed_over.iter().try_for_each(|link| link.check(&record.emulators))?;
    check_complete(&record, wanted)?;
    Ok(record)
}

/// That every wanted target came out, and something at all.
fn check_complete(record: &Record, wanted: &Wanted<'_>) -> Result<()> {
    let held = |target: &String| record.emulators.iter().any(|emulator| emulator.target == *target);
    if let Some(missing) = wanted.targets.iter().find(|target| !held(target)) {
        bail!("no package holds an emulator for {missing}");
    }
    if record.emulators.is_empty() {
        bail!("no package holds an emulator (/usr/bin/qemu-*-static)");
    }
    Ok(())
}

fn extract(package: &Package, wanted: &Wanted<'_>, dir: &Path) -> Result<Extracted> {
    match package.format {
        Format::Rpm => extract_rpm(package, wanted, dir),
        Format::Deb => extract_deb(package, wanted, dir),
    }
}

fn extract_rpm(package: &Package, wanted: &Wanted<'_>, dir: &Path) -> Result<Extracted> {
    unpack_rpm(verify::rpm(package, wanted.trust, wanted.host)?, package, wanted, dir)
}

/// Writes what is wanted of a verified package into `dir`, below `emulators`, `binfmt.d` and `licenses`. Nothing is taken
/// of its file but what the digests in the verified header vouch for, whatever has become of it since.
///
/// # Errors
/// If a file is not the one that the header lists, or would not run.
pub fn unpack_rpm(verified: VerifiedRpm, package: &Package, wanted: &Wanted<'_>, dir: &Path) -> Result<Extracted> {
    let VerifiedRpm { proof, header, payload } = verified;
    let mut sink = Sink::new(package, wanted, dir, proof);
    entries::unpack(&header, payload, Limits::PACKAGE, |file, content| sink.take(file, content))
        .and_then(|missing| sink.check_missing(&missing))
        .with_context(|| format!("unpacking {}", package.name))?;
    Ok(sink.extracted)
}

/// Debian's packages: apt has verified them, dpkg opens them, and the same allow-list holds.
fn extract_deb(package: &Package, wanted: &Wanted<'_>, dir: &Path) -> Result<Extracted> {
    let (file, proof) = verify::deb(package, dir)?;
    let mut sink = Sink::new(package, wanted, dir, proof);
    let mut dpkg = Command::new("dpkg-deb")
        .args(["--fsys-tarfile", "-"])
        .stdin(file)
        .stdout(Stdio::piped())
        // Of a failure in here, our own line is the one to be read.
        .stderr(Stdio::null())
        .spawn()
        .context("running dpkg-deb")?;
    let result = dpkg.stdout.take().context("reading from dpkg-deb").and_then(|tar| sink.take_all(tar));
    let status = dpkg.wait().context("waiting for dpkg-deb")?;
    result?;
    if !status.success() {
        bail!("unpacking {}: dpkg-deb failed; the package is damaged", package.name);
    }
    Ok(sink.extracted)
}
