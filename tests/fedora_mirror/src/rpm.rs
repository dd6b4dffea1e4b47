//! rpm's programs: this machine's, or another distribution's, whose packages are unpacked in a folder. rpm 6 (Debian sid,
//! Fedora 43) makes packages of format 6, which the rpm 4 of Debian 12 and 13 can neither make nor sign.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use codegen::elf;
use object::read::ReadCache;
use xtask::system;

use crate::spec::Format;

/// Where rpm's programs are; this machine's, if there is no folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rpm {
    /// What is a root folder elsewhere.
    pub root: Option<PathBuf>,
}

impl Rpm {
    /// A program of rpm's. Another distribution's is started by its own loader, with its own libraries and configuration;
    /// what it starts is this machine's.
    ///
    /// # Errors
    /// If it is not there.
    pub fn command(&self, name: &str) -> Result<Command> {
        let Some(root) = &self.root else { return Ok(system::command(name)) };
        let program = root.join("usr/bin").join(name);
        let context = || format!("reading {}", program.display());
        let facts =
            elf::facts(&ReadCache::new(fs::File::open(&program).with_context(context)?)).with_context(context)?;
        let loader = facts.interpreter.with_context(|| format!("{}: no loader", program.display()))?;
        let mut command = Command::new(root.join("usr").join(loader.trim_start_matches('/')));
        command.arg("--library-path").arg(libraries(root)?).arg(&program);
        command.env("RPM_CONFIGDIR", root.join("usr/lib/rpm"));
        Ok(command)
    }

    /// The format of the packages that it makes.
    pub(crate) fn format(&self) -> Format {
        if self.root.is_some() { Format::V6 } else { Format::V4 }
    }
}

/// Debian's folder of an architecture's libraries.
fn libraries(root: &Path) -> Result<PathBuf> {
    let folder = root.join("usr/lib");
    let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = paths.find(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    found.with_context(|| format!("no libraries in {}", folder.display()))
}
