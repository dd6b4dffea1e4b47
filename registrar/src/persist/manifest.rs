//! Which emulators in a folder of the host, and what else, have been put there by `persist`: a list beside them. What is
//! not in it is somebody else's, and stays.

use super::binfmt_d;
use crate::emulators::{Error, StagingDir};

/// Name of the list.
const LIST: &str = ".registrar";

/// Begins it.
const HEADER: &str = "# Files that registrar persist has put here; registrar unpersist removes them.\n";

/// Text of a file that [`super::persist`] has written, if there is one.
pub(super) fn our_text(dir: &StagingDir, name: &str) -> Option<String> {
    dir.text(name).filter(|text| text.starts_with(binfmt_d::HEADER))
}

pub(super) fn is_ours(dir: &StagingDir, name: &str) -> bool {
    our_text(dir, name).is_some()
}

/// Names in the list.
fn names(dir: &StagingDir) -> Vec<String> {
    let text = dir.text(LIST).unwrap_or_default();
    let list = text.strip_prefix(HEADER).unwrap_or_default();
    list.lines().filter(|name| !name.is_empty() && !name.contains('/')).map(String::from).collect()
}

/// Adds names to the list, before the emulators come.
pub(super) fn add(dir: &StagingDir, new: &[&str]) -> Result<(), Error> {
    let mut all = names(dir);
    let before = all.len();
    for name in new {
        if !all.iter().any(|known| known == name) {
            all.push((*name).into());
        }
    }
    if all.len() == before {
        return Ok(());
    }
    let text = HEADER.to_owned() + &all.join("\n") + "\n";
    dir.write(LIST, &text)?;
    dir.sync()
}

/// Removes all that is in the list, and the list; gives the names that were in it.
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
