//! Which options exist, for which commands, and which combinations are refused.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use super::Error;
use super::values::{
    SCOPE, binary_environment, emulator_folder, format, label, number, refused, scope_environment, targets,
};
use crate::flags::Flags;
use crate::output::CANNOT_RUN;
use crate::request::{
    BinaryName, Command, CommonArgs, CopySpec, DesiredState, Format, HOST_EMULATOR_DIR, PROBE_TIMEOUT, RegisterArgs,
    ResidentArgs, Verbosity, VerifyArgs,
};
use crate::table::EMULATOR_DIR;

const COMMANDS: &[&str] =
    &["register", "unregister", "status", "verify", "doctor", "run", "persist", "unpersist", "export"];

/// Commands about what is registered, for which tonistiigi's variables name the emulators.
const KERNEL_COMMANDS: &[&str] = &["register", "unregister", "status", "verify", "doctor"];

/// Options, whether each has a value, and the commands that take it. `status --check` takes all of `register`'s, so that
/// both can be told the same; it passes over those that change no entry.
const OPTIONS: &[(&str, bool, &[&str])] = &[
    ("keep", false, &["register", "status", "persist"]),
    ("dry-run", false, &["register", "status", "unregister"]),
    ("temporary", false, &["register", "status"]),
    ("verify", false, &["register", "status"]),
    ("stay", false, &["register", "status"]),
    ("unregister-on-exit", false, &["register", "status"]),
    ("scope", true, &["register", "unregister", "status"]),
    ("credentials", false, &["register", "status", "run", "persist", "export"]),
    ("preserve-argv0", false, &["register", "status", "run", "persist", "export"]),
    ("no-fix-binary", false, &["register", "status", "run", "persist", "export"]),
    ("flags", true, &["register", "status", "run", "persist", "export"]),
    ("json", false, &["status", "verify", "doctor"]),
    ("timeout", true, &["verify", "doctor"]),
    ("wait", true, &["verify"]),
    ("repeat", true, &["verify"]),
    ("check", false, &["status"]),
    ("copy-to", true, &["register", "status", "persist", "unpersist"]),
    ("selinux-label", true, &["register", "status", "persist"]),
    // `unpersist` and `export` ignore it: both formats have the same files. Scripts pass it to all three.
    ("format", true, &["persist", "unpersist", "export"]),
    ("root", true, &["persist", "unpersist", "status"]),
    ("persisted", false, &["status"]),
    ("unit", false, &["persist"]),
    ("bindir", true, &["register", "unregister", "status", "verify", "doctor", "run", "persist", "export"]),
    ("mount", true, &["register", "unregister", "status", "verify", "doctor"]),
];

#[derive(Default)]
struct ParsedArgs {
    command: Option<String>,
    names: Vec<String>,
    /// `run`'s program and its arguments.
    program: Vec<OsString>,
    /// Options, with an empty value for those that have none.
    options: Vec<(&'static str, OsString)>,
    detail: Verbosity,
}

/// Parses the command line; the first argument is the program's own name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut parsed = ParsedArgs::default();
    let early = parsed.read(lexopt::Parser::from_iter(arguments));
    let is_run = parsed.command.as_deref() == Some("run");
    let command = early.and_then(|early| match early {
        Some(early) => parsed.check_words().map(|_| early),
        None => parsed.command(),
    });
    command.map_err(|error| if is_run { Error { code: CANNOT_RUN, ..error } } else { error })
}

