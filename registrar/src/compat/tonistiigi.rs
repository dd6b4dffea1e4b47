//! tonistiigi/binfmt's options, as docker/setup-qemu-action passes them. Each run ends with the status as JSON.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::options::{Options, ParsedOptions, Takes, unknown};
use super::{CompatOptions, Environment, platforms, text, value};
use crate::cli::{Error, binary_environment, known_targets};
use crate::flags::Flags;
use crate::request::{Command, CompatCommand, CompatMode, EntryGlob, StatusKind};

const OPTIONS: Options = &[
    (&["install"], Takes::Value),
    (&["uninstall"], Takes::Value),
    (&["mount"], Takes::Value),
    (&["version"], Takes::Nothing),
    (&["help", "h"], Takes::Nothing),
];

const PRESERVE_ARGV0: &str = "QEMU_PRESERVE_ARGV0";

const ALL: &str = "all";

pub(super) fn parse(words: &[&OsStr], environment: Environment<'_>) -> Result<Command, Error> {
    let mode = CompatMode::Tonistiigi;
    let words = ParsedOptions::read(OPTIONS, words).map_err(|cause| mode.error(cause))?;
    if let Some(word) = words.others.first() {
        return Err(mode.error(unknown(word)));
    } else if words.is_yes("version") {
        return Ok(Command::Version);
    } else if words.is_yes("help") {
        return Ok(Command::Help(Some(mode)));
    }
    let (mut names, passed_over) = platforms(words.value("install").map(text).as_slice());
    let is_all = names.contains(&ALL);
    names.retain(|name| *name != ALL);
    let (targets, problem) = known_targets(&mut names.into_iter());
    let registers = is_all || !targets.is_empty();
    let (folder, naming) = binary_environment(|name| value(environment, name));
    let options = CompatOptions {
        targets: if is_all { Vec::new() } else { targets },
        flags: Flags::new(value(environment, PRESERVE_ARGV0).is_some(), true, true),
        folder,
        naming,
    };
    let mut request = options.request(mode, environment)?;
    request.args.mount = words.value("mount").map(PathBuf::from);
    if request.args.mount.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
        return Err(Error::new("--mount '': no folder"));
    }
    Ok(Command::Compat(CompatCommand {
        remove: words.value("uninstall").into_iter().flat_map(names_of).map(EntryGlob::of_word).collect(),
        request,
        registers,
        show: StatusKind::Platforms,
        passed_over,
        warning: problem,
    }))
}

/// Splits at commas and blanks. Names of entries are bytes.
fn names_of(list: &OsStr) -> impl Iterator<Item = &OsStr> {
    let names = list.as_bytes().split(|byte| *byte == b',' || byte.is_ascii_whitespace());
    names.filter(|name| !name.is_empty()).map(OsStr::from_bytes)
}
