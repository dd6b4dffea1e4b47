//! tonistiigi/binfmt, as docker/setup-qemu-action calls it: Go's flags, with one dash or two, and a value after `=` or
//! as the next word. Whatever else is asked for, what runs is shown at the end.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Dialect, Environment, Foreign, Naming, Pattern, Show, value};
use crate::cli::{Asked, Command, Error, Register, emulator_folder, known_targets};
use crate::flags::Flags;
use crate::plan::Wanted;
use crate::table::EMULATOR_DIR;

const FOLDER: &str = "QEMU_BINARY_PATH";
const PREFIX: &str = "QEMU_BINARY_PREFIX";
const PRESERVE_ARGV0: &str = "QEMU_PRESERVE_ARGV0";

/// Everything that can be registered.
const ALL: &str = "all";

/// The flags that have a value.
#[derive(Default)]
struct Values {
    install: Option<String>,
    uninstall: Option<String>,
    mount: Option<String>,
}

/// Reads the words after the program's name.
pub(super) fn parse(words: &[OsString], environment: Environment<'_>) -> Result<Command, Error> {
    match read(words)? {
        Ok(values) => command(values, environment),
        Err(at_once) => Ok(at_once),
    }
}

/// The values, or what is to be done at once.
fn read(words: &[OsString]) -> Result<Result<Values, Command>, Error> {
    let refused = |cause: String| Err(Dialect::Tonistiigi.refused(cause));
    let mut values = Values::default();
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).unwrap_or_default();
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
        let wanted = match name {
            "version" => return Ok(Err(Command::Version)),
            "h" | "help" => return Ok(Err(Command::Help(Some(Dialect::Tonistiigi)))),
            "install" => &mut values.install,
            "uninstall" => &mut values.uninstall,
            "mount" => &mut values.mount,
            _ => return refused(format!("unknown word '{word}'")),
        };
        match value.or_else(|| words.next()) {
            Some(value) => *wanted = Some(value),
            None => return refused(format!("{word}: no value")),
        }
    }
    Ok(Ok(values))
}

fn command(values: Values, environment: Environment<'_>) -> Result<Command, Error> {
    let dialect = Dialect::Tonistiigi;
    if values.mount.as_ref().is_some_and(String::is_empty) {
        return Err(Error::Mount);
    }
    let install: Vec<_> = list(values.install.as_deref()).collect();
    let is_all = install.iter().any(|name| name == ALL);
    let (targets, problem) = known_targets(install.iter().filter(|name| *name != ALL).cloned().collect());
    let registers = is_all || !targets.is_empty();
    let flags = Flags::new(value(environment, PRESERVE_ARGV0).is_some(), true, true);
    let folder = value(environment, FOLDER);
    let emulators = match &folder {
        Some(folder) => emulator_folder(FOLDER, folder, &flags)?,
        None => EMULATOR_DIR.into(),
    };
    let asked = Asked {
        targets: if is_all { Vec::new() } else { targets },
        mount: values.mount.map(PathBuf::from),
        wanted: Wanted { emulators, flags, keep: false },
        emulators_from: FOLDER,
        in_user_namespace: dialect.in_user_namespace(environment)?,
        dialect: Some(dialect),
        naming: naming(folder.is_some(), value(environment, PREFIX))?,
        ..Asked::default()
    };
    Ok(Command::Foreign(Foreign {
        remove: list(values.uninstall.as_deref()).map(Pattern::of_word).collect(),
        request: Register { asked, ..Register::default() },
        registers,
        show: Show::Platforms,
        complaint: problem.map(|problem| problem.to_string()),
    }))
}

/// The words between commas, without the empty ones.
fn list(words: Option<&str>) -> impl Iterator<Item = String> {
    words.unwrap_or_default().split(',').filter(|word| !word.is_empty()).map(str::to_owned)
}

/// Emulators in a folder of the user's are called as in that image, `qemu-aarch64`; those of this image are known by
/// the names that all others give them, and so are found again by `unregister`.
fn naming(is_folder_named: bool, prefix: Option<OsString>) -> Result<Option<Naming>, Error> {
    if !is_folder_named && prefix.is_none() {
        return Ok(None);
    }
    let prefix = prefix.unwrap_or_default().to_string_lossy().into_owned();
    let naming = Naming { prefix, suffixes: vec![String::new(), Naming::USUAL_SUFFIX.into()] };
    if naming.is_plain() {
        Ok(Some(naming))
    } else {
        Err(Dialect::Tonistiigi.refused(format!("{PREFIX} '{}': no part of a file's name", naming.prefix)))
    }
}
