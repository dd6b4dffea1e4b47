//! Emulators, conf lines and licence texts out of packages: verified, by an allow-list, under names chosen here.
//!
//! All into a temporary folder that gets its name when everything in it is good, together with a record of what came
//! from where. Nothing else of a package is written anywhere.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use codegen::table::{Conf, Emulator};
use codegen::{elf, rule, targets};
use object::ReadCache;
use rpm::{FileType, PackageReader};
use serde::{Deserialize, Serialize};

use crate::digest::{Hasher, Sha256};
use crate::host::Host;
use crate::package::{Format, Package};
use crate::partial::Partial;
use crate::verify::{self, Proof, Trust};
use crate::{parallel, progress};

/// Largest accepted emulator, in bytes; the largest known has 20 MB, an unstripped one 60 MB.
const LARGEST_EMULATOR: u64 = 256 << 20;

/// Largest accepted conf file or licence text, in bytes; the largest known has 35 kB.
const LARGEST_TEXT: u64 = 1 << 20;

/// Name of the record inside the folder.
const RECORD: &str = "record.json";

/// What the folder holds, and what it was made from.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Digest of all that decided its content.
    key: Sha256,
    /// The packages, sorted by name.
    pub packages: Vec<Proof>,
    /// The emulators, sorted by target.
    pub emulators: Vec<EmulatorRecord>,
    /// Paths of the conf files below the folder, sorted.
    pub confs: Vec<String>,
    /// Paths of the licence texts below the folder, sorted.
    pub licences: Vec<String>,
}

/// One emulator in the folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmulatorRecord {
    /// QEMU's name of its target.
    pub target: String,
    /// Path below the folder.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// Digest of its content.
    pub sha256: Sha256,
    /// GNU build id, in hexadecimal digits.
    pub build_id: Option<String>,
    /// Which of [`Record::packages`] it comes from.
    pub nevra: String,
}

/// A folder of extracted files.
#[derive(Debug)]
pub struct Stage {
    /// The folder.
    pub dir: PathBuf,
    /// What is in it.
    pub record: Record,
}

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

/// Verifies `packages` and extracts them into `dir`. If `dir` was made from the same before, nothing is done. The caller
/// holds the [`lock`](crate::partial::lock) of `dir`.
///
/// # Errors
/// The first package that fails a check, or holds an emulator that would not run. `dir` is then as it was.
pub fn stage(packages: &[Package], wanted: &Wanted<'_>, dir: &Path) -> Result<(Stage, bool)> {
    let key = key(packages, wanted)?;
    if let Some(record) = read_record(dir).filter(|record| record.key == key && record.is_whole(dir)) {
        return Ok((Stage { dir: dir.into(), record }, false));
    }
    let partial = Partial::begin(dir, |dir| read_record(dir).is_some())?;
    let record = extract_all(packages, wanted, partial.path(), key)?;
    let text = serde_json::to_vec_pretty(&record).context("writing the record of extracted files")?;
    fs::write(partial.path().join(RECORD), text).context("writing the record of extracted files")?;
    partial.finish()?;
    Ok((Stage { dir: dir.into(), record }, true))
}

/// Digest of all that decides what the folder holds.
fn key(packages: &[Package], wanted: &Wanted<'_>) -> Result<Sha256> {
    let mut text = format!("2 {} {} {:?}\n", wanted.host.name, wanted.trust.identity(), wanted.targets);
    for package in packages {
        let sha256 = match &package.promise {
            Some(promise) => promise.sha256.clone(),
            None => File::open(&package.path)
                .and_then(Sha256::of_reader)
                .with_context(|| format!("reading the package {}", package.path.display()))?,
        };
        text += &format!("{sha256} {}\n", package.name);
    }
    Ok(Sha256::of(text.as_bytes()))
}

fn read_record(dir: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()
}

impl Record {
    /// Whether all that is recorded is there. What the emulators hold is checked when they are used.
    fn is_whole(&self, dir: &Path) -> bool {
        let size = |path: &String| fs::metadata(dir.join(path)).map(|metadata| metadata.len()).ok();
        self.emulators.iter().all(|emulator| size(&emulator.path) == Some(emulator.size))
            && self.confs.iter().chain(&self.licences).all(|path| size(path).is_some())
    }

    /// Fingerprints of the keys whose signatures were good.
    pub fn signers(&self) -> Vec<&str> {
        let mut signers: Vec<_> = self.packages.iter().filter_map(|proof| proof.signer.as_deref()).collect();
        signers.sort_unstable();
        signers.dedup();
        signers
    }
}

