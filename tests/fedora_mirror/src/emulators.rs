//! The static emulators that a machine has. Only finds and checks them; packaging is for others.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use codegen::targets::{self, TARGETS, Target};
use codegen::{elf, probe, table};
use object::read::ReadCache;

use test_groups::emulators;

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

/// Finds `qemu-X-static` in a folder, or `qemu-X` where that is static, sorted by target; of these only the wanted ones,
/// where some are named.
///
/// # Errors
/// If there are none, or not all wanted ones, or one is not a static executable of a machine that we know.
pub fn find(folder: &Path, wanted: Option<&[String]>) -> Result<Vec<Emulator>> {
    let mut targets = BTreeSet::new();
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let name = entry.with_context(|| format!("listing {}", folder.display()))?.file_name();
        targets.extend(name.to_str().and_then(table::Emulator::from_file_name).map(|emulator| emulator.target));
    }
    let mut emulators = Vec::new();
    for target in targets.into_iter().filter(|target| wanted.is_none_or(|wanted| wanted.contains(target))) {
        let named_static = folder.join(format!("qemu-{target}-static"));
        // Whatever else begins with `qemu-` is not asked for, nor a dynamic emulator.
        let Some(path) = Some(named_static).filter(|path| path.exists()).or(emulators::emulator_in(folder, &target))
        else {
            continue;
        };
        emulators.push(read(target, &path).with_context(|| format!("reading {}", path.display()))?);
    }
    let absent = |target: &&String| !emulators.iter().any(|emulator| emulator.target == **target);
    if let Some(target) = wanted.unwrap_or_default().iter().find(absent) {
        bail!("no static emulator qemu-{target}-static or qemu-{target} in {}", folder.display());
    }
    ensure!(
        !emulators.is_empty(),
        "no static emulators of QEMU in {}; install qemu-user-static (Debian 14: qemu-user), or name their folder with \
         --emulators",
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

/// QEMU's version, as the first of them holds it for its `--version`. It is not run: it may be another machine's.
///
/// # Errors
/// If it cannot be read, or holds none.
pub fn version(emulators: &[Emulator]) -> Result<String> {
    let path = &emulators.first().context("no emulators")?.path;
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    // What RPM calls 11.1.0~rc1 is 11.1.0-rc1 in QEMU's words.
    version_in(&bytes)
        .map(|version| version.replace('-', "~"))
        .with_context(|| format!("no version of QEMU in {} (\"qemu-X version N\")", path.display()))
}

/// `7.2.22` of the text `qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)` in a binary.
fn version_in(bytes: &[u8]) -> Option<&str> {
    const MARK: &[u8] = b" version ";
    let is_version = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let mut places = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    places.find_map(|(at, _)| {
        let start = bytes[..at].iter().rposition(|byte| !byte.is_ascii_graphic()).map_or(0, |before| before + 1);
        let version = &bytes[at + MARK.len()..];
        let version = &version[..version.iter().position(|byte| !is_version(byte)).unwrap_or(version.len())];
        let is_it = bytes[start..at].starts_with(b"qemu-") && version.first().is_some_and(u8::is_ascii_digit);
        std::str::from_utf8(version).ok().filter(|_| is_it)
    })
}

/// Writes files that pass for emulators of a host, where there are no real ones: programs that exit, and hold a version.
///
/// # Errors
/// If there is no such host, or they cannot be written.
pub fn write_fake_emulators(folder: &Path, host: &str, targets: &[&str], version: &str) -> Result<()> {
    let host = targets::by_qemu_name(host).with_context(|| format!("no architecture {host}"))?;
    for target in targets {
        let mut program = probe::executable(host, host.machines[0]).context("making a program")?;
        program.extend(format!("\0qemu-{target} version {version}\n\0").bytes());
        let path = folder.join(format!("qemu-{target}-static"));
        fs::write(&path, program).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn the_version_is_found_among_other_text() {
        for (bytes, expected) in [
            (&b"\0qemu-arm version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopy\0"[..], Some("7.2.22")),
            (b"the version 3 of it\0qemu-s390x version 11.1.0-rc1\0", Some("11.1.0-rc1")),
            (b"qemu-%s version 11.1.3", Some("11.1.3")),
            (b"qemu-arm version unknown\0API version 2", None),
            (b"", None),
        ] {
            assert_eq!(version_in(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
