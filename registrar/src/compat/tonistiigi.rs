//! tonistiigi/binfmt, as docker/setup-qemu-action calls it. Whatever else is asked for, what runs is shown at the end.

use std::path::PathBuf;

use super::options::{Options, ParsedOptions, Takes, unknown};
use super::{CompatOptions, Environment, value};
use crate::cli::{Error, known_targets};
use crate::request::{BinaryName, Command, CompatCommand, CompatMode, EntryGlob, StatusKind};
use crate::table::EMULATOR_DIR;

const OPTIONS: Options = &[
    (&["install"], Takes::Value),
    (&["uninstall"], Takes::Value),
    (&["mount"], Takes::Value),
    (&["version"], Takes::Nothing),
    (&["help", "h"], Takes::Nothing),
];

const FOLDER: &str = "QEMU_BINARY_PATH";
const PREFIX: &str = "QEMU_BINARY_PREFIX";
const PRESERVE_ARGV0: &str = "QEMU_PRESERVE_ARGV0";

/// Everything that can be registered.
const ALL: &str = "all";

/// Reads the words after the program's name.
pub(super) fn parse(words: &[&str], environment: Environment<'_>) -> Result<Command, Error> {
    let mode = CompatMode::Tonistiigi;
    let words = ParsedOptions::read(OPTIONS, words).map_err(|cause| mode.refused(cause))?;
    if let Some(word) = words.others.first() {
        return Err(mode.refused(unknown(word)));
    } else if words.is_yes("version") {
        return Ok(Command::Version);
    } else if words.is_yes("help") {
        return Ok(Command::Help(Some(mode)));
    }
    let is_all = list(words.value("install")).any(|name| name == ALL);
    let (targets, problem) = known_targets(&mut list(words.value("install")).filter(|name| *name != ALL));
    let registers = is_all || !targets.is_empty();
    let folder = value(environment, FOLDER).filter(|folder| folder.trim_end_matches('/') != EMULATOR_DIR);
    let prefix = value(environment, PREFIX);
    // Emulators in a folder of the user's are called as in that image, `qemu-aarch64`; those of this image are known by
    // the names that all others give them, and so are found again by `unregister`.
    let naming =
        (folder.is_some() || prefix.is_some()).then(|| BinaryName { prefix: prefix.unwrap_or_default(), suffix: None });
    let how = CompatOptions {
        targets: if is_all { Vec::new() } else { targets },
        flags: (value(environment, PRESERVE_ARGV0).is_some(), true, true),
        folder: folder.map(|folder| (FOLDER, folder)),
        naming,
    };
    let mut request = how.request(mode, environment)?;
    request.args.mount = words.value("mount").map(PathBuf::from);
    if request.args.mount.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
        return Err(Error::Mount);
    }
    Ok(Command::Compat(CompatCommand {
        remove: list(words.value("uninstall")).map(EntryGlob::of_word).collect(),
        request,
        registers,
        show: StatusKind::Platforms,
        warning: problem.map(|problem| problem.to_string()),
    }))
}

/// The words between commas, without the empty ones.
fn list(words: Option<&str>) -> impl Iterator<Item = &str> {
    words.unwrap_or_default().split(',').filter(|word| !word.is_empty())
}