/// One package's share of the record.
struct Extracted {
    proof: Proof,
    emulators: Vec<EmulatorRecord>,
    confs: Vec<String>,
    licences: Vec<String>,
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
    let (file, proof) = verify::rpm(package, wanted.trust)?;
    let context = || format!("unpacking {}", package.name);
    let mut sink = Sink::new(package, wanted, dir, proof);
    let mut reader = PackageReader::parse(BufReader::with_capacity(1 << 17, file)).with_context(context)?;
    while let Some(mut entry) = reader.next_file().with_context(context)? {
        let path = entry.metadata.path();
        let is_file = entry.metadata.mode().file_type() == FileType::Regular && entry.has_payload();
        let size = entry.metadata.size() as u64;
        if let Some(item) = path.to_str().and_then(|path| Item::of(path, wanted.targets)) {
            sink.take(&item, is_file, size, &mut entry)?;
        }
        entry.finish().with_context(context)?;
    }
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

/// A file of a package that is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Emulator(Emulator),
    Conf { target: String },
    Licence { folder: String, name: String },
}

impl Item {
    /// The allow-list. Names must be plain, and none is used to write a file without being taken apart first.
    fn of(path: &str, targets: &[String]) -> Option<Self> {
        let selected = |target: &str| targets.is_empty() || targets.iter().any(|wanted| wanted == target);
        let (folder, name) = path.rsplit_once('/')?;
        match folder {
            "/usr/bin" => {
                let emulator = Emulator::from_file_name(name)?;
                selected(&emulator.target).then_some(Self::Emulator(emulator))
            }
            // Debian 13 keeps the files themselves in the second and links to them from the first.
            "/usr/lib/binfmt.d" | "/usr/share/qemu/binfmt.d" => {
                let entry = Emulator::from_file_name(name.strip_suffix(".conf")?)?.target;
                let target = targets::by_entry_name(&entry).map_or(entry.as_str(), |(target, _)| target.qemu);
                selected(target).then_some(Self::Conf { target: entry })
            }
            _ => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
                let parent = folder.strip_prefix("/usr/share/licenses/");
                let debian = folder.strip_prefix("/usr/share/doc/").filter(|_| name == "copyright");
                let package = parent.or(debian)?;
                let good = |text: &str| !text.is_empty() && !text.starts_with('.') && text.bytes().all(plain);
                (package.starts_with("qemu-user") && good(package) && good(name))
                    .then(|| Self::Licence { folder: package.into(), name: name.into() })
            }
        }
    }
}

/// Writes what comes out of one package.
struct Sink<'a> {
    package: &'a Package,
    host: Host,
    dir: &'a Path,
    extracted: Extracted,
}

impl<'a> Sink<'a> {
    fn new(package: &'a Package, wanted: &Wanted<'_>, dir: &'a Path, proof: Proof) -> Self {
        let extracted = Extracted { proof, emulators: vec![], confs: vec![], licences: vec![] };
        Self { package, host: wanted.host, dir, extracted }
    }

