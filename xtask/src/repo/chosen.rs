//! A package that is wanted, as its repository's list describes it: what is fetched, and what `fetch.lock` holds.

use anyhow::{Context, Result};
use codegen::table::Emulator;
use serde::{Deserialize, Serialize};

use super::primary::Entry;
use super::{Promise, check_href, check_word};

/// One wanted package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Its name.
    pub name: String,
    /// Name, epoch, version, release, architecture: `qemu-user-static-arm-2:11.1.3-1.fc45.x86_64`.
    pub nevra: String,
    /// QEMU's version alone.
    pub version: String,
    /// The source package: `qemu-11.1.3-1.fc45.src.rpm`.
    pub source: String,
    /// What the file must be.
    #[serde(flatten)]
    pub promise: Promise,
    /// Which repository lists it.
    pub repository: String,
    /// Path below the repository's root.
    pub href: String,
    /// QEMU's names of the targets whose emulators it holds, as the list says; sorted.
    pub targets: Vec<String>,
}

impl Chosen {
    /// Of an entry of a repository's list.
    ///
    /// # Errors
    /// If the list promises nothing of the package.
    pub fn of(entry: &Entry, repository: &str) -> Result<Self> {
        let promise = entry.promise.clone().with_context(|| format!("nothing is promised of {}", entry.name))?;
        let emulators = entry.files.iter().filter_map(|path| Emulator::from_file_name(path.strip_prefix("/usr/bin/")?));
        let mut targets: Vec<_> = emulators.map(|emulator| emulator.target).collect();
        targets.sort();
        targets.dedup();
        Ok(Self {
            name: entry.name.clone(),
            nevra: format!("{}-{}:{}-{}.{}", entry.name, entry.epoch, entry.version, entry.release, entry.arch),
            version: entry.version.clone(),
            source: entry.source_rpm.clone(),
            promise,
            repository: repository.into(),
            href: entry.href.clone(),
            targets,
        })
    }

    /// Whether it matters for the wanted targets: it holds one of their emulators, or none at all (licence texts).
    pub fn is_wanted(&self, targets: &[String]) -> bool {
        targets.is_empty() || self.targets.is_empty() || self.targets.iter().any(|target| targets.contains(target))
    }

    /// That names and paths are what such have: `fetch.lock` is a file that anybody may have written.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<()> {
        check_word(&self.name)?;
        check_word(&self.version)?;
        check_href(&self.href)?;
        Ok(())
    }

    /// What tells two builds of a package apart: `2:11.1.3-1.fc45`.
    pub fn evr(&self) -> &str {
        let end = self.nevra.strip_prefix(self.name.as_str()).unwrap_or(&self.nevra);
        let end = end.trim_start_matches('-');
        end.rsplit_once('.').map_or(end, |(evr, _)| evr)
    }
}
