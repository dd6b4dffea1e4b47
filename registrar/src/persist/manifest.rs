//! Which emulators in a folder of the host, and what else, have been put there by `persist`: a list beside them. What is
//! not in it is somebody else's, and stays.

use std::io::{Cursor, Read};

use crate::emulators::{Error, StagingDir};

/// Name of the list.
const LIST: &str = ".registrar";

/// Begins it.
const HEADER: &str = "# Files that registrar persist has put here; registrar unpersist removes them.\n";

/// What everybody may do with it.
const MODE: u32 = 0o644;

/// Longest list that is read, in bytes: some fifty names.
const LONGEST: u64 = 1 << 16;

/// Text of a regular file, if there is one.
pub(super) fn text(dir: &StagingDir, name: &str) -> Option<String> {
    let mut text = String::new();
    dir.existing(name)?.take(LONGEST).read_to_string(&mut text).ok().map(|_| text)
}

/// Names in the list.
fn names(dir: &StagingDir) -> Vec<String> {
    let text = text(dir, LIST).unwrap_or_default();
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
    dir.install(LIST, MODE, None, &mut Cursor::new(text))?;
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