    fn take(&mut self, item: &Item, is_file: bool, size: u64, content: &mut dyn Read) -> Result<()> {
        let package = &self.package.name;
        let (relative, limit, mode) = match item {
            Item::Emulator(emulator) => (format!("emulators/{}", emulator.file_name()), LARGEST_EMULATOR, 0o755),
            Item::Conf { target } => (format!("binfmt.d/qemu-{target}.conf"), LARGEST_TEXT, 0o644),
            Item::Licence { folder, name } => (format!("licenses/{folder}/{name}"), LARGEST_TEXT, 0o644),
        };
        let context = || format!("unpacking {relative} of {package}");
        if !is_file || size > limit {
            bail!("unpacking {package}: {relative} is not a plain file of at most {limit} bytes");
        }
        let path = self.dir.join(&relative);
        if let Item::Licence { folder, .. } = item {
            fs::create_dir_all(self.dir.join("licenses").join(folder)).with_context(context)?;
        }
        let mut file = match fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("unpacking {package}: another package holds {relative} too; keep only one build of each package")
            }
            other => other.with_context(context)?,
        };
        let (written, sha256) = copy(content, &mut file, limit).with_context(context)?;
        if written != size {
            bail!("unpacking {package}: {relative} has {written} bytes, the header says {size}");
        }
        match item {
            Item::Emulator(emulator) => {
                let build_id = self.check_emulator(emulator, &path)?;
                self.extracted.emulators.push(EmulatorRecord {
                    target: emulator.target.clone(),
                    path: relative,
                    size,
                    sha256,
                    build_id,
                    nevra: self.extracted.proof.nevra.clone(),
                });
            }
            Item::Conf { .. } => {
                read_conf(self.dir, &relative).with_context(|| format!("the rules of {package}"))?;
                self.extracted.confs.push(relative);
            }
            Item::Licence { .. } => self.extracted.licences.push(relative),
        }
        Ok(())
    }

    /// Takes what is wanted of a tar archive, and reads it to its end.
    fn take_all(&mut self, tar: impl Read, targets: &[String]) -> Result<()> {
        let package = self.package.name.clone();
        let context = || format!("unpacking {package}");
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 17, tar));
        for entry in archive.entries().with_context(context)? {
            let mut entry = entry.with_context(context)?;
            let path = entry.path().with_context(context)?.to_string_lossy().trim_start_matches('.').to_owned();
            let (is_file, size) = (entry.header().entry_type().is_file(), entry.size());
            // Later releases ship links from the old names to the emulators: those carry no bytes of their own.
            let is_link = entry.header().entry_type().is_symlink();
            if let Some(item) = Item::of(&path, targets).filter(|_| !is_link) {
                self.take(&item, is_file, size, &mut entry)?;
            }
        }
        io::copy(&mut archive.into_inner(), &mut io::sink()).with_context(context)?;
        Ok(())
    }

    /// That it is a static executable of the host; its build id.
    fn check_emulator(&self, emulator: &Emulator, path: &Path) -> Result<Option<String>> {
        let context = || format!("{} of {}", emulator.file_name(), self.package.name);
        let host = self.host.target().with_context(context)?;
        let cache = ReadCache::new(File::open(path).with_context(context)?);
        let facts = elf::facts(&cache).with_context(context)?;
        facts.check_emulator(host).with_context(context)?;
        Ok(facts.build_id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

/// The rules of an extracted conf file.
///
/// # Errors
/// If it holds a line that the kernel would refuse.
pub fn read_conf(dir: &Path, relative: &str) -> Result<Vec<Conf>> {
    let context = || format!("reading {relative}");
    let bytes = fs::read(dir.join(relative)).with_context(context)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| anyhow!("not UTF-8 text; other bytes are written as \\x.."))
        .with_context(context)?;
    let rules = rule::parse_conf(relative, &text)?;
    Ok(rules.into_iter().map(|rule| Conf { file: relative.to_owned(), rule }).collect())
}

/// Copies at most `limit` bytes and one; their number and digest.
fn copy(from: &mut dyn Read, to: &mut File, limit: u64) -> io::Result<(u64, Sha256)> {
    let mut from = from.take(limit + 1);
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 18];
    let mut written = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok((written, hasher.finish())),
            length => {
                to.write_all(&buffer[..length])?;
                hasher.update(&buffer[..length]);
                written += length as u64;
            }
        }
    }
}

impl Stage {
    /// The package that an emulator comes from.
    pub fn proof_of(&self, emulator: &EmulatorRecord) -> Option<&Proof> {
        self.record.packages.iter().find(|proof| proof.nevra == emulator.nevra)
    }
}

#[cfg(test)]
mod tests {
    use super::Item;

    #[test]
    fn only_listed_files_come_out() {
        for path in [
            "/usr/bin/qemu-aarch64-static",
            "/usr/bin/qemu-aarch64",
            "/usr/lib/binfmt.d/qemu-i486-static.conf",
            "/usr/share/qemu/binfmt.d/qemu-arm.conf",
            "/usr/share/licenses/qemu-user-static/COPYING.LIB",
            "/usr/share/doc/qemu-user-static/copyright",
        ] {
            assert!(Item::of(path, &[]).is_some(), "{path}");
        }
        for path in [
            "/usr/bin/qemu-../../../etc/passwd-static",
            "/usr/bin/qemu-a b-static",
            "/usr/bin/python3",
            "/usr/sbin/qemu-aarch64-static",
            "/usr/share/systemtap/tapset/qemu-aarch64-static.stp",
            "/usr/lib/.build-id/ab/cdef",
            "/usr/lib/binfmt.d/python3.11.conf",
            "/usr/share/licenses/qemu-user-static/../../../../etc/cron.d/x",
            "/usr/share/licenses/qemu-user-static/.hidden",
            "/usr/share/licenses/other/COPYING",
            "/usr/share/doc/qemu-user-static/changelog.gz",
            "qemu-aarch64-static",
        ] {
            assert_eq!(Item::of(path, &[]), None, "{path}");
        }
    }

    #[test]
    fn a_selection_takes_all_entries_of_its_targets() {
        let targets = ["i386".to_owned()];
        assert!(Item::of("/usr/lib/binfmt.d/qemu-i486-static.conf", &targets).is_some());
        assert!(Item::of("/usr/bin/qemu-i386-static", &targets).is_some());
        assert!(Item::of("/usr/bin/qemu-arm-static", &targets).is_none());
    }
}
