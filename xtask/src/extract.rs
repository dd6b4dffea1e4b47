//! Emulators, conf lines and licence texts out of packages: verified, by an allow-list, under names chosen here.
//!
//! All into a folder in the making that gets its name when everything in it is good, together with a [`Record`] of what
//! came from where. Nothing else of a package is written anywhere. Here: the order of the steps; what a package holds is
//! read in `entries`, what of it is wanted is in `item`, the writing and checking of that in `sink`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::digest::Sha256;
use crate::host::Host;
use crate::package::{Format, Package};
use crate::partial::Partial;
use crate::verify::{self, Trust};
use crate::{parallel, progress};

use item::Item;
use sink::{Extracted, Sink};

mod archive;
pub(crate) mod entries;
mod item;
mod record;
mod sink;

pub use entries::{Limits, entries};
pub use record::{EmulatorRecord, Record, Stage, TextRecord};

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
    let key = key(packages, wanted)?;
    if let Some(record) = Record::read(dir).filter(|record| record.key == key && record.is_whole(dir)) {
        return Ok((Stage { dir: dir.into(), record }, false));
    }
    let partial = Partial::begin(dir, Record::is_in)?;
    let record = extract_all(packages, wanted, partial.path(), key)?;
    record.write(partial.path())?;
    partial.finish()?;
    Ok((Stage { dir: dir.into(), record }, true))
}

/// Digest of all that decides what the folder holds.
fn key(packages: &[Package], wanted: &Wanted<'_>) -> Result<Sha256> {
    let mut text = format!("4 {} {} {:?}\n", wanted.host.name, wanted.trust.identity(), wanted.targets);
    for package in packages {
        let digest = match &package.promise {
            Some(promise) => promise.digest.clone(),
            None => File::open(&package.path)
                .and_then(Sha256::of_reader)
                .with_context(|| format!("reading the package {}", package.path.display()))?
                .into(),
        };
        text += &format!("{} {}\n", digest.hex(), package.name);
    }
    Ok(Sha256::of(text.as_bytes()))
}

/// Takes the packages in parallel, largest first.
fn extract_all(packages: &[Package], wanted: &Wanted<'_>, dir: &Path, key: Sha256) -> Result<Record> {
    for folder in ["emulators", "binfmt.d", "licenses"] {
        fs::create_dir(dir.join(folder)).context("making the folder of extracted files")?;
    }
    let size = |package: &Package| fs::metadata(&package.path).map_or(0, |metadata| metadata.len());
    // The largest first, so that none is left over at the end for one worker alone.
    let mut queue: Vec<_> = packages.iter().map(|package| (size(package), package)).collect();
    queue.sort_by_key(|&(size, _)| std::cmp::Reverse(size));
    let bar = progress::bytes(queue.iter().map(|&(size, _)| size).sum(), "extracting");
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let shares = parallel::each(&queue, workers, |&(size, package)| {
        let share = extract(package, wanted, dir)?;
        bar.inc(size);
        Ok(share)
    })?;
    let mut record = Record { key, packages: vec![], emulators: vec![], confs: vec![], licences: vec![] };
    for Extracted { proof, emulators, confs, licences } in shares {
        record.packages.push(proof);
        record.emulators.extend(emulators);
        record.confs.extend(confs);
        record.licences.extend(licences);
    }
    record.packages.sort_by(|a, b| a.nevra.cmp(&b.nevra));
    record.emulators.sort_by(|a, b| a.target.cmp(&b.target));
    record.confs.sort();
    record.licences.sort();
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
    let (file, proof) = verify::rpm(package, wanted.trust, wanted.host)?;
    let mut sink = Sink::new(package, wanted, dir, proof);
    entries(file, Limits::PACKAGE, |path, is_file, size, content| {
        let Some(item) = Item::of(path, wanted.targets) else { return Ok(()) };
        sink.take(&item, is_file, size, content)
    })
    .with_context(|| format!("unpacking {}", package.name))?;
    Ok(sink.extracted)
}

/// Debian's packages: apt has verified them, dpkg opens them, and the same allow-list holds.
fn extract_deb(package: &Package, wanted: &Wanted<'_>, dir: &Path) -> Result<Extracted> {
    let (file, proof) = verify::deb(package)?;
    let mut sink = Sink::new(package, wanted, dir, proof);
    let mut dpkg = Command::new("dpkg-deb")
        .args(["--fsys-tarfile", "-"])
        .stdin(file)
        .stdout(Stdio::piped())
        // Of a failure in here, our own line is the one to be read.
        .stderr(Stdio::null())
        .spawn()
        .context("running dpkg-deb")?;
    let result = dpkg.stdout.take().context("reading from dpkg-deb").and_then(|tar| sink.take_all(tar, wanted.targets));
    let status = dpkg.wait().context("waiting for dpkg-deb")?;
    result?;
    if !status.success() {
        bail!("unpacking {}: dpkg-deb failed; the package is damaged", package.name);
    }
    Ok(sink.extracted)
}
