//! The list of files that `persist` put into a folder of the host, in that folder. Files that are not in it are never
//! removed.

use super::binfmt_d;
use crate::emulators::{Error, StagingDir};

pub(super) const LIST: &str = ".registrar";

const HEADER: &str = "# Files that registrar persist has put here; registrar unpersist removes them.\n";

/// The text of a file that [`super::persist`] wrote.
pub(super) fn our_text(dir: &StagingDir, name: &str) -> Result<Option<String>, Error> {
    Ok(dir.text(name)?.filter(|text| text.starts_with(binfmt_d::HEADER)))
}

/// Fails if a file of that name is not ours.
pub(super) fn check(dir: &StagingDir, name: &str) -> Result<(), Error> {
    match dir.found(name)? {
        Some(_) if our_text(dir, name)?.is_none() => Err(dir.foreign(name)),
        _ => Ok(()),
    }
}

pub(super) fn names(dir: &StagingDir) -> Result<Vec<String>, Error> {
    let text = dir.text(LIST)?.unwrap_or_default();
    let list = text.strip_prefix(HEADER).unwrap_or_default();
    Ok(list.lines().filter(|name| !name.is_empty() && !name.contains('/')).map(String::from).collect())
}

/// Adds names to the list. Called before the files are copied, so that a killed run leaves none unlisted.
pub(super) fn add(dir: &StagingDir, new: &[&str]) -> Result<(), Error> {
    let mut all = names(dir)?;
    let more: Vec<_> = new.iter().copied().filter(|name| !all.iter().any(|known| known == name)).collect();
    if more.is_empty() {
        return Ok(());
    }
    all.extend(more.into_iter().map(String::from));
    dir.write(LIST, &(HEADER.to_owned() + &all.join("\n") + "\n"))?;
    dir.sync()
}

/// Removes all listed files and the list; returns their names.
pub(super) fn remove_all(dir: &StagingDir) -> Result<Vec<String>, Error> {
    let names = names(dir)?;
    for name in &names {
        dir.remove(name)?;
    }
    if !names.is_empty() {
        dir.remove(LIST)?;
    }
    dir.sync().map(|()| names)
}
