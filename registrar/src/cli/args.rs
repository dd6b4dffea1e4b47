//! Words to a command: which options there are, for which commands, and what they mean together. Single values are read
//! in [`super::values`].

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use super::Error;
use super::values::{emulator_folder, format, scope, seconds, targets};
use crate::flags::Flags;
use crate::request::{
    Command, CommonArgs, CopySpec, DesiredState, Format, HOST_EMULATOR_DIR, Label, PROBE_TIMEOUT, RegisterArgs,
    ResidentArgs, Verbosity,
};
use crate::table::EMULATOR_DIR;

const COMMANDS: &[&str] =
    &["register", "unregister", "status", "verify", "doctor", "run", "persist", "unpersist", "export"];

/// Options that are for some commands only.
const OPTIONS: &[(&str, &[&str])] = &[
    ("keep", &["register", "status"]),
    ("dry-run", &["register", "unregister"]),
    ("temporary", &["register"]),
    ("verify", &["register"]),
    ("stay", &["register"]),
    ("unregister-on-exit", &["register"]),
    ("scope", &["register", "unregister"]),
    ("credentials", &["register", "status", "run", "persist", "export"]),
    ("preserve-argv0", &["register", "status", "run", "persist", "export"]),
    ("no-fix-binary", &["register", "status", "run", "persist", "export"]),
    ("flags", &["register", "status", "run", "persist", "export"]),
    ("json", &["status", "verify"]),
    ("timeout", &["verify", "doctor"]),
    ("check", &["status"]),
    ("copy-to", &["register", "persist", "unpersist"]),
    ("selinux-label", &["register", "persist"]),
    ("format", &["persist", "unpersist", "export"]),
    ("root", &["persist", "unpersist"]),
    ("unit", &["persist"]),
    ("bindir", &["register", "unregister", "status", "verify", "doctor", "run", "persist", "export"]),
    ("mount", &["register", "unregister", "status", "verify", "doctor"]),
];

/// The words of a command line.
#[derive(Default)]
struct ParsedArgs {
    command: Option<String>,
    names: Vec<String>,
    program: Vec<OsString>,
    /// Those of [`OPTIONS`] that were given.
    given: Vec<&'static str>,
    mount: Option<OsString>,
    emulators: Option<OsString>,
    copies: Option<OsString>,
    label: Option<OsString>,
    format: Option<Format>,
    root: Option<OsString>,
    flags: Option<OsString>,
    limit: Option<Duration>,
    detail: Verbosity,
}

/// Reads the command line, the program's own name first.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut words = ParsedArgs::default();
    let answer = words.read(lexopt::Parser::from_iter(arguments));
    let is_run = words.command.as_deref() == Some("run");
    let command = answer.and_then(|answer| answer.map_or_else(|| words.command(), Ok));
    command.map_err(|error| if is_run { Error::OfRun(Box::new(error)) } else { error })
}

