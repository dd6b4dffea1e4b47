//! The options of QEMU's `qemu-binfmt-conf.sh`, which multiarch/qemu-user-static passes on, and dbhi/qus after `--`.

use std::ffi::OsStr;

use super::options::{Options, ParsedOptions, Takes, unknown};
use super::{CompatOptions, Environment, platforms, text, value};
use crate::cli::{Error, targets};
use crate::flags::Flags;
use crate::request::{BinaryName, Command, CompatCommand, CompatMode, EntryGlob, StatusKind};

const OPTIONS: Options = &[
    (&["reset"], Takes::Nothing),
    (&["clear", "r"], Takes::Nothing),
    (&["test", "t"], Takes::Nothing),
    (&["help", "h"], Takes::Nothing),
    (&["qemu-path", "path", "Q"], Takes::Value),
    (&["qemu-suffix", "suffix", "F"], Takes::Value),
    (&["persistent", "p"], Takes::YesOrNo),
    (&["credential", "c"], Takes::YesOrNo),
    (&["preserve-argv0", "g"], Takes::YesOrNo),
    // No effect: the kernel says which targets run natively, not their family.
    (&["ignore-family", "i"], Takes::YesOrNo),
];

/// qus's own options, before `--`. `-s` has no effect: all emulators are static.
const OF_QUS: Options = &[
    (&["reset", "r"], Takes::Nothing),
    (&["list", "l"], Takes::Nothing),
    (&["static", "s"], Takes::Nothing),
    (&["help", "h"], Takes::Nothing),
];

/// Options of QEMU's script that write files for systemd or Debian.
const FILE_OPTIONS: [&str; 3] = ["systemd", "debian", "exportdir"];

const FOLDER: &str = "QEMU_BIN_DIR";

const ALL: &str = "qemu-*";

pub(super) fn parse(mode: CompatMode, words: &[&OsStr], environment: Environment<'_>) -> Result<Command, Error> {
    // One or two dashes, as for all options; `=` or the next word.
    let is_file_option = |word: &&str| {
        let option = word.trim_start_matches('-').split('=').next().unwrap_or_default();
        word.starts_with('-') && FILE_OPTIONS.contains(&option)
    };
    if let Some(option) = words.iter().map(|word| text(word)).find(is_file_option) {
        let cause = format!("{option}: files are written by export and persist, see registrar --help");
        return Err(mode.error(cause));
    }
    let read = |options, words| ParsedOptions::read(options, words).map_err(|cause| mode.error(cause));
    let split = words.iter().position(|word| *word == "--");
    let (before, behind) = match (mode, split) {
        (CompatMode::Qus, Some(at)) => (&words[..at], &words[at + 1..]),
        (CompatMode::Qus, None) => (words, &words[..0]),
        _ => (&words[..0], words),
    };
    let (own, words) = (read(OF_QUS, before)?, read(OPTIONS, behind)?);
    if let Some(word) = own.others.first() {
        return Err(mode.error(unknown(word)));
    }
    let (mut names, passed_over) = platforms(&words.others);
    let has_names = !words.others.is_empty();
    if has_names && names.is_empty() && passed_over.is_empty() {
        // A blank argument is more likely an unset variable than a wish for all.
        names.push("");
    }
    let targets = targets(&mut names.into_iter())?;
    if own.is_yes("help") || words.is_yes("help") {
        return Ok(Command::Help(Some(mode)));
    }
    let [clears, is_dry_run] = ["clear", "test"].map(|name| words.is_yes(name));
    let remove = if own.is_yes("reset") || words.is_yes("reset") || (clears && !has_names) {
        vec![EntryGlob::of_name(ALL)]
    } else if clears {
        targets.iter().flat_map(|target| EntryGlob::of_target(target)).collect()
    } else {
        Vec::new()
    };
    let lists = own.is_yes("list");
    let only_lists = lists && (is_dry_run || split.is_none());
    let from_environment = || value(environment, FOLDER).map(|folder| (FOLDER, folder));
    let suffix = words.value("qemu-suffix").map(text).filter(|suffix| *suffix != BinaryName::USUAL_SUFFIX);
    let targets_given = !targets.is_empty();
    let options = CompatOptions {
        targets,
        flags: Flags::new(words.is_yes("preserve-argv0"), words.is_yes("credential"), words.is_yes("persistent")),
        folder: words.value("qemu-path").map(|folder| ("--qemu-path", folder.to_owned())).or_else(from_environment),
        naming: suffix.map(|suffix| BinaryName { prefix: String::new(), suffix: Some(suffix.to_owned()) }),
    };
    let mut request = options.request(mode, environment)?;
    request.dry_run = is_dry_run;
    if is_dry_run {
        // Reported in our own format: the script's lines would say that it was done.
        request.args.mode = None;
    }
    if only_lists {
        request.args.desired.flags = Flags::default();
    }
    let registers = !clears && !only_lists && (targets_given || !has_names);
    let show = if lists { StatusKind::Status } else { StatusKind::Nothing };
    Ok(Command::Compat(CompatCommand { remove, request, registers, show, passed_over, warning: None }))
}
