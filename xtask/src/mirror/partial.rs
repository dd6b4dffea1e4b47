//! The folder that a mirror is made in: put in place whole, or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::STAMP;

/// Whether this folder may be replaced: absent, empty, or made by us.
fn is_replaceable(out: &Path) -> Result<bool> {
    match fs::read_dir(out) {
        Ok(mut entries) => Ok(entries.next().is_none() || out.join(STAMP).is_file()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("reading {}", out.display())),
    }
}

/// A folder in the making: removed unless finished.
pub(super) struct Partial<'a> {
    path: PathBuf,
    out: &'a Path,
}

impl<'a> Partial<'a> {
    /// Begins what is to replace `out`.
    pub(super) fn begin(out: &'a Path) -> Result<Self> {
        ensure!(
            is_replaceable(out)?,
            "{} is neither empty nor a mirror that this command made; name another folder",
            out.display()
        );
        // Under a fixed name, so that what an interrupted run has left is found and removed.
        let mut path = out.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        remove(&path)?;
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path, out })
    }

    /// Where it is in the making.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in place.
    pub(super) fn finish(self) -> Result<()> {
        remove(self.out)?;
        fs::rename(&self.path, self.out).with_context(|| format!("putting {} in place", self.out.display()))
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing; after a failure that failure is what is told.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}
