//! The options of QEMU's `qemu-binfmt-conf.sh`, as multiarch/qemu-user-static's users type them after `--reset`, and
//! those of dbhi/qus after `--`.
//!
//! A yes or no is taken only where the next word is one of the two, as qus has it; alone, an option means yes.

use std::ffi::OsString;

use lexopt::prelude::*;

use super::{Dialect, Environment, Foreign, Naming, Pattern, Show, value};
use crate::cli::{Asked, Command, Error, Register, emulator_folder, known_targets};
use crate::flags::Flags;
use crate::plan::Wanted;
use crate::table::EMULATOR_DIR;

/// Both images' variable for the folder of the emulators.
const FOLDER: &str = "QEMU_BIN_DIR";

/// All of QEMU's entries, by the name that everybody gives them.
const ALL: &str = "qemu-*";

/// Of a dialect's words.
#[derive(Default)]
struct Words {
    reset: bool,
    list: bool,
    /// There is a `--`, behind which the script's options are.
    is_split: bool,
    clear: bool,
    test: bool,
    persistent: bool,
    credential: bool,
    preserve_argv0: bool,
    folder: Option<OsString>,
    suffix: Option<String>,
    targets: Vec<String>,
}

/// Reads the words after the program's name.
pub(super) fn parse(
    dialect: Dialect,
    mut arguments: Vec<OsString>,
    environment: Environment<'_>,
) -> Result<Command, Error> {
    let mut words = Words::default();
    if dialect == Dialect::Qus {
        let split = arguments.iter().position(|word| word == "--");
        words.is_split = split.is_some();
        let script = arguments.split_off(split.map_or(arguments.len(), |at| at + 1));
        for word in arguments {
            match word.to_str() {
                // Our emulators are static, under either name.
                Some("-s" | "-static" | "--static" | "--") => {}
                Some("-l" | "-list" | "--list") => words.list = true,
                Some("-r" | "-reset" | "--reset") => words.reset = true,
                Some("-h" | "-help" | "--help") => return Ok(Command::Help(Some(dialect))),
                _ => return Err(dialect.refused(format!("unknown word '{}' before --", word.to_string_lossy()))),
            }
        }
        arguments = script;
    }
    let parser = lexopt::Parser::from_args(arguments);
    if words.read(dialect, parser).map_err(|error| dialect.refused(error.to_string()))? {
        return Ok(Command::Help(Some(dialect)));
    }
    words.command(dialect, environment)
}

impl Words {
    /// Takes the words; says whether help is wanted.
    fn read(&mut self, dialect: Dialect, mut parser: lexopt::Parser) -> Result<bool, lexopt::Error> {
        let is_qus = dialect == Dialect::Qus;
        while let Some(argument) = parser.next()? {
            let is_long = matches!(argument, Long(_));
            match argument {
                Short('h') | Long("help") => return Ok(true),
                Short('Q') | Long("qemu-path") => self.folder = Some(parser.value()?),
                Long("path") if is_qus => self.folder = Some(parser.value()?),
                Short('F') | Long("qemu-suffix") => self.suffix = Some(parser.value()?.string()?),
                Long("suffix") if is_qus => self.suffix = Some(parser.value()?.string()?),
                Short('p') | Long("persistent") => self.persistent = is_yes(&mut parser, is_long)?,
                Short('c') | Long("credential") => self.credential = is_yes(&mut parser, is_long)?,
                Short('g') | Long("preserve-argv0") => self.preserve_argv0 = is_yes(&mut parser, is_long)?,
                // Which of a family run natively is asked of the kernel, so that there is no family to ignore.
                Short('i') | Long("ignore-family") => {
                    is_yes(&mut parser, is_long)?;
                }
                Short('r') | Long("clear") if is_qus => self.clear = true,
                Short('t') | Long("test") if is_qus => self.test = true,
                Long("reset") if !is_qus => self.reset = true,
                Value(word) => self.targets.extend(word.string()?.split([',', ' ']).map(str::to_owned)),
                unknown => return Err(unknown.unexpected()),
            }
        }
        Ok(false)
    }

    /// What they mean together.
    fn command(self, dialect: Dialect, environment: Environment<'_>) -> Result<Command, Error> {
        let is_only_shown = self.list && (self.test || !self.is_split);
        let flags = match is_only_shown {
            true => Flags::default(),
            false => Flags::new(self.preserve_argv0, self.credential, self.persistent),
        };
        let (emulators_from, folder) = match (self.folder, value(environment, FOLDER)) {
            (Some(folder), _) => ("--qemu-path", Some(folder)),
            (None, folder) => (FOLDER, folder),
        };
        let emulators = match &folder {
            Some(folder) => emulator_folder(emulators_from, folder, &flags)?,
            None => EMULATOR_DIR.into(),
        };
        let (targets, problem) = known_targets(self.targets);
        if let Some(problem) = problem {
            return Err(problem);
        }
        let remove = match targets.as_slice() {
            _ if self.reset => vec![Pattern::of_name(ALL.into())],
            [] if self.clear => vec![Pattern::of_name(ALL.into())],
            targets if self.clear => targets.iter().flat_map(|target| Pattern::of_target(target)).collect(),
            _ => Vec::new(),
        };
        let asked = Asked {
            targets,
            wanted: Wanted { emulators, flags, keep: false },
            emulators_from,
            in_user_namespace: dialect.in_user_namespace(environment)?,
            // A trial is told in our own words: theirs would say that it was done.
            dialect: Some(dialect).filter(|_| !self.test),
            naming: naming(dialect, self.suffix)?,
            ..Asked::default()
        };
        Ok(Command::Foreign(Foreign {
            remove,
            request: Register { asked, dry_run: self.test, ..Register::default() },
            registers: !self.clear && !is_only_shown,
            show: if self.list { Show::Status } else { Show::Nothing },
            complaint: None,
        }))
    }
}

/// The value of an option whose value may be left out. To a short one, another may be attached.
fn is_yes(parser: &mut lexopt::Parser, is_long: bool) -> Result<bool, lexopt::Error> {
    if let Some(attached) = is_long.then(|| parser.optional_value()).flatten() {
        return match attached.to_str() {
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            _ => Err("a value that is neither yes nor no".into()),
        };
    }
    let Some(mut words) = parser.try_raw_args() else { return Ok(true) };
    let next = words.peek().and_then(|word| word.to_str());
    let answer = next != Some("no");
    if matches!(next, Some("yes" | "no")) {
        words.next();
    }
    Ok(answer)
}

fn naming(dialect: Dialect, suffix: Option<String>) -> Result<Option<Naming>, Error> {
    let Some(suffix) = suffix.filter(|suffix| suffix != Naming::USUAL_SUFFIX) else { return Ok(None) };
    let naming = Naming { prefix: String::new(), suffixes: vec![suffix] };
    if naming.is_plain() {
        Ok(Some(naming))
    } else {
        Err(dialect.refused(format!("--qemu-suffix '{}': no part of a file's name", naming.suffixes[0])))
    }
}
