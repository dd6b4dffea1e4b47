//! The command line of this program, checked as far as the table and the words themselves tell. Other images' command
//! lines are read in [`crate::dialects`].

mod error;
mod help;

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::dialects::{Dialect, Foreign, Naming, names};
use crate::flags::Flags;
use crate::host::{Copies, Label};
use crate::persist::{self, Format};
use crate::plan::Wanted;
use crate::table::{EMULATOR_DIR, LONGEST_LINE, SPARES, TABLE};
use crate::verify;

pub(crate) use error::Error;
pub(crate) use help::HELP;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Register(Register),
    Unregister {
        asked: Asked,
        dry_run: bool,
    },
    Status {
        asked: Asked,
        json: bool,
        check: bool,
    },
    Verify {
        asked: Asked,
        json: bool,
        limit: Duration,
    },
    Doctor {
        asked: Asked,
        limit: Duration,
    },
    Run {
        asked: Asked,
        program: Vec<OsString>,
    },
    Persist {
        asked: Asked,
        format: Format,
        root: PathBuf,
    },
    Unpersist {
        asked: Asked,
        format: Format,
        root: PathBuf,
    },
    Export {
        asked: Asked,
        format: Format,
    },
    /// What another image's command line asks for.
    Foreign(Foreign),
    Help(Option<Dialect>),
    Version,
}

/// Of which targets, where, how, and how much is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// QEMU's names, each once; empty if none is named.
    pub(crate) targets: Vec<&'static str>,
    /// The only place for `binfmt_misc`.
    pub(crate) mount: Option<PathBuf>,
    pub(crate) wanted: Wanted,
    /// If they are to be copied to the folder that is registered.
    pub(crate) copies: Option<Copies>,
    /// Where a user has named the folder of the emulators that are there.
    pub(crate) emulators_from: &'static str,
    /// A user namespace's handlers are what is wanted.
    pub(crate) in_user_namespace: bool,
    pub(crate) detail: Detail,
    /// In whose words it is told, where not in our own.
    pub(crate) dialect: Option<Dialect>,
    /// How entries and emulators are named, where not as in the table.
    pub(crate) naming: Option<Naming>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            mount: None,
            wanted: Wanted::default(),
            copies: None,
            emulators_from: "--bindir",
            in_user_namespace: false,
            detail: Detail::default(),
            dialect: None,
            naming: None,
        }
    }
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Failures only.
    Quiet,
    #[default]
    Normal,
    /// What was found, and what is written.
    Verbose,
}

/// What else can be asked of `register`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Register {
    pub(crate) asked: Asked,
    /// All or nothing.
    pub(crate) atomic: bool,
    pub(crate) dry_run: bool,
    /// Handlers that go with this mount namespace are what is wanted.
    pub(crate) temporary: bool,
    /// Foreign programs must have run.
    pub(crate) verify: bool,
    pub(crate) stay: Option<Stay>,
}

/// What a resident does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) unregister_on_exit: bool,
}

const COMMANDS: &[&str] =
    &["register", "unregister", "status", "verify", "doctor", "run", "persist", "unpersist", "export"];

/// Options that are for some commands only.
const OPTIONS: &[(&str, &[&str])] = &[
    ("keep", &["register", "status"]),
    ("atomic", &["register"]),
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
    ("bindir", &["register", "unregister", "status", "verify", "doctor", "run", "persist", "export"]),
    ("mount", &["register", "unregister", "status", "verify", "doctor"]),
];

/// The words of a command line.
#[derive(Default)]
struct Words {
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
    detail: Detail,
}

/// Reads the command line, the program's own name first.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut words = Words::default();
    let answer = words.read(lexopt::Parser::from_iter(arguments));
    let is_run = words.command.as_deref() == Some("run");
    let command = answer.and_then(|answer| answer.map_or_else(|| words.command(), Ok));
    command.map_err(|error| if is_run { Error::OfRun(Box::new(error)) } else { error })
}

