//! The command line of this program, checked as far as the table and the words themselves tell. Other images' command
//! lines are not read here.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::table::{EMULATOR_DIR, LONGEST_LINE, TABLE};
use crate::verify;

pub(crate) const HELP: &str = "\
Tells the kernel's binfmt_misc which QEMU emulator runs which programs.

Usage: registrar [COMMAND] [OPTIONS] [ARCH...]

Commands:
  register    register handlers: of each ARCH, or of all that this machine does not run itself
  unregister  remove our handlers: of each ARCH, or all; entries of others stay, but one with
              our name and our emulator's file name is ours, whoever wrote it
  status      show what serves each target (without a command: the same)
  verify      run a test program of each ARCH, or of all of ours that are registered, and say what
              is wrong where it does not run

ARCH is any usual name: arm64, aarch64, linux/arm64, aarch64-linux-gnu; several may stand in one word: arm64,s390x

Options:
      --mount DIR   binfmt_misc is mounted at DIR, or is to be mounted there
      --bindir DIR  folder of the emulators, also BINDIR in the environment [/usr/bin]
      --json        status or verify as JSON
      --timeout N   how many seconds verify gives each program [10]
  -V, --version     versions of this program and of QEMU, and where QEMU comes from
  -h, --help        this text

Exit status: 0 if what was asked for is so, 1 if not, with the cause as the last line of standard error.
";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Register(Asked),
    Unregister(Asked),
    Status { asked: Asked, json: bool },
    Verify { asked: Asked, json: bool, limit: Duration },
    Help,
    Version,
}

/// Of which targets, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// QEMU's names, each once; empty if none is named.
    pub(crate) targets: Vec<&'static str>,
    /// The only place for `binfmt_misc`.
    pub(crate) mount: Option<PathBuf>,
    /// Folder of the emulators: absolute, without a slash at the end, so that the root folder is empty.
    pub(crate) emulators: String,
    /// Where a user has named that folder.
    pub(crate) emulators_from: &'static str,
}

/// A command line that cannot be meant. Nothing was done.
#[derive(Debug)]
pub(crate) enum Error {
    Words(lexopt::Error),
    Command(String),
    Architectures(Vec<String>),
    Missing(Vec<String>),
    Json,
    Timeout(String),
    TimeoutAlone,
    Emulators { source: &'static str, folder: String, why: &'static str },
    Mount,
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::Words(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(error) => write!(f, "{error}; see registrar --help"),
            Self::Command(word) => write!(f, "unknown command: {word}; see registrar --help"),
            Self::Architectures(names) => {
                f.write_str("unknown architecture: ")?;
                for (index, name) in names.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    match TABLE.closest(name) {
                        Some(closest) => write!(f, "'{name}' (did you mean {closest}?)")?,
                        None => write!(f, "'{name}'")?,
                    }
                }
                Ok(())
            }
            Self::Missing(names) => {
                write!(f, "not in this image: {}; registrar status shows what is", names.join(", "))
            }
            Self::Json => f.write_str("--json is for status and verify; see registrar --help"),
            Self::Timeout(word) => write!(f, "--timeout '{word}': not a number of seconds from 1 to 3600"),
            Self::TimeoutAlone => f.write_str("--timeout is for verify; see registrar --help"),
            Self::Emulators { source, folder, why } => write!(f, "{source} '{folder}': {why}"),
            Self::Mount => f.write_str("--mount '': no folder"),
        }
    }
}

/// Reads the command line, the program's own name first.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let (mut command, mut names, mut mount, mut emulators, mut json) = (None, Vec::new(), None, None, false);
    let mut limit = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') => return Ok(Command::Help),
            Short('V') => return Ok(Command::Version),
            Long(option @ ("help" | "version")) => {
                let answer = if option == "help" { Command::Help } else { Command::Version };
                let option = format!("--{option}");
                return match parser.optional_value() {
                    None => Ok(answer),
                    Some(value) => Err(lexopt::Error::UnexpectedValue { option, value }.into()),
                };
            }
            Long("json") => json = true,
            Long("timeout") => limit = Some(seconds(&parser.value()?.to_string_lossy())?),
            Long("mount") => mount = Some(PathBuf::from(parser.value()?)),
            Long("bindir") => emulators = Some(parser.value()?),
            Value(word) if command.is_none() => command = Some(word.string()?),
            Value(word) => names.extend(word.string()?.split(',').map(str::to_ascii_lowercase)),
            unknown => return Err(unknown.unexpected().into()),
        }
    }
    if mount.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
        return Err(Error::Mount);
    }
    // What is removed is in whatever folder: there the environment must not be in the way.
    let environment = || env::var_os("BINDIR").filter(|_| command.as_deref() != Some("unregister"));
    let (emulators, emulators_from) = match (emulators, environment()) {
        (Some(folder), _) => (emulator_folder("--bindir", &folder)?, "--bindir"),
        (None, Some(folder)) if !folder.is_empty() => (emulator_folder("BINDIR", &folder)?, "BINDIR"),
        _ => (EMULATOR_DIR.into(), "--bindir"),
    };
    let asked = Asked { targets: targets(names)?, mount, emulators, emulators_from };
    if limit.is_some() && command.as_deref() != Some("verify") {
        return Err(Error::TimeoutAlone);
    }
    match command.as_deref() {
        Some("verify") => Ok(Command::Verify { asked, json, limit: limit.unwrap_or(verify::LIMIT) }),
        None | Some("status") => Ok(Command::Status { asked, json }),
        Some("register" | "unregister") if json => Err(Error::Json),
        Some("register") => Ok(Command::Register(asked)),
        Some("unregister") => Ok(Command::Unregister(asked)),
        Some(word) => Err(Error::Command(word.into())),
    }
}

