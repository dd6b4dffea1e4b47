//! Configuration that makes a host register handlers when it starts: what its files are called, and what they say. Pure;
//! what is on the host is read and written by [`super`].

use std::fmt::Write;

use crate::plan::DesiredState;
use crate::table::Handler;

/// Begins each file of ours that may have a comment.
pub(super) const HEADER: &str = "# Written by registrar persist; registrar unpersist removes it.\n";

/// The package that files of ours name, where they can have no header.
const PACKAGE: &str = "registrar";

/// In a file of binfmt-support: which line names the interpreter, counted from 0.
const INTERPRETER: usize = 5;

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// systemd-binfmt, which reads files of rules, each a line.
    Systemd,
    /// The service `binfmt` of OpenRC, which reads the same files.
    OpenRc,
    /// update-binfmts of Debian's package binfmt-support: a file for each handler, a line for each field.
    BinfmtSupport,
}

/// A file's name and text.
pub(super) type File = (&'static str, String);

impl Format {
    /// By the name that a user types.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "systemd" => Some(Self::Systemd),
            "openrc" => Some(Self::OpenRc),
            "binfmt-support" => Some(Self::BinfmtSupport),
            _ => None,
        }
    }

    /// One with other files, which may be there as well.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Systemd | Self::OpenRc => Self::BinfmtSupport,
            Self::BinfmtSupport => Self::Systemd,
        }
    }

    /// Where its files are.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Systemd | Self::OpenRc => "/etc/binfmt.d",
            Self::BinfmtSupport => "/var/lib/binfmts",
        }
    }

    /// What makes a host that runs read them.
    pub(super) fn cure(self) -> &'static str {
        match self {
            Self::Systemd => "systemctl restart systemd-binfmt",
            Self::OpenRc => "rc-service binfmt restart",
            Self::BinfmtSupport => "update-binfmts --enable",
        }
    }

    /// Flags that it cannot express.
    pub(super) fn unknown_flags(self, desired: &DesiredState) -> String {
        let flags = desired.flags.as_str();
        let is_unknown = |letter: &char| match letter {
            'P' | 'C' | 'F' => false,
            // Implied by `C`.
            'O' => !flags.contains('C'),
            _ => true,
        };
        match self {
            Self::Systemd | Self::OpenRc => String::new(),
            Self::BinfmtSupport => flags.chars().filter(is_unknown).collect(),
        }
    }

    /// The files that register these handlers as wanted. Of binfmt.d one whose name comes after those of distributions,
    /// so that ours wins.
    pub(super) fn files(self, handlers: &[&'static Handler], desired: &DesiredState) -> Vec<File> {
        match self {
            Self::Systemd | Self::OpenRc => vec![("registrar.conf", HEADER.to_owned() + &rules(handlers, desired))],
            Self::BinfmtSupport => handlers.iter().map(|handler| (handler.name, fields(handler, desired))).collect(),
        }
    }

    /// Names that a file of ours can have.
    pub(super) fn names(self, all: &'static [Handler]) -> Vec<&'static str> {
        match self {
            Self::Systemd | Self::OpenRc => vec!["registrar.conf"],
            Self::BinfmtSupport => all.iter().map(|handler| handler.name).collect(),
        }
    }

    /// Whose a file is, if it is not ours.
    pub(super) fn other_owner(self, text: &str) -> Option<&str> {
        match self {
            Self::Systemd | Self::OpenRc => (!text.starts_with(HEADER)).then_some("somebody else"),
            Self::BinfmtSupport => match text.lines().next() {
                Some(PACKAGE) => None,
                // What an administrator has typed.
                Some(":") | None => Some("this machine's administrator"),
                package => package,
            },
        }
    }

    /// Folders of the emulators that a file of ours names.
    pub(super) fn emulator_folders(self, text: &str) -> Vec<&str> {
        let interpreters: Vec<_> = match self {
            Self::Systemd | Self::OpenRc => text.lines().filter_map(|line| line.rsplit(':').nth(1)).collect(),
            Self::BinfmtSupport => text.lines().nth(INTERPRETER).into_iter().collect(),
        };
        let mut folders: Vec<_> = interpreters.iter().filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
        folders.dedup();
        folders
    }

    /// What `export` prints: rules, or the commands that have the same effect.
    pub(super) fn exported(self, handlers: &[&'static Handler], desired: &DesiredState) -> String {
        match self {
            Self::Systemd | Self::OpenRc => rules(handlers, desired),
            Self::BinfmtSupport => handlers.iter().map(|handler| command(handler, desired)).collect(),
        }
    }
}

/// As they are written to `register`.
fn rules(handlers: &[&'static Handler], desired: &DesiredState) -> String {
    let mut text = String::new();
    for handler in handlers {
        text.push_str(&handler.line_in(&desired.emulators, &desired.flags));
        text.push('\n');
    }
    text
}

/// Offset, magic and mask as a rule has them.
fn pattern(handler: &Handler) -> [&'static str; 3] {
    let mut fields = handler.line.split(':').skip(3);
    [(); 3].map(|()| fields.next().unwrap_or_default())
}

/// `yes` or nothing for what flags `C`, `P` and `F` mean.
fn options(desired: &DesiredState) -> [(&'static str, &'static str); 3] {
    let is_set = |letter| if desired.flags.as_str().contains(letter) { "yes" } else { "" };
    [("credentials", is_set('C')), ("preserve", is_set('P')), ("fix-binary", is_set('F'))]
}

/// In the order in which update-binfmts reads them; the empty one names no detector.
fn fields(handler: &Handler, desired: &DesiredState) -> String {
    let [offset, magic, mask] = pattern(handler);
    let offset = if offset.is_empty() { "0" } else { offset };
    let interpreter = handler.interpreter(&desired.emulators);
    let mut text = String::new();
    for line in [PACKAGE, "magic", offset, magic, mask, &interpreter, ""] {
        text.push_str(line);
        text.push('\n');
    }
    for (_, value) in options(desired) {
        text.push_str(value);
        text.push('\n');
    }
    text
}

fn command(handler: &Handler, desired: &DesiredState) -> String {
    let [offset, magic, mask] = pattern(handler);
    let mut line = format!("update-binfmts --package {PACKAGE} --install {} ", handler.name);
    for (before, value) in [
        ("", handler.interpreter(&desired.emulators).as_str()),
        (" --offset ", offset),
        (" --magic ", magic),
        (" --mask ", mask),
    ] {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(line, "{before}'{}'", value.replace('\'', "'\\''"));
        }
    }
    for (name, value) in options(desired).iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(line, " --{name} {value}");
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Flags;
    use crate::table::TABLE;

    fn desired(flags: &str) -> DesiredState {
        DesiredState { emulators: "/opt/q".into(), flags: Flags::raw(flags).expect("flags"), keep_foreign: false }
    }

    #[test]
    fn what_is_written_is_known_as_ours_with_its_folder() {
        let all: Vec<_> = TABLE.handlers.iter().collect();
        for format in [Format::Systemd, Format::OpenRc, Format::BinfmtSupport] {
            let files = format.files(&all, &desired("F"));
            for (name, text) in &files {
                assert_eq!((format.other_owner(text), format.emulator_folders(text)), (None, vec!["/opt/q"]), "{name}");
                assert!(format.names(TABLE.handlers).contains(name));
            }
            assert_eq!(format.emulator_folders(""), Vec::<&str>::new());
        }
    }

    #[test]
    fn rules_have_their_fields_where_they_are_looked_for() {
        for handler in TABLE.handlers {
            assert_eq!(handler.line.split(':').count(), 8, "{}", handler.name);
            let [_, magic, mask] = pattern(handler);
            assert!(magic.contains("ELF") && mask.starts_with("\\x"), "{magic} {mask}");
        }
    }

    #[test]
    fn files_of_others() {
        let cases = [
            (Format::Systemd, "", Some("somebody else")),
            (Format::Systemd, ":qemu-arm:M::", Some("somebody else")),
            (Format::BinfmtSupport, "qemu-user-static\nmagic\n", Some("qemu-user-static")),
            (Format::BinfmtSupport, ":\nmagic\n", Some("this machine's administrator")),
            (Format::BinfmtSupport, "", Some("this machine's administrator")),
            (Format::BinfmtSupport, "registrar\n", None),
        ];
        for (format, text, owner) in cases {
            assert_eq!(format.other_owner(text), owner, "{text}");
        }
    }

    #[test]
    fn flags_without_a_word() {
        let cases = [("POCF", ""), ("F", ""), ("OF", "O"), ("DFLT", "DLT")];
        for (flags, unknown) in cases {
            assert_eq!(Format::BinfmtSupport.unknown_flags(&desired(flags)), unknown, "{flags}");
            assert_eq!(Format::Systemd.unknown_flags(&desired(flags)), "", "{flags}");
        }
    }
}
