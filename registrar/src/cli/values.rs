//! Values of options, and names of architectures.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::Error;
use crate::arch::HOST;
use crate::flags::Flags;
use crate::request::{BinaryName, Format, Label};
use crate::table::{EMULATOR_DIR, LONGEST_LINE, NAME_SUFFIXES, TABLE, names};

const BINARY_PATH: &str = "QEMU_BINARY_PATH";
const BINARY_PREFIX: &str = "QEMU_BINARY_PREFIX";

/// `userns` stands for `--scope userns`, which no other image has.
pub(crate) const SCOPE: &str = "REGISTRAR_SCOPE";

/// The value of `--timeout` and `--wait`, in seconds, and of `--repeat`.
pub(super) fn number(option: &str, value: &OsStr) -> Result<u32, Error> {
    let unit = if option == "repeat" { "" } else { " of seconds" };
    match value.to_str().and_then(|value| value.parse().ok()) {
        Some(number @ 1..=3600) => Ok(number),
        _ => Err(refused(&format!("--{option}"), value, &format!("not a number{unit} from 1 to 3600"))),
    }
}

pub(super) fn format(value: &OsStr) -> Result<Format, Error> {
    match value.to_str() {
        Some("systemd") => Ok(Format::Systemd),
        Some("openrc") => Ok(Format::OpenRc),
        _ => Err(refused("--format", value, "not systemd or openrc")),
    }
}

/// The value of `--selinux-label`, else of `CHCON` in the environment, as tonistiigi's image reads it.
pub(super) fn label(value: Option<&OsStr>) -> Result<Label, Error> {
    let (source, value, parse, cause): (_, _, fn(&str) -> _, _) = match (value, env::var_os("CHCON")) {
        (Some(value), _) => {
            ("--selinux-label", value.into(), Label::parse, "not auto, none, a type (bin_t) or a full label")
        }
        (None, Some(value)) => ("CHCON", value, Label::parse_chcon, "not -t TYPE or a full label"),
        (None, None) => return Ok(Label::default()),
    };
    value.to_str().and_then(parse).ok_or_else(|| refused(source, &value, cause))
}

pub(super) fn refused(option: &str, value: &OsStr, cause: &str) -> Error {
    Error::new(format!("{option} '{}': {cause}", value.to_string_lossy()))
}

/// The targets that these arguments name, each once. An argument may be a list; one without a name is more likely an
/// unset variable than a wish for all.
pub(crate) fn targets(words: &mut dyn Iterator<Item = &str>) -> Result<Vec<&'static str>, Error> {
    let names = words.flat_map(|word| list(word).chain((list(word).next().is_none()).then_some("")));
    let (targets, problem) = known_targets(&mut { names });
    problem.map_or(Ok(targets), |problem| Err(Error::new(problem)))
}

/// Splits at commas and blanks.
pub(crate) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter == ',' || letter.is_whitespace()).filter(|name| !name.is_empty())
}

/// The targets that are in this image, each once, and a message about the other names.
pub(crate) fn known_targets(names: &mut dyn Iterator<Item = &str>) -> (Vec<&'static str>, Option<String>) {
    let (mut targets, mut unknown, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match names::target(name) {
            None => unknown.push(match TABLE.closest(&name.to_ascii_lowercase()) {
                Some(closest) => format!("'{name}' (did you mean {closest}?)"),
                None => format!("'{name}'"),
            }),
            Some(target) if target != HOST && TABLE.handlers_of(target).next().is_none() => missing.push(name),
            Some(target) if targets.contains(&target) => {}
            Some(target) => targets.push(target),
        }
    }
    let problem = if !unknown.is_empty() {
        Some(format!("unknown architecture: {}", unknown.join(", ")))
    } else if !missing.is_empty() {
        Some(format!("not in this image: {}; registrar status lists what is", missing.join(", ")))
    } else {
        None
    };
    (targets, problem)
}

/// The emulators' folder and names that tonistiigi's variables set, on our command line too, so that it finds what another
/// one has registered. With a folder of the user's, names are as in tonistiigi's image, `qemu-aarch64`; this image's
/// emulators keep their own.
pub(crate) fn binary_environment(
    value: impl Fn(&str) -> Option<OsString>,
) -> (Option<(&'static str, OsString)>, Option<BinaryName>) {
    let value = |name| value(name).filter(|value: &OsString| !value.is_empty());
    let folder = value(BINARY_PATH).filter(|folder| Path::new(folder) != Path::new(EMULATOR_DIR));
    let prefix = value(BINARY_PREFIX);
    let is_named = folder.is_some() || prefix.is_some();
    let prefix = prefix.unwrap_or_default().to_string_lossy().into_owned();
    let naming = is_named.then_some(BinaryName { prefix, suffix: None });
    (folder.map(|folder| (BINARY_PATH, folder)), naming)
}

/// Whether `REGISTRAR_SCOPE` in the environment stands for `--scope userns`.
pub(crate) fn scope_environment(value: Option<&OsStr>) -> Result<bool, Error> {
    match value.filter(|value| !value.is_empty()) {
        None => Ok(false),
        Some(value) if value == "userns" => Ok(true),
        Some(_) => Err(Error::new(format!("{SCOPE}: the only value is userns"))),
    }
}

/// Checks that a folder fits into a rule, and normalizes it: entries are compared by their text.
pub(crate) fn emulator_folder(source: &'static str, folder: &OsStr, flags: &Flags) -> Result<String, Error> {
    let refused = |cause| Err(refused(source, folder, cause));
    let Some(text) = folder.to_str() else { return refused("not UTF-8") };
    let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
    let plain: String = parts.flat_map(|part| ["/", part]).collect();
    let too_long =
        || TABLE.handlers.iter().any(|handler| handler.line_with(NAME_SUFFIXES[1], &plain, flags).len() > LONGEST_LINE);
    if !text.starts_with('/') {
        refused("not an absolute path")
    } else if text.contains(|letter: char| letter == ':' || letter.is_control()) {
        refused("colons and control characters cannot be in a rule")
    } else if too_long() {
        refused("too long for a rule")
    } else {
        Ok(plain)
    }
}
