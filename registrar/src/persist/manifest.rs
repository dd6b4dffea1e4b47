//! The list of files that `persist` put into a folder of the host, in that folder. Files that are not in it are never
//! removed.

use super::binfmt_d;
use crate::emulators::{Error, StagingDir};

const LIST: &str = ".registrar";

const HEADER: &str = "# Files that registrar persist has put here; registrar unpersist removes them.\n";

/// The text of a file that [`super::persist`] wrote.
pub(super) fn our_text(dir: &StagingDir, name: &str) -> Option<String> {
    dir.text(name).filter(|text| text.starts_with(binfmt_d::HEADER))
}

pub(super) fn is_ours(dir: &StagingDir, name: &str) -> bool {
    our_text(dir, name).is_some()
}

fn names(dir: &StagingDir) -> Vec<String> {
    let text = dir.text(LIST).unwrap_or_default();
    let list = text.strip_prefix(HEADER).unwrap_or_default();
    list.lines().filter(|name| !name.is_empty() && !name.contains('/')).map(String::from).collect()
}

/// Adds names to the list. Called before the files are copied, so that a killed run leaves none unlisted.
pub(super) fn add(dir: &StagingDir, new: &[&str]) -> Result<(), Error> {
    let mut all = names(dir);
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
    let names = names(dir);
    for name in &names {
        dir.remove(name)?;
    }
    if !names.is_empty() {
        dir.remove(LIST)?;
    }
    dir.sync().map(|()| names)
}
