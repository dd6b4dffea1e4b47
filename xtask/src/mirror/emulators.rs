//! The static emulators that a machine has. Only finds and checks them; packaging is for others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use codegen::elf;
use codegen::table;
use codegen::targets::{TARGETS, Target};
use object::read::ReadCache;

use crate::system;

/// One emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emulator {
    /// QEMU's name of its target.
    pub target: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, in seconds since 1970.
    pub modified: i64,
    /// What its headers say.
    pub facts: elf::Facts,
}

/// Finds `qemu-X-static` in a folder, sorted by target; of these only the wanted ones, where some are named.
///
/// # Errors
/// If there are none, or not all wanted ones, or one is not a static executable of a machine that we know.
pub fn find(folder: &Path, wanted: Option<&[String]>) -> Result<Vec<Emulator>> {
    let mut emulators = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with("-static")) else { continue };
        let Some(table::Emulator { target }) = table::Emulator::from_file_name(name) else { continue };
        if wanted.is_none_or(|wanted| wanted.contains(&target)) {
            let path = entry.path();
            emulators.push(read(target, &path).with_context(|| format!("reading {}", path.display()))?);
        }
    }
    emulators.sort_by(|one, other| one.target.cmp(&other.target));
    let absent = |target: &&String| !emulators.iter().any(|emulator| emulator.target == **target);
    if let Some(target) = wanted.unwrap_or_default().iter().find(absent) {
        bail!("no emulator qemu-{target}-static in {}", folder.display());
    }
    ensure!(
        !emulators.is_empty(),
        "no emulators qemu-*-static in {}; install qemu-user-static, or name their folder with --emulators",
        folder.display()
    );
    Ok(emulators)
}

fn read(target: String, path: &Path) -> Result<Emulator> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    let facts = elf::facts(&ReadCache::new(file))?;
    facts.check_emulator(host_of(&facts)?)?;
    Ok(Emulator { target, path: path.into(), size: metadata.len(), modified: metadata.mtime(), facts })
}

/// The machine that all of them run on.
///
/// # Errors
/// If they are of different machines.
pub fn host(emulators: &[Emulator]) -> Result<&'static Target> {
    let first = emulators.first().context("no emulators")?;
    let host = host_of(&first.facts)?;
    for emulator in emulators {
        emulator.facts.check_emulator(host).with_context(|| format!("reading {}", emulator.path.display()))?;
    }
    Ok(host)
}

fn host_of(facts: &elf::Facts) -> Result<&'static Target> {
    let identity = (facts.class, facts.endian, facts.machine);
    TARGETS
        .iter()
        .find(|target| (target.class, target.endian, target.machines[0].number) == identity)
        .with_context(|| format!("made for a machine that is not known (e_machine {:#x})", facts.machine))
}

/// QEMU's version, as the first of them tells it.
///
/// # Errors
/// If it does not run, or says something else.
pub fn version(emulators: &[Emulator]) -> Result<String> {
    let path = &emulators.first().context("no emulators")?.path;
    let said = system::run(Command::new(path).arg("--version"))?.stdout;
    let said = String::from_utf8_lossy(&said);
    // "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)"
    let version = said.split_whitespace().skip_while(|word| *word != "version").nth(1);
    let version = version.filter(|version| version.starts_with(|first: char| first.is_ascii_digit()));
    // What RPM calls 11.1.0~rc1 is 11.1.0-rc1 in QEMU's words.
    version
        .map(|version| version.replace('-', "~"))
        .with_context(|| format!("{} --version names no version: {}", path.display(), said.trim()))
}