impl Words {
    /// Takes the words, until one asks for something at once.
    fn read(&mut self, mut parser: lexopt::Parser) -> Result<Option<Command>, Error> {
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') => return Ok(Some(Command::Help(None))),
                Short('V') => return Ok(Some(Command::Version)),
                Short('q') | Long("quiet") => self.detail = Detail::Quiet,
                Short('v') | Long("verbose") => self.detail = Detail::Verbose,
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
        let [stay, temporary, atomic, dry_run, verify] =
            ["stay", "temporary", "atomic", "dry-run", "verify"].map(|option| self.has(option));
        let unregister_on_exit = self.has("unregister-on-exit");
        for (is_given, option, other) in [
            (unregister_on_exit && !stay, "unregister-on-exit", "is for --stay alone"),
            (stay && temporary, "temporary", "has no meaning with --stay"),
            (stay && dry_run, "dry-run", "has no meaning with --stay"),
            (verify && dry_run, "dry-run", "has no meaning with --verify"),
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
        let limit = self.limit.unwrap_or(verify::LIMIT);
        let command = command.to_owned();
        let asked = self.asked(&command)?;
        Ok(match command.as_str() {
            "register" => {
                let stay = stay.then_some(Stay { unregister_on_exit });
                Command::Register(Register { asked, atomic, dry_run, temporary, verify, stay })
            }
            "unregister" => Command::Unregister { asked, dry_run },
            "doctor" => Command::Doctor { asked, limit },
            "verify" => Command::Verify { asked, json, limit },
            "export" => Command::Export { asked, format: format.unwrap_or(Format::BinfmtD) },
            "persist" | "unpersist" => match (format, root) {
                (None, _) => return Err(Error::Lacks { command, option: "--format" }),
                (_, None) => return Err(Error::Lacks { command, option: "--root" }),
                (Some(format), Some(root)) if command == "persist" => Command::Persist { asked, format, root },
                (Some(format), Some(root)) => Command::Unpersist { asked, format, root },
            },
            "run" if program.is_empty() => return Err(Error::NoProgram),
            "run" => Command::Run { asked, program },
            _ => Command::Status { asked, json, check },
        })
    }

    fn asked(self, command: &str) -> Result<Asked, Error> {
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
        let usual = || command.ends_with("persist").then(|| ("--copy-to", persist::EMULATORS.into()));
        let named = named.or_else(usual);
        let mut emulators = match &self.emulators {
            Some(folder) => emulator_folder("--bindir", folder, &flags)?,
            None => EMULATOR_DIR.into(),
        };
        let (mut emulators_from, mut copies) = ("--bindir", None);
        if let Some((source, folder)) = named {
            let folder = emulator_folder(source, &folder, &flags)?;
            if ["register", "persist"].contains(&command) {
                copies = Some(Copies { from: emulators, label: self.wanted_label()? });
            } else {
                emulators_from = source;
            }
            emulators = folder;
        } else if self.label.is_some() {
            return Err(Error::Together { option: "selinux-label", why: "is for --copy-to alone" });
        }
        Ok(Asked {
            wanted: Wanted { emulators, flags, keep: self.has("keep") },
            in_user_namespace: self.has("scope"),
            targets: targets(self.names)?,
            mount: self.mount.map(PathBuf::from),
            copies,
            emulators_from,
            detail: self.detail,
            ..Asked::default()
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

fn seconds(word: &OsStr) -> Result<Duration, Error> {
    match word.to_str().and_then(|word| word.parse().ok()) {
        Some(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::Timeout(word.to_string_lossy().into_owned())),
    }
}

fn format(word: &OsStr) -> Result<Format, Error> {
    word.to_str().and_then(Format::parse).ok_or_else(|| Error::Format(word.to_string_lossy().into_owned()))
}

/// The one scope that must be named.
fn scope(word: &OsStr) -> Result<(), Error> {
    if word == "userns" { Ok(()) } else { Err(Error::Scope(word.to_string_lossy().into_owned())) }
}

/// The targets that the names mean, each once.
fn targets(names: Vec<String>) -> Result<Vec<&'static str>, Error> {
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
    target == crate::native::HOST || TABLE.handlers_of(target).next().is_some()
}

/// A folder that can stand in a rule, in the one spelling that entries are compared by.
pub(crate) fn emulator_folder(source: &'static str, folder: &OsStr, flags: &Flags) -> Result<String, Error> {
    let refused = |why| Err(Error::Emulators { source, folder: folder.to_string_lossy().into(), why });
    let Some(folder) = folder.to_str() else { return refused("not UTF-8") };
    let parts = folder.split('/').filter(|part| !matches!(*part, "" | "."));
    let plain: String = parts.flat_map(|part| ["/", part]).collect();
    let too_long =
        || TABLE.handlers.iter().any(|handler| handler.line_with(SPARES[1], &plain, flags).len() > LONGEST_LINE);
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
        Asked { targets: targets.into(), ..Asked::default() }
    }

    #[test]
    fn command_lines() {
        let register = |asked| Register { asked, ..Register::default() };
        let status = |targets, json| Command::Status { asked: asked(targets), json, check: false };
        let wanted =
            |flags, keep| Wanted { flags: Flags::raw(flags).expect("flags"), keep, emulators: "/usr/bin".into() };
        let elsewhere = || Asked {
            mount: Some("/m".into()),
            wanted: Wanted { emulators: "/opt".into(), ..wanted("F", false) },
            ..asked(&[])
        };
        let cases = [
            ("registrar", status(&[], false)),
            ("registrar --json", status(&[], true)),
            ("registrar status arm64", status(&["aarch64"], false)),
            ("registrar register", Command::Register(register(asked(&[])))),
            ("registrar register arm64,S390X linux/arm64", Command::Register(register(asked(&["aarch64", "s390x"])))),
            ("registrar register linux/aarch64", Command::Register(register(asked(&["aarch64"])))),
            (
                "registrar --mount /m unregister --bindir=/opt/",
                Command::Unregister { asked: elsewhere(), dry_run: false },
            ),
            (
                "registrar register -q --keep --atomic --dry-run --temporary --scope=userns --credentials arm64",
                Command::Register(Register {
                    asked: Asked {
                        wanted: wanted("OCF", true),
                        in_user_namespace: true,
                        detail: Detail::Quiet,
                        ..asked(&["aarch64"])
                    },
                    atomic: true,
                    dry_run: true,
                    temporary: true,
                    verify: false,
                    stay: None,
                }),
            ),
            (
                "registrar register --bindir /opt --copy-to=/host//q/ --selinux-label lib_t",
                Command::Register(register(Asked {
                    wanted: Wanted { emulators: "/host/q".into(), ..wanted("F", false) },
                    copies: Some(Copies { from: "/opt".into(), label: Label::parse("lib_t").expect("a label") }),
                    ..asked(&[])
                })),
            ),
            (
                "registrar register --stay --unregister-on-exit --preserve-argv0 --no-fix-binary -v",
                Command::Register(Register {
                    stay: Some(Stay { unregister_on_exit: true }),
                    ..register(Asked { wanted: wanted("P", false), detail: Detail::Verbose, ..asked(&[]) })
                }),
            ),
            (
                "registrar status --check --flags FP",
                Command::Status {
                    asked: Asked { wanted: wanted("PF", false), ..asked(&[]) },
                    json: false,
                    check: true,
                },
            ),
            (
                "registrar run --bindir /opt ls -l --mount x",
                Command::Run {
                    asked: Asked { mount: None, ..elsewhere() },
                    program: ["ls", "-l", "--mount", "x"].map(OsString::from).into(),
                },
            ),
            ("registrar run -- -x", Command::Run { asked: asked(&[]), program: vec!["-x".into()] }),
            (
                "registrar verify --timeout 2 arm64",
                Command::Verify { asked: asked(&["aarch64"]), json: false, limit: Duration::from_secs(2) },
            ),
            ("registrar doctor s390x", Command::Doctor { asked: asked(&["s390x"]), limit: verify::LIMIT }),
            ("registrar verify --json", Command::Verify { asked: asked(&[]), json: true, limit: verify::LIMIT }),
            (
                "registrar persist --root /host --format systemd arm64",
                Command::Persist {
                    asked: Asked {
                        wanted: Wanted { emulators: persist::EMULATORS.into(), ..wanted("F", false) },
                        copies: Some(Copies { from: "/usr/bin".into(), label: Label::Auto }),
                        ..asked(&["aarch64"])
                    },
                    format: Format::BinfmtD,
                    root: "/host".into(),
                },
            ),
            (
                "registrar export --bindir /opt --format binfmt-support",
                Command::Export { asked: Asked { mount: None, ..elsewhere() }, format: Format::BinfmtSupport },
            ),
            ("registrar register --version", Command::Version),
            ("registrar -h", Command::Help(None)),
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
            assert_eq!(
                emulator_folder("--bindir", OsStr::new(typed), &Flags::default()).ok().as_deref(),
                Some(expected),
                "{typed}"
            );
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
            ("registrar register --json", "--json is for status, verify; see registrar --help"),
            ("registrar unregister --keep", "--keep is for register, status; see registrar --help"),
            ("registrar status --dry-run", "--dry-run is for register, unregister; see registrar --help"),
            (
                "registrar register --unregister-on-exit",
                "--unregister-on-exit is for --stay alone; see registrar --help",
            ),
            ("registrar register --stay --temporary", "--temporary has no meaning with --stay; see registrar --help"),
            (
                "registrar register --flags F --credentials",
                "--flags stands alone, it holds all flags; see registrar --help",
            ),
            ("registrar register --flags F:", "--flags 'F:': capital letters only, such as OCF; see registrar --help"),
            ("registrar register --scope host", "--scope 'host': only userns must be named; see registrar --help"),
            ("registrar verify --timeout 0", "--timeout '0': not a number of seconds from 1 to 3600"),
            ("registrar verify --timeout=soon", "--timeout 'soon': not a number of seconds from 1 to 3600"),
            ("registrar status --timeout 5", "--timeout is for verify, doctor; see registrar --help"),
            ("registrar run", "run: no program; see registrar --help"),
            ("registrar register arm46 s390x,pdp11", "unknown architecture: 'arm46' (did you mean arm64?), 'pdp11'"),
            ("registrar register arm64,", "unknown architecture: ''"),
            ("registrar register --bindir opt", "--bindir 'opt': not an absolute path"),
            ("registrar register --copy-to q", "--copy-to 'q': not an absolute path"),
            ("registrar status --copy-to /q", "--copy-to is for register, persist, unpersist; see registrar --help"),
            ("registrar persist --root /", "persist needs --format; see registrar --help"),
            ("registrar unpersist --format openrc", "unpersist needs --root; see registrar --help"),
            (
                "registrar persist --root / --format systemD",
                "--format 'systemD': not systemd, openrc or binfmt-support",
            ),
            (
                "registrar unpersist --root / --format openrc arm64",
                "unpersist removes all that persist has written; it takes no architectures",
            ),
            (
                "registrar register --selinux-label bin_t",
                "--selinux-label is for --copy-to alone; see registrar --help",
            ),
            (
                "registrar register --copy-to /q --selinux-label a:b",
                "--selinux-label 'a:b': not auto, none, a type such as bin_t, or a whole label",
            ),
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
