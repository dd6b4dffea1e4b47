//! Writes what comes out of one package, under names chosen here, and checks it on the way.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use codegen::elf;
use codegen::table::Emulator;
use object::ReadCache;

use super::Wanted;
use super::item::Item;
use super::record::{EmulatorRecord, TextRecord};
use crate::digest::{Hasher, Sha256};
use crate::host::Host;
use crate::package::Package;
use crate::verify::Proof;

/// Largest accepted emulator, in bytes; the largest known has 20 MB, an unstripped one 60 MB.
const LARGEST_EMULATOR: u64 = 256 << 20;

/// Largest accepted conf file or licence text, in bytes; the largest known has 35 kB.
const LARGEST_TEXT: u64 = 1 << 20;

/// One package's share of the record.
pub(super) struct Extracted {
    pub(super) proof: Proof,
    pub(super) emulators: Vec<EmulatorRecord>,
    pub(super) confs: Vec<TextRecord>,
    pub(super) licences: Vec<TextRecord>,
}

impl Extracted {
    fn holds(&self, relative: &str) -> bool {
        let texts = self.confs.iter().chain(&self.licences).map(|text| text.path.as_str());
        self.emulators.iter().map(|emulator| emulator.path.as_str()).chain(texts).any(|path| path == relative)
    }
}

/// Writes what comes out of one package.
pub(super) struct Sink<'a> {
    package: &'a Package,
    host: Host,
    dir: &'a Path,
    pub(super) extracted: Extracted,
}

impl<'a> Sink<'a> {
    pub(super) fn new(package: &'a Package, wanted: &Wanted<'_>, dir: &'a Path, proof: Proof) -> Self {
        let extracted = Extracted { proof, emulators: vec![], confs: vec![], licences: vec![] };
        Self { package, host: wanted.host, dir, extracted }
    }

    /// Takes one file.
    pub(super) fn take(&mut self, item: &Item, is_file: bool, size: u64, content: &mut dyn Read) -> Result<()> {
        let (mut relative, limit, mode) = match item {
            Item::Emulator(emulator) => (format!("emulators/{}", emulator.file_name()), LARGEST_EMULATOR, 0o755),
            Item::Conf { target } => (format!("binfmt.d/qemu-{target}.conf"), LARGEST_TEXT, 0o644),
            Item::Licence { folder, name } => (format!("licenses/{folder}/{name}"), LARGEST_TEXT, 0o644),
        };
        // Fedora and Debian name the files differently. That there are two is for the check of witnesses to say.
        if let Item::Conf { target } = item {
            let mut others = (2..).map(|number| format!("binfmt.d/qemu-{target}.{number}.conf"));
            while self.extracted.holds(&relative) {
                relative = others.next().unwrap_or_default();
            }
        }
        let context = || format!("copying {relative}");
        if !is_file || size > limit {
            bail!("{relative} is not a plain file of at most {limit} bytes");
        }
        let path = self.dir.join(&relative);
        if let Item::Licence { folder, .. } = item {
            fs::create_dir_all(self.dir.join("licenses").join(folder)).with_context(context)?;
        }
        let mut file = match fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.extracted.holds(&relative) => {
                bail!("it holds {relative} twice; do not use it")
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("another package holds {relative} too; keep only one build of each package")
            }
            other => other.with_context(context)?,
        };
        let (written, sha256) = copy(content, &mut file, limit).with_context(context)?;
        if written != size {
            bail!("{relative} has {written} bytes, the header says {size}");
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
            // Whether it is a good witness is judged with the others.
            Item::Conf { .. } => self.extracted.confs.push(TextRecord { path: relative, size, sha256 }),
            Item::Licence { .. } => self.extracted.licences.push(TextRecord { path: relative, size, sha256 }),
        }
        Ok(())
    }

    /// Takes what is wanted of a tar archive, and reads it to its end.
    pub(super) fn take_all(&mut self, tar: impl Read, targets: &[String]) -> Result<()> {
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
                self.take(&item, is_file, size, &mut entry).with_context(context)?;
            }
        }
        io::copy(&mut archive.into_inner(), &mut io::sink()).with_context(context)?;
        Ok(())
    }

    /// That it is a static executable of the host; its build id.
    fn check_emulator(&self, emulator: &Emulator, path: &Path) -> Result<Option<String>> {
        let context = || emulator.file_name();
        let host = self.host.target().with_context(context)?;
        let cache = ReadCache::new(File::open(path).with_context(context)?);
        let facts = elf::facts(&cache).with_context(context)?;
        facts.check_emulator(host).with_context(context)?;
        Ok(facts.build_id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
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