fn seconds(word: &str) -> Result<Duration, Error> {
    match word.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::Timeout(word.into())),
    }
}

/// The targets that the names mean, each once.
fn targets(names: Vec<String>) -> Result<Vec<&'static str>, Error> {
    let (mut targets, mut unknown, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match TABLE.target(&name) {
            None => unknown.push(name),
            Some(target) if !is_in_image(target) => missing.push(name),
            Some(target) if targets.contains(&target) => {}
            Some(target) => targets.push(target),
        }
    }
    if !unknown.is_empty() {
        Err(Error::Architectures(unknown))
    } else if !missing.is_empty() {
        Err(Error::Missing(missing))
    } else {
        Ok(targets)
    }
}

/// The host's own architecture needs no emulator, so no image lacks it.
fn is_in_image(target: &str) -> bool {
    target == crate::native::HOST || TABLE.handlers_of(target).next().is_some()
}

/// A folder that can stand in a rule, in the one spelling that entries are compared by.
fn emulator_folder(source: &'static str, folder: &OsStr) -> Result<String, Error> {
    let refused = |why| Err(Error::Emulators { source, folder: folder.to_string_lossy().into(), why });
    let Some(folder) = folder.to_str() else { return refused("not UTF-8") };
    let parts = folder.split('/').filter(|part| !matches!(*part, "" | "."));
    let plain: String = parts.flat_map(|part| ["/", part]).collect();
    let too_long = || TABLE.handlers.iter().any(|handler| handler.temporary_line_in(&plain).len() > LONGEST_LINE);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split(' ').map(OsString::from)).map_err(|error| error.to_string())
    }

    fn asked(targets: &[&'static str]) -> Asked {
        Asked { targets: targets.into(), mount: None, emulators: "/usr/bin".into(), emulators_from: "--bindir" }
    }

    #[test]
    fn command_lines() {
        let elsewhere = || Asked { mount: Some("/m".into()), emulators: "/opt".into(), ..asked(&[]) };
        let cases = [
            ("registrar", Command::Status { asked: asked(&[]), json: false }),
            ("registrar --json", Command::Status { asked: asked(&[]), json: true }),
            ("registrar status arm64", Command::Status { asked: asked(&["aarch64"]), json: false }),
            ("registrar register", Command::Register(asked(&[]))),
            ("registrar register arm64,S390X linux/arm64", Command::Register(asked(&["aarch64", "s390x"]))),
            ("registrar --mount /m unregister --bindir=/opt/", Command::Unregister(elsewhere())),
            (
                "registrar verify --timeout 2 arm64",
                Command::Verify { asked: asked(&["aarch64"]), json: false, limit: Duration::from_secs(2) },
            ),
            ("registrar verify --json", Command::Verify { asked: asked(&[]), json: true, limit: verify::LIMIT }),
            ("registrar register --version", Command::Version),
            ("registrar -h", Command::Help),
        ];
        for (line, expected) in cases {
            assert_eq!(parsed(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn spellings_of_a_folder() {
        let cases =
            [("/", ""), ("//", ""), ("/opt//q/", "/opt/q"), ("/./opt/./q/.", "/opt/q"), ("/opt/../q", "/opt/../q")];
        for (typed, expected) in cases {
            assert_eq!(emulator_folder("--bindir", OsStr::new(typed)).ok().as_deref(), Some(expected), "{typed}");
        }
    }

    #[test]
    fn what_an_image_lacks_is_not_unknown() {
        let error = Error::Missing(vec!["arm64".into(), "cris".into()]);
        assert_eq!(error.to_string(), "not in this image: arm64, cris; registrar status shows what is");
    }

    #[test]
    fn refused_command_lines() {
        let cases = [
            ("registrar regsiter", "unknown command: regsiter; see registrar --help"),
            ("registrar register --jsno", "invalid option '--jsno'; see registrar --help"),
            ("registrar register --json", "--json is for status and verify; see registrar --help"),
            ("registrar register arm46 s390x,pdp11", "unknown architecture: 'arm46' (did you mean arm64?), 'pdp11'"),
            ("registrar register arm64,", "unknown architecture: ''"),
            ("registrar register --bindir opt", "--bindir 'opt': not an absolute path"),
            ("registrar verify --timeout 0", "--timeout '0': not a number of seconds from 1 to 3600"),
            ("registrar verify --timeout=soon", "--timeout 'soon': not a number of seconds from 1 to 3600"),
            ("registrar status --timeout 5", "--timeout is for verify; see registrar --help"),
            ("registrar --mount= status", "--mount '': no folder"),
            ("registrar --help=yes", "unexpected argument for option '--help': \"yes\"; see registrar --help"),
            (
                "registrar register --bindir /a:b",
                "--bindir '/a:b': a colon or control character cannot stand in a rule",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(parsed(line), Err(expected.into()), "{line}");
        }
    }
}
