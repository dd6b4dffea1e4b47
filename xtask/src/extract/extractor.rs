//! Writes what comes out of one package, under names chosen here, and checks it on the way.

use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use codegen::table::Emulator;
use codegen::targets;

use super::ExtractRequest;
use super::listing::{FileDigest, Kind, Listed};
use super::record::{EmulatorRecord, TextRecord};
use super::wanted_file::WantedFile;
use crate::system::host::Host;
use crate::verify::VerifiedPackage;
use crate::verify::digest::{Algorithm, BUFFER, Digest, Hashed, Hashing};
use crate::verify::package::Package;

/// Largest accepted emulator, in bytes; the largest known has 20 MB, an unstripped one 60 MB.
const LARGEST_EMULATOR: u64 = 256 << 20;

/// Largest accepted conf file or license file, in bytes; the largest known has 35 kB.
const LARGEST_TEXT: u64 = 1 << 20;

#[derive(Debug)]
pub struct Extracted {
    pub(crate) verified: VerifiedPackage,
    pub(crate) emulators: Vec<EmulatorRecord>,
    pub(crate) confs: Vec<TextRecord>,
    pub(crate) licenses: Vec<TextRecord>,
    /// Symbolic links in the place of emulators, which are passed over.
    pub(super) links: Vec<Link>,
}

/// A symbolic link in the place of an emulator: later releases have links from the old names to the emulators.
#[derive(Debug)]
pub(super) struct Link {
    target: String,
    to: String,
}

impl Link {
    /// That what it stands for is one of these emulators; for a name that is no target's, such as `i486`, what it leads to.
    pub(super) fn check(&self, emulators: &[EmulatorRecord]) -> Result<()> {
        let name = self.to.rsplit('/').next().and_then(Emulator::from_file_name);
        let is_there = |target: &str| emulators.iter().any(|emulator| emulator.target == target);
        let is_other = targets::by_qemu_name(&self.target).is_none();
        if is_there(&self.target) || is_other && name.is_some_and(|emulator| is_there(&emulator.target)) {
            return Ok(());
        }
        let name = Emulator { target: self.target.clone() }.file_name();
        bail!("{name} is a link to {:?}, and no package holds the emulator itself", self.to)
    }
}

impl Extracted {
    fn holds(&self, relative: &str) -> bool {
        let texts = self.confs.iter().chain(&self.licenses).map(|text| text.path.as_str());
        self.emulators.iter().map(|emulator| emulator.path.as_str()).chain(texts).any(|path| path == relative)
    }
}

pub(super) struct Extractor<'a> {
    package: &'a Package,
    host: Host,
    targets: &'a [String],
    dir: &'a Path,
    pub(super) extracted: Extracted,
}

impl<'a> Extractor<'a> {
    pub(super) fn new(
        package: &'a Package,
        wanted: &ExtractRequest<'a>,
        dir: &'a Path,
        verified: VerifiedPackage,
    ) -> Self {
        let extracted = Extracted { verified, emulators: vec![], confs: vec![], licenses: vec![], links: vec![] };
        Self { package, host: wanted.host, targets: wanted.targets, dir, extracted }
    }