impl ParsedArgs {
    /// Reads all arguments. Returns what the first of `--help` and `--version` asks for.
    fn read(&mut self, mut parser: lexopt::Parser) -> Result<Option<Command>, Error> {
        let mut early = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') => early = early.or(Some(Command::Help(None))),
                Short('V') => early = early.or(Some(Command::Version)),
                Short('q') | Long("quiet") => self.detail = Verbosity::Quiet,
                Short('v') | Long("verbose") => self.detail = Verbosity::Verbose,
                Long(option @ ("help" | "version")) => {
                    let command = if option == "help" { Command::Help(None) } else { Command::Version };
                    let option = format!("--{option}");
                    if let Some(value) = parser.optional_value() {
                        return Err(lexopt::Error::UnexpectedValue { option, value }.into());
                    }
                    early = early.or(Some(command));
                }
                Long(option) => {
                    let known = OPTIONS.iter().find(|(name, ..)| *name == option);
                    let Some(&(name, has_value, _)) = known else { return Err(Long(option).unexpected().into()) };
                    self.options.push((name, if has_value { parser.value()? } else { OsString::new() }));
                }
                Value(word) if self.command.is_none() => self.command = Some(word.string()?),
                Value(word) if self.command.as_deref() == Some("run") => {
                    self.program.push(word);
                    self.program.extend(parser.raw_args()?);
                }
                Value(word) => self.names.push(word.string()?),
                unknown => return Err(unknown.unexpected().into()),
            }
        }
        Ok(early)
    }

    /// The command and the targets, if all words are known.
    fn check_words(&self) -> Result<(&str, Vec<&'static str>), Error> {
        let command = self.command.as_deref().unwrap_or("status");
        if !COMMANDS.contains(&command) {
            return Err(Error::usage(format!("unknown command: {command}")));
        }
        Ok((command, targets(&mut self.names.iter().map(String::as_str))?))
    }

    fn has(&self, option: &str) -> bool {
        self.value(option).is_some()
    }

    /// The last value of an option.
    fn value(&self, option: &str) -> Option<&OsStr> {
        self.options.iter().rfind(|(name, _)| *name == option).map(|(_, value)| value.as_os_str())
    }

    fn command(self) -> Result<Command, Error> {
        let (command, targets) = self.check_words()?;
        for (option, _, commands) in OPTIONS {
            if self.has(option) && !commands.contains(&command) {
                return Err(Error::usage(format!("--{option} is for {}", commands.join(", "))));
            }
        }
        let format = self.value("format").map(format).transpose()?;
        let [stay, dry_run, verify, temporary] =
            ["stay", "dry-run", "verify", "temporary"].map(|option| self.has(option));
        let [unregister_on_exit, has_unit] = ["unregister-on-exit", "unit"].map(|option| self.has(option));
        for (is_wrong, cause) in [
            (unregister_on_exit && !stay, "--unregister-on-exit needs --stay"),
            (temporary && stay, "--temporary cannot be combined with --stay"),
            (dry_run && stay, "--dry-run cannot be combined with --stay"),
            (dry_run && verify, "--dry-run cannot be combined with --verify"),
            (has_unit && format != Some(Format::Systemd), "--unit needs --format systemd"),
            (command == "persist" && format.is_none(), "persist needs --format"),
            (command == "persist" && !self.has("root"), "persist needs --root"),
            (command == "unpersist" && !self.has("root"), "unpersist needs --root"),
            (
                command == "status" && self.has("root") != self.has("persisted"),
                "status: --persisted and --root go together",
            ),
            (self.has("persisted") && self.has("json"), "--persisted cannot be combined with --json"),
            (command == "run" && self.program.is_empty(), "run: no program"),
        ] {
            if is_wrong {
                return Err(Error::usage(cause));
            }
        }
        if command == "unpersist" && !self.names.is_empty() {
            return Err(Error::new("unpersist takes no architectures: it removes everything that persist wrote"));
        }
        let seconds = |option, default| {
            self.value(option)
                .map_or(Ok(default), |value| number(option, value).map(|number| Duration::from_secs(number.into())))
        };
        let limit = seconds("timeout", PROBE_TIMEOUT)?;
        let wait = seconds("wait", Duration::ZERO)?;
        let runs = self.value("repeat").map_or(Ok(1), |value| number("repeat", value))?;
        let root = PathBuf::from(self.value("root").unwrap_or_default());
        let [json, check] = ["json", "check"].map(|option| self.has(option));
        let args = CommonArgs { targets, ..self.args(command)? };
        Ok(match (command, format) {
            ("register", _) => {
                let stay = stay.then_some(ResidentArgs { unregister_on_exit });
                Command::Register(RegisterArgs { args, dry_run, temporary, verify, stay })
            }
            ("unregister", _) => Command::Unregister { args, dry_run },
            ("doctor", _) => Command::Doctor { args, json, limit },
            ("verify", _) => Command::Verify(VerifyArgs { args, json, limit, wait, runs }),
            ("export", _) => Command::Export { args },
            ("persist", Some(format)) => Command::Persist { args, format, has_unit, root },
            ("unpersist", _) => Command::Unpersist { args, root },
            ("run", _) => Command::Run { args, program: self.program },
            _ if self.has("persisted") => Command::Persisted { args, root },
            _ => Command::Status { args, json, check },
        })
    }

    fn args(&self, command: &str) -> Result<CommonArgs, Error> {
        if self.value("mount").is_some_and(OsStr::is_empty) {
            return Err(Error::new("--mount '': no folder"));
        }
        if let Some(value) = self.value("scope").filter(|value| *value != "userns") {
            return Err(refused("--scope", value, "the only value is userns"));
        }
        let flags = self.flags()?;
        let (bindir, copy_to) = (self.value("bindir"), self.value("copy-to"));
        // Entries are removed whatever folder they name, so a BINDIR of another folder changes nothing.
        let reads_bindir = bindir.is_none() && !["unregister", "unpersist"].contains(&command);
        let environment = || env::var_os("BINDIR").filter(|folder| reads_bindir && !folder.is_empty());
        let on_host = || command.ends_with("persist").then(|| ("--copy-to", HOST_EMULATOR_DIR.into()));
        let other = copy_to.map(|folder| ("--copy-to", folder.to_owned()));
        let other = other.or_else(|| Some(("BINDIR", environment()?))).or_else(on_host);
        let (mut emulators_from, mut copies, mut naming) = (None, None, None);
        let mut emulators = EMULATOR_DIR.into();
        if let Some(folder) = bindir {
            emulators = emulator_folder("--bindir", folder, &flags)?;
        } else if KERNEL_COMMANDS.contains(&command) && other.is_none() {
            let (folder, named) = binary_environment(|name| env::var_os(name));
            if let Some((source, folder)) = folder {
                emulators = emulator_folder(source, &folder, &flags)?;
                emulators_from = Some(source);
            }
            if named.as_ref().is_some_and(|naming| !naming.is_valid()) {
                return Err(Error::new(BinaryName::REFUSED));
            }
            naming = named;
        }
        if let Some((source, folder)) = other {
            let folder = emulator_folder(source, &folder, &flags)?;
            if ["register", "persist"].contains(&command) {
                copies = Some(CopySpec { from: emulators, label: label(self.value("selinux-label"))? });
            } else {
                emulators_from = Some(source);
            }
            emulators = folder;
        } else if self.has("selinux-label") {
            return Err(Error::usage("--selinux-label needs --copy-to"));
        }
        let scope = env::var_os(SCOPE).filter(|_| ["register", "unregister"].contains(&command));
        Ok(CommonArgs {
            desired: DesiredState { emulators, flags, keep_foreign: self.has("keep") },
            in_user_namespace: self.has("scope") || scope_environment(scope.as_deref())?,
            naming,
            mount: self.value("mount").map(PathBuf::from),
            copies,
            emulators_from,
            detail: self.detail,
            ..CommonArgs::default()
        })
    }

    fn flags(&self) -> Result<Flags, Error> {
        let single = ["credentials", "preserve-argv0", "no-fix-binary"].map(|option| self.has(option));
        let [credentials, preserve_argv0, no_fix_binary] = single;
        match self.value("flags") {
            None => Ok(Flags::usual(preserve_argv0, credentials, !no_fix_binary)),
            Some(_) if single.contains(&true) => Err(Error::usage(
                "--flags names all flags; it cannot be combined with --credentials, --preserve-argv0 or --no-fix-binary",
            )),
            Some(raw) => raw.to_str().and_then(Flags::raw).ok_or_else(|| {
                Error::usage(format!("--flags '{}': capital letters only, such as OCF", raw.to_string_lossy()))
            }),
        }
    }
}
