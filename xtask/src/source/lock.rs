//! `fetch.lock`: the packages that `--locked` takes, as sorted JSON. `cargo xtask update` writes it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::repo::resolved_package::ResolvedPackage;
use crate::workspace::atomic_dir;

pub(crate) const FILE: &str = "fetch.lock";

/// Raised when older programs would misread it.
const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    version: u32,
    pub(crate) hosts: BTreeMap<String, Locked>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Locked {
    /// Where the packages come from: `Fedora 45`, or the repository's place.
    pub(crate) origin: String,
    /// Fedora's release; none for another repository.
    pub(crate) release: Option<String>,
    pub(crate) packages: Vec<ResolvedPackage>,
}

impl Default for Lock {
    fn default() -> Self {
        Self { version: VERSION, hosts: BTreeMap::new() }
    }
}

impl Lock {
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let context = || format!("reading {}", path.display());
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.with_context(context)?,
        };
        #[derive(Deserialize)]
        struct Start {
            version: u32,
        }
        let start: Start = serde_json::from_slice(&bytes).with_context(context)?;
        ensure!(
            start.version == VERSION,
            "{} is of version {}, this program knows version {VERSION}; use the program that wrote it, or \
             `cargo xtask update`",
            path.display(),
            start.version
        );
        let lock: Self = serde_json::from_slice(&bytes).with_context(context)?;
        for chosen in lock.hosts.values().flat_map(|locked| &locked.packages) {
            chosen.check().with_context(context)?;
        }
        Ok(Some(lock))
    }

    pub(crate) fn of_host(path: &Path, host: &str) -> Result<Locked> {
        let Some(mut lock) = Self::read(path)? else {
            bail!("there is no {}, which --locked goes by; `cargo xtask update` writes it", path.display());
        };
        lock.hosts.remove(host).with_context(|| {
            format!("{} holds nothing for {host}; run `cargo xtask update --host {host}`", path.display())
        })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).context("writing a lock")?;
        text.push('\n');
        atomic_dir::write(path, text.as_bytes())
    }
}