    /// Takes one file if it is wanted. A link is none: it carries no bytes of its own.
    pub(super) fn accept(&mut self, file: &Listed, content: &mut dyn Read) -> Result<()> {
        let Some(item) = WantedFile::of(&file.path, self.targets) else { return Ok(()) };
        let (item, size) = (&item, file.size);
        if let Kind::Link(to) = &file.kind {
            if let WantedFile::Emulator(emulator) = item {
                self.extracted.links.push(Link { target: emulator.target.clone(), to: to.clone() });
            }
            return Ok(());
        }
        let (mut relative, limit, mode) = match item {
            WantedFile::Emulator(emulator) => (format!("emulators/{}", emulator.file_name()), LARGEST_EMULATOR, 0o755),
            WantedFile::Conf { target } => (format!("binfmt.d/qemu-{target}.conf"), LARGEST_TEXT, 0o644),
            WantedFile::License { folder, name } => (format!("licenses/{folder}/{name}"), LARGEST_TEXT, 0o644),
        };
        // Fedora and Debian name the files differently. That there are two is for the check of witnesses to say.
        if let WantedFile::Conf { target } = item {
            let mut others = (2..).map(|number| format!("binfmt.d/qemu-{target}.{number}.conf"));
            while self.extracted.holds(&relative) {
                relative = others.next().unwrap_or_default();
            }
        }
        let context = || format!("copying {relative}");
        if file.kind != Kind::File || size > limit {
            bail!("{relative} is not a plain file of at most {limit} bytes");
        }
        // Of a Debian package the lists of apt vouch for the whole file.
        let vouched = file.digest.is_some() || self.package.stated.is_some();
        ensure!(vouched, "its header holds no digest of {}; do not use it", file.path);
        let path = self.dir.join(&relative);
        if let WantedFile::License { folder, .. } = item {
            fs::create_dir_all(self.dir.join("licenses").join(folder)).with_context(context)?;
        }
        let copied = match fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.extracted.holds(&relative) => {
                bail!("it holds {relative} twice; do not use it")
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("another package holds {relative} too; keep only one build of each package")
            }
            other => other.with_context(context)?,
        };
        let algorithm = file.digest.as_ref().map_or(Ok(Algorithm::Sha256), FileDigest::algorithm)?;
        let mut content = Hashing::new(content.take(limit + 1), algorithm);
        let mut buffer = BufWriter::with_capacity(BUFFER, copied);
        io::copy(&mut content, &mut buffer).and_then(|_| buffer.flush()).with_context(context)?;
        let (_, Hashed { size: written, sha256, listed: found }) = content.finish();
        ensure!(written == size, "{relative} has {written} bytes, the header says {size}");
        if let Some(listed) = &file.digest {
            check(&relative, listed, &found)?;
        }
        match item {
            WantedFile::Emulator(emulator) => {
                let facts = self.host.check_program(&path).with_context(|| emulator.file_name())?;
                let build_id = facts.build_id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
                self.extracted.emulators.push(EmulatorRecord {
                    target: emulator.target.clone(),
                    path: relative,
                    size,
                    sha256,
                    build_id,
                    nevra: self.extracted.verified.nevra.clone(),
                });
            }
            // Whether it is a good witness is judged with the others.
            WantedFile::Conf { .. } => self.extracted.confs.push(TextRecord { path: relative, size, sha256 }),
            WantedFile::License { .. } => self.extracted.licenses.push(TextRecord { path: relative, size, sha256 }),
        }
        Ok(())
    }

    /// That nothing is wanted of what the header lists and the archive lacks.
    pub(super) fn check_missing(&self, missing: &[Listed]) -> Result<()> {
        let is_wanted = |file: &&Listed| file.kind == Kind::File && WantedFile::of(&file.path, self.targets).is_some();
        match missing.iter().find(is_wanted) {
            Some(file) => bail!("the archive in it lacks {}, which its header lists; do not use it", file.path),
            None => Ok(()),
        }
    }

    /// Takes what is wanted of a tar archive, and reads it to its end.
    pub(super) fn accept_tar(&mut self, tar: impl Read) -> Result<()> {
        let package = self.package.name.clone();
        let context = || format!("unpacking {package}");
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 17, tar));
        for entry in archive.entries().with_context(context)? {
            let mut entry = entry.with_context(context)?;
            let path = entry.path().with_context(context)?.to_string_lossy().trim_start_matches('.').to_owned();
            let kind = match entry.header().entry_type() {
                tar::EntryType::Symlink => {
                    let to = entry.link_name().with_context(context)?;
                    Kind::Link(to.map(|to| to.to_string_lossy().into_owned()).unwrap_or_default())
                }
                kind if kind.is_file() => Kind::File,
                _ => Kind::Other,
            };
            let file = Listed { path, kind, size: entry.size(), digest: None, stored: 0, is_ghost: false };
            self.accept(&file, &mut entry).with_context(context)?;
        }
        io::copy(&mut archive.into_inner(), &mut io::sink()).with_context(context)?;
        Ok(())
    }
}

fn check(relative: &str, listed: &FileDigest, found: &Digest) -> Result<()> {
    let (name, found, expected) = (found.algorithm, found.hex(), &listed.digits);
    ensure!(
        found == expected,
        "{relative} has {name} {found}, the header that was verified says {expected:?}: the package was changed meanwhile, or \
         is damaged; do not use it"
    );
    Ok(())
}
