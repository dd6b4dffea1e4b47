//! What a mirror holds for one host: its emulators, and the repositories that are made of them.

use std::path::Path;

use anyhow::Result;

use crate::emulators::{self, Emulator};
use crate::spec::{self, Spec};
use crate::{Key, Options, RELEASE_NUMBER, build, index};

/// What a mirror holds for one host.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Path of the release repository below the root, as it stands in URLs.
    pub repo_path: String,
    /// Path of the updates repository below the root; rawhide has none.
    pub updates_path: Option<String>,
    /// The architecture of the packages, by Fedora's name.
    pub host: &'static str,
    /// The emulators that the packages hold.
    pub emulators: Vec<Emulator>,
    /// QEMU's version.
    pub version: String,
}

impl Tree {
    /// Of the emulators in a folder.
    ///
    /// # Errors
    /// If they cannot be read, or are none that a mirror can be made of.
    pub(crate) fn new(folder: &Path, options: &Options) -> Result<Self> {
        let emulators = emulators::find(folder, options.targets.as_deref())?;
        let version = emulators::version(&emulators)?;
        let host = emulators::host(&emulators)?.qemu;
        let repo_path = options.kind.repo(options.release, host);
        let updates_path = options.kind.updates(options.release, host);
        Ok(Self { repo_path, updates_path, host, emulators, version })
    }

    /// What its spec file is made of.
    pub(crate) fn spec<'a>(&'a self, options: &'a Options) -> Spec<'a> {
        Spec {
            host: self.host,
            version: &self.version,
            fedora: options.release,
            payload: &options.payload,
            format: options.rpm.format(),
            families: spec::families(&self.emulators),
        }
    }

    /// Makes its repositories below `root`, with the key's package.
    pub(crate) fn make(&self, root: &Path, options: &Options, key: &Key, keys_spec: &str) -> Result<()> {
        let (spec, count) = (self.spec(options), self.emulators.len());
        let size: u64 = self.emulators.iter().map(|emulator| emulator.size).sum();
        let release = (&self.repo_path, Some(RELEASE_NUMBER));
        let updates = self.updates_path.iter().map(|path| (path, options.updates.release_number()));
        for (path, number) in std::iter::once(release).chain(updates) {
            let repo = root.join(path);
            if let Some(number) = number {
                let what = format!("packaging {count} emulators, {} MB, {}", size / 1_000_000, options.payload);
                options.step(&what, || build::packages_into(&repo, &spec, number, &options.rpm))?;
                options.step("signing", || key.sign_with(&build::packages(&repo)?, &options.rpm))?;
            }
            if *path == self.repo_path {
                key.sign_with(&[build::gpg_keys_into(&repo, keys_spec, &options.rpm)?], &options.rpm)?;
            }
            options.step(&format!("indexing {path}"), || index::write(&repo, &options.metadata, self.host))?;
        }
        Ok(())
    }
}
