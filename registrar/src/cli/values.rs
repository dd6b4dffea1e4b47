//! What stands behind options and between them: folders, numbers, names of architectures.

use std::ffi::OsStr;
use std::time::Duration;

use super::Error;
use crate::flags::Flags;
use crate::request::Format;
use crate::table::{LONGEST_LINE, NAME_SUFFIXES, TABLE, names};

pub(super) fn seconds(word: &OsStr) -> Result<Duration, Error> {
    match word.to_str().and_then(|word| word.parse().ok()) {
        Some(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::Timeout(word.to_string_lossy().into_owned())),
    }
}

pub(super) fn format(word: &OsStr) -> Result<Format, Error> {
    match word.to_str() {
        Some("systemd") => Ok(Format::Systemd),
        Some("openrc") => Ok(Format::OpenRc),
        _ => Err(Error::Format(word.to_string_lossy().into_owned())),
    }
}

/// The one scope that must be named.
pub(super) fn scope(word: &OsStr) -> Result<(), Error> {
    if word == "userns" { Ok(()) } else { Err(Error::Scope(word.to_string_lossy().into_owned())) }
}

/// The targets that the names mean, each once.
pub(super) fn targets(names: Vec<String>) -> Result<Vec<&'static str>, Error> {
    let (targets, problem) = known_targets(&mut names.iter().map(String::as_str));
    problem.map_or(Ok(targets), Err)
}

/// The same, of those that can be had, and what is wrong with the others, if there are any.
pub(crate) fn known_targets(names: &mut dyn Iterator<Item = &str>) -> (Vec<&'static str>, Option<Error>) {
    let (mut targets, mut unknown, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match names::target(name) {
            None => unknown.push(name.to_owned()),
            Some(target) if !is_in_image(target) => missing.push(name.to_owned()),
            Some(target) if targets.contains(&target) => {}
            Some(target) => targets.push(target),
        }
    }
    let problem = if !unknown.is_empty() {
        Some(Error::Architectures(unknown))
    } else if !missing.is_empty() {
        Some(Error::Missing(missing))
    } else {
        None
    };
    (targets, problem)
}

/// The host's own architecture needs no emulator, so no image lacks it.
fn is_in_image(target: &str) -> bool {
    target == crate::arch::HOST || TABLE.handlers_of(target).next().is_some()
}

/// A folder that can stand in a rule, in the one spelling that entries are compared by.
pub(crate) fn emulator_folder(source: &'static str, folder: &OsStr, flags: &Flags) -> Result<String, Error> {
    let refused = |why| Err(Error::Emulators { source, folder: folder.to_string_lossy().into(), why });
    let Some(folder) = folder.to_str() else { return refused("not UTF-8") };
    let parts = folder.split('/').filter(|part| !matches!(*part, "" | "."));
    let plain: String = parts.flat_map(|part| ["/", part]).collect();
    let too_long =
        || TABLE.handlers.iter().any(|handler| handler.line_with(NAME_SUFFIXES[1], &plain, flags).len() > LONGEST_LINE);
    if !folder.starts_with('/') {
        refused("not an absolute path")
    } else if folder.contains(|letter: char| letter == ':' || letter.is_control()) {
        refused("a colon or control character cannot stand in a rule")
    } else if too_long() {
        refused("too long for a rule")
    } else {
        Ok(plain)
    }
}