impl ParsedArgs {
    /// Takes the words, until one asks for something at once.
    fn read(&mut self, mut parser: lexopt::Parser) -> Result<Option<Command>, Error> {
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') => return Ok(Some(Command::Help(None))),
                Short('V') => return Ok(Some(Command::Version)),
                Short('q') | Long("quiet") => self.detail = Verbosity::Quiet,
                Short('v') | Long("verbose") => self.detail = Verbosity::Verbose,
                Long(option @ ("help" | "version")) => {
                    let answer = if option == "help" { Command::Help(None) } else { Command::Version };
                    let option = format!("--{option}");
                    return match parser.optional_value() {
                        None => Ok(Some(answer)),
                        Some(value) => Err(lexopt::Error::UnexpectedValue { option, value }.into()),
                    };
                }
                Long(option) => {
                    let known = OPTIONS.iter().find(|(name, _)| *name == option);
                    let Some(&(name, _)) = known else { return Err(Long(option).unexpected().into()) };
                    self.given.push(name);
                    match name {
                        "mount" => self.mount = Some(parser.value()?),
                        "bindir" => self.emulators = Some(parser.value()?),
                        "copy-to" => self.copies = Some(parser.value()?),
                        "selinux-label" => self.label = Some(parser.value()?),
                        "format" => self.format = Some(format(&parser.value()?)?),
                        "root" => self.root = Some(parser.value()?),
                        "flags" => self.flags = Some(parser.value()?),
                        "timeout" => self.limit = Some(seconds(&parser.value()?)?),
                        "scope" => scope(&parser.value()?)?,
                        _ => {}
                    }
                }
                Value(word) if self.command.is_none() => self.command = Some(word.string()?),
                Value(word) if self.command.as_deref() == Some("run") => {
                    self.program.push(word);
                    self.program.extend(parser.raw_args()?);
                }
                Value(word) => self.names.extend(word.string()?.split(',').map(str::to_ascii_lowercase)),
                unknown => return Err(unknown.unexpected().into()),
            }
        }
        Ok(None)
    }

    fn has(&self, option: &str) -> bool {
        self.given.contains(&option)
    }

    /// What they mean together.
    fn command(self) -> Result<Command, Error> {
        let command = self.command.as_deref().unwrap_or("status");
        if !COMMANDS.contains(&command) {
            return Err(Error::Command(command.into()));
        }
        for &(option, commands) in OPTIONS {
            if self.has(option) && !commands.contains(&command) {
                return Err(Error::NotForThis { option, commands });
            }
        }
        let [stay, temporary, dry_run, verify] =
            ["stay", "temporary", "dry-run", "verify"].map(|option| self.has(option));
        let [unregister_on_exit, has_unit] = ["unregister-on-exit", "unit"].map(|option| self.has(option));
        for (is_given, option, other) in [
            (unregister_on_exit && !stay, "unregister-on-exit", "is for --stay alone"),
            (stay && temporary, "temporary", "has no meaning with --stay"),
            (stay && dry_run, "dry-run", "has no meaning with --stay"),
            (verify && dry_run, "dry-run", "has no meaning with --verify"),
            (has_unit && self.format != Some(Format::Systemd), "unit", "is for --format systemd alone"),
        ] {
            if is_given {
                return Err(Error::Together { option, why: other });
            }
        }
        let [json, check] = ["json", "check"].map(|option| self.has(option));
        let program = self.program.clone();
        let (format, root) = (self.format, self.root.clone().map(PathBuf::from));
        if command == "unpersist" && !self.names.is_empty() {
            return Err(Error::Names);
        }
        let limit = self.limit.unwrap_or(PROBE_TIMEOUT);
        let command = command.to_owned();
        let args = self.args(&command)?;
        Ok(match command.as_str() {
            "register" => {
                let stay = stay.then_some(ResidentArgs { unregister_on_exit });
                Command::Register(RegisterArgs { args, dry_run, temporary, verify, stay })
            }
            "unregister" => Command::Unregister { args, dry_run },
            "doctor" => Command::Doctor { args, limit },
            "verify" => Command::Verify { args, json, limit },
            "export" => Command::Export { args },
            "persist" | "unpersist" => match (format, root) {
                (None, _) => return Err(Error::Lacks { command, option: "--format" }),
                (_, None) => return Err(Error::Lacks { command, option: "--root" }),
                (Some(format), Some(root)) if command == "persist" => Command::Persist { args, format, has_unit, root },
                (Some(_), Some(root)) => Command::Unpersist { args, root },
            },
            "run" if program.is_empty() => return Err(Error::NoProgram),
            "run" => Command::Run { args, program },
            _ => Command::Status { args, json, check },
        })
    }

    fn args(self, command: &str) -> Result<CommonArgs, Error> {
        if self.mount.as_ref().is_some_and(|folder| folder.is_empty()) {
            return Err(Error::Mount);
        }
        let flags = self.wanted_flags()?;
        // What is removed is in whatever folder: there the environment must not be in the way.
        let is_removal = ["unregister", "unpersist"].contains(&command);
        let environment = || env::var_os("BINDIR").filter(|folder| !is_removal && !folder.is_empty());
        let named = match (&self.emulators, &self.copies) {
            // For `register` the environment names where they are to be copied, as in another image.
            (None, None) => environment().map(|folder| ("BINDIR", folder)),
            (_, folder) => folder.clone().map(|folder| ("--copy-to", folder)),
        };
        // Of these two there is always a folder on the host.
        let usual = || command.ends_with("persist").then(|| ("--copy-to", HOST_EMULATOR_DIR.into()));
        let named = named.or_else(usual);
        let mut emulators = match &self.emulators {
            Some(folder) => emulator_folder("--bindir", folder, &flags)?,
            None => EMULATOR_DIR.into(),
        };
        let (mut emulators_from, mut copies) = ("--bindir", None);
        if let Some((source, folder)) = named {
            let folder = emulator_folder(source, &folder, &flags)?;
            if ["register", "persist"].contains(&command) {
                copies = Some(CopySpec { from: emulators, label: self.wanted_label()? });
            } else {
                emulators_from = source;
            }
            emulators = folder;
        } else if self.label.is_some() {
            return Err(Error::Together { option: "selinux-label", why: "is for --copy-to alone" });
        }
        Ok(CommonArgs {
            desired: DesiredState { emulators, flags, keep_foreign: self.has("keep") },
            in_user_namespace: self.has("scope"),
            targets: targets(self.names)?,
            mount: self.mount.map(PathBuf::from),
            copies,
            emulators_from,
            detail: self.detail,
            ..CommonArgs::default()
        })
    }

    /// How copies are to be labelled; in the environment as another image has it.
    fn wanted_label(&self) -> Result<Label, Error> {
        let environment = || env::var_os("CHCON").map(|words| ("CHCON", words));
        let named = self.label.clone().map(|word| ("--selinux-label", word)).or_else(environment);
        let Some((source, word)) = named else { return Ok(Label::default()) };
        let parsed = word.to_str().and_then(if source == "CHCON" { Label::parse_chcon } else { Label::parse });
        parsed.ok_or_else(|| Error::Label { source, word: word.to_string_lossy().into_owned() })
    }

    fn wanted_flags(&self) -> Result<Flags, Error> {
        let single = ["credentials", "preserve-argv0", "no-fix-binary"].map(|option| self.has(option));
        let Some(raw) = &self.flags else {
            let [credentials, preserve_argv0, no_fix_binary] = single;
            return Ok(Flags::new(preserve_argv0, credentials, !no_fix_binary));
        };
        if single.contains(&true) {
            return Err(Error::Together { option: "flags", why: "stands alone, it holds all flags" });
        }
        raw.to_str().and_then(Flags::raw).ok_or_else(|| Error::Flags(raw.to_string_lossy().into_owned()))
    }
}
