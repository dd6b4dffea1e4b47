//! Skips a build whose inputs have not changed: a digest of all inputs, and of the result's paths, sizes and times, is
//! kept beside it. If the check fails, the build runs, and each step decides for itself.

use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use indicatif::HumanDuration;
use serde::{Deserialize, Serialize};

use crate::build::compile::{self, build_info};
use crate::build::rootfs;
use crate::download::Location;
use crate::source::{Request, Source};
use crate::verify::digest::Sha256;
use crate::workspace::atomic_dir;
use crate::workspace::workspace_root;

/// How long metadata count as recent; Fedora's own tools ask for updates as often.
const FRESH: Duration = Duration::from_secs(6 * 60 * 60);

/// How long a result holds that was warned of, such as another distribution's packages in place of Fedora's.
const WARNED: Duration = Duration::from_secs(10 * 60);

const RECORD: &str = "built.json";

/// What of the workspace becomes part of `registrar` or the root file system.
const SOURCES: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "rust-toolchain.toml",
    ".cargo",
    "registrar/Cargo.toml",
    "registrar/build.rs",
    "registrar/src",
];

#[derive(Serialize, Deserialize)]
struct Record {
    made_of: Sha256,
    made: Sha256,
    checked: SystemTime,
    report: BuildReport,
}

/// What a build prints, to be printed again by one that has nothing to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildReport {
    pub(crate) packages: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) summary: String,
}

#[derive(Debug)]
pub(crate) struct Check {
    record: PathBuf,
    out: PathBuf,
    made_of: Sha256,
    /// Whether servers decide what is the newest.
    ages: bool,
}

impl Check {
    /// For a build of `request` with `options`, in the working folder `work` and into `out`.
    pub(crate) fn new(request: &Request, options: &str, work: &Path, out: &Path) -> Result<Self> {
        let mut text = format!("{request:?}\n{options}\n{}\n", out.display());
        for path in SOURCES {
            contents(&workspace_root().join(path), &mut text)?;
        }
        // Part of the SBOM and the image's labels, also where no file that is compiled has changed.
        let _ = writeln!(text, "{:?}", build_info::revision(workspace_root()));
        for key in &request.keys {
            contents(key, &mut text)?;
        }
        if request.locked {
            contents(&request.lock, &mut text)?;
        }
        if let Source::Repository(Location::Folder(folder)) = &request.source {
            match folder.join("repodata/repomd.xml") {
                index if index.exists() => contents(&index, &mut text)?,
                // What links lead to is what would be read.
                _ => listing(folder, Path::metadata, &mut text)?,
            }
        }
        // This program, and the compiler that it would call.
        let programs = [std::env::current_exe().ok(), std::env::var_os("CARGO").map(PathBuf::from)];
        for program in programs.into_iter().flatten() {
            describe(&program, Path::metadata, &mut text)?;
        }
        let cargo_home = compile::cargo_home();
        for configuration in ["config.toml", "config"].map(|name| cargo_home.join(name)) {
            if configuration.exists() {
                contents(&configuration, &mut text)?;
            }
        }
        let decides = |name: &str| {
            ["CARGO_TARGET_", "CARGO_PROFILE_", "CARGO_BUILD_", "RUSTC"].iter().any(|start| name.starts_with(start))
                || ["SOURCE_DATE_EPOCH", "APT_CONFIG"].contains(&name)
        };
        let mut variables: Vec<_> = std::env::vars_os().filter(|(name, _)| decides(&name.to_string_lossy())).collect();
        variables.sort();
        let _ = writeln!(text, "{variables:?}");
        let ages = !request.locked && !matches!(request.source, Source::Repository(Location::Folder(_)));
        Ok(Self::of(&text, work, out, ages))
    }

    fn of(text: &str, work: &Path, out: &Path, ages: bool) -> Self {
        Self { record: work.join(RECORD), out: out.into(), made_of: Sha256::of(text.as_bytes()), ages }
    }

    fn record(&self) -> Option<Record> {
        let record: Record = serde_json::from_slice(&fs::read(&self.record).ok()?).ok()?;
        (record.made_of == self.made_of).then_some(record)
    }

    /// The report of the same build, if its result is there and whole, and its metadata are recent at `now` or `offline`.
    pub(crate) fn unchanged(&self, offline: bool, now: SystemTime) -> Option<BuildReport> {
        let record = self.record()?;
        let age = now.duration_since(record.checked).ok()?;
        let longest = if record.report.warnings.is_empty() { FRESH } else { WARNED };
        let holds = offline || !self.ages || age < longest;
        let is_there = || made(&self.out).is_ok_and(|made| made == record.made);
        if !holds || !is_there() {
            return None;
        }
        let checked = match self.ages {
            true if record.checked == SystemTime::UNIX_EPOCH => "; servers were not asked".to_owned(),
            true => format!("; servers were asked {} ago, --refresh asks again", HumanDuration(age)),
            false => String::new(),
        };
        let summary = format!("{}\nunchanged, nothing to do{checked}\n", record.report.summary.trim_end());
        Some(BuildReport { summary, ..record.report })
    }

    /// Records that the build is done, and when servers were asked, if they were.
    pub(crate) fn done(self, report: BuildReport, checked: Option<SystemTime>) -> Result<()> {
        let earlier = || self.record().map_or(SystemTime::UNIX_EPOCH, |record| record.checked);
        let checked = checked.unwrap_or_else(earlier);
        let record = Record { made: made(&self.out)?, made_of: self.made_of, checked, report };
        atomic_dir::write(&self.record, &serde_json::to_vec(&record).context("writing down what was built")?)
    }
}

/// Digest of paths, sizes and times of what a build makes in a folder.
fn made(out: &Path) -> Result<Sha256> {
    let mut text = String::new();
    for path in children(out)?.iter().filter(|path| path.file_name().is_some_and(rootfs::is_ours)) {
        describe(path, Path::symlink_metadata, &mut text)?;
        if path.is_dir() {
            listing(path, Path::symlink_metadata, &mut text)?;
        }
    }
    Ok(Sha256::of(text.as_bytes()))
}

/// How to look at a file: at a link, or at what it leads to.
type Look = fn(&Path) -> std::io::Result<Metadata>;

fn listing(folder: &Path, look: Look, text: &mut String) -> Result<()> {
    for path in children(folder)? {
        describe(&path, look, text)?;
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            listing(&path, look, text)?;
        }
    }
    Ok(())
}

/// Path, kind, size and times of a file. The inode's ctime cannot be set.
fn describe(path: &Path, look: Look, text: &mut String) -> Result<()> {
    let metadata = look(path).with_context(|| format!("reading {}", path.display()))?;
    let size = if metadata.is_dir() { 0 } else { metadata.len() };
    let changed = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    let _ = writeln!(text, "{} {:o} {} {size} {changed:?}", path.display(), metadata.mode(), metadata.ino());
    Ok(())
}

/// Path and digest of a file, or of all files below a folder.
fn contents(path: &Path, text: &mut String) -> Result<()> {
    if path.is_dir() {
        return children(path)?.iter().try_for_each(|child| contents(child, text));
    }
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let _ = writeln!(text, "{} {}", path.display(), Sha256::of(&bytes));
    Ok(())
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("reading {}", folder.display());
    let entries = fs::read_dir(folder).with_context(context)?;
    let mut paths =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(context)?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
