//! What a test program did, and the line in which the process that ran it tells the one that asked.
//!
//! Both are the same program, and no emulator can write between them; a line that makes no sense is still refused.

use nix::errno::Errno;

use crate::output::escaped;
use crate::sys::errno_text;
use crate::table::TABLE;

/// How a program ends that finds nothing wrong.
pub(super) const GOOD: ProbeExit = ProbeExit::Exited(TABLE.probe_status as i32);

/// What the tool knows of one target's test program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProbeResult {
    /// How the run ended in which it was to start a second program.
    pub(super) end: ProbeExit,
    /// How one alone ended, where that was tried to find out who was at fault.
    pub(super) alone: Option<ProbeExit>,
    /// What it wrote: the beginning of what it took for its own name.
    pub(super) written: Vec<u8>,
    pub(super) set_user_id: SetUserId,
    /// The file that the kernel executed, where it could be seen.
    pub(super) emulator: Option<String>,
    /// Whether root of this user namespace owns that file.
    pub(super) is_of_root: bool,
    /// The first line of standard error.
    pub(super) stderr_line: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ProbeExit {
    /// The kernel did not start it.
    Refused(Errno),
    Exited(i32),
    /// By a signal of this number.
    Killed(i32),
    #[default]
    TimedOut,
}

impl ProbeExit {
    /// What is wrong with who runs a test program that ends so, unless it is well or cannot be told.
    pub(super) fn fault(self, is_image: bool) -> Option<String> {
        match self {
            GOOD => None,
            // A security module's answer.
            Self::Refused(Errno::EACCES | Errno::EPERM) => None,
            // The host's translator, or a library of it: this image has nothing but emulators.
            Self::Refused(Errno::ENOENT) if is_image => None,
            Self::Refused(errno) => Some(errno_text(errno)),
            Self::Exited(status) => Some(format!("exit status {status} of a test program, not {}", TABLE.probe_status)),
            Self::Killed(signal) => Some(format!("a test program was killed by signal {signal}")),
            Self::TimedOut => Some("a test program did not end".into()),
        }
    }
}

/// Whether a program ran as the user whose file it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum SetUserId {
    /// Or it was not asked for.
    #[default]
    AsAsked,
    Ignored,
    NotChecked(String),
}

impl ProbeExit {
    fn text(self) -> String {
        let (word, number) = match self {
            Self::Refused(errno) => ("refused", errno as i32),
            Self::Exited(status) => ("exited", status),
            Self::Killed(signal) => ("killed", signal),
            Self::TimedOut => ("timeout", 0),
        };
        format!("{word} {number}")
    }

    fn of_text(text: &str) -> Option<Self> {
        let (word, number) = text.split_once(' ')?;
        let number = number.parse().ok()?;
        match word {
            "refused" => Some(Self::Refused(Errno::from_raw(number))),
            "exited" => Some(Self::Exited(number)),
            "killed" => Some(Self::Killed(number)),
            "timeout" => Some(Self::TimedOut),
            _ => None,
        }
    }
}

impl ProbeResult {
    /// Fields between tabs, of which no field has one.
    pub(super) fn line(&self, name: &str) -> String {
        let set_user_id = match &self.set_user_id {
            SetUserId::AsAsked => "-".into(),
            SetUserId::Ignored => "ignored".into(),
            SetUserId::NotChecked(why) => format!("unchecked {}", escaped(why)),
        };
        let written: String = self.written.iter().map(|byte| format!("{byte:02x}")).collect();
        let fields = [
            name.into(),
            self.end.text(),
            self.alone.map(ProbeExit::text).unwrap_or_default(),
            written,
            set_user_id,
            escaped(self.emulator.as_deref().unwrap_or_default()).into_owned(),
            if self.is_of_root { "root".into() } else { String::new() },
            escaped(&self.stderr_line).into_owned(),
        ];
        fields.join("\t") + "\n"
    }

    /// The name and what was told of it.
    pub(super) fn of_line(line: &str) -> Option<(&str, Self)> {
        let fields: Vec<_> = line.split('\t').collect();
        let &[name, end, alone, written, set_user_id, emulator, owner, stderr_line] = fields.as_slice() else {
            return None;
        };
        let set_user_id = match set_user_id {
            "-" => SetUserId::AsAsked,
            "ignored" => SetUserId::Ignored,
            other => SetUserId::NotChecked(other.strip_prefix("unchecked ")?.into()),
        };
        let byte = |at| u8::from_str_radix(written.get(at..at + 2)?, 16).ok();
        let ran = Self {
            end: ProbeExit::of_text(end)?,
            alone: if alone.is_empty() { None } else { Some(ProbeExit::of_text(alone)?) },
            written: (0..written.len()).step_by(2).map(byte).collect::<Option<_>>()?,
            set_user_id,
            emulator: Some(emulator).filter(|path| !path.is_empty()).map(String::from),
            is_of_root: owner == "root",
            stderr_line: stderr_line.into(),
        };
        Some((name, ran))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_back() {
        let fine = ProbeResult {
            end: ProbeExit::Exited(29),
            alone: None,
            written: b"argv\0\t\n\xff".to_vec(),
            set_user_id: SetUserId::AsAsked,
            emulator: Some("/usr/bin/qemu-arm-static".into()),
            is_of_root: true,
            stderr_line: String::new(),
        };
        let cases = [
            fine.clone(),
            ProbeResult {
                end: ProbeExit::Refused(Errno::ENOENT),
                alone: Some(ProbeExit::TimedOut),
                emulator: None,
                is_of_root: false,
                ..fine.clone()
            },
            ProbeResult { end: ProbeExit::Killed(11), stderr_line: "a b".into(), ..fine.clone() },
            ProbeResult {
                end: ProbeExit::TimedOut,
                set_user_id: SetUserId::Ignored,
                written: Vec::new(),
                ..fine.clone()
            },
            ProbeResult { set_user_id: SetUserId::NotChecked("so it is".into()), ..fine.clone() },
        ];
        for ran in cases {
            let line = ran.line("qemu-arm");
            assert_eq!(ProbeResult::of_line(line.trim_end_matches('\n')), Some(("qemu-arm", ran)), "{line}");
        }
    }

    #[test]
    fn no_field_breaks_a_line() {
        let ran = ProbeResult {
            end: ProbeExit::Exited(0),
            alone: None,
            written: Vec::new(),
            set_user_id: SetUserId::NotChecked("a\tb".into()),
            emulator: Some("/a\nb".into()),
            is_of_root: true,
            stderr_line: "\tc".into(),
        };
        let line = ran.line("x");
        assert_eq!((line.matches('\t').count(), line.matches('\n').count()), (7, 1));
    }

    #[test]
    fn what_is_no_line() {
        for line in [
            "",
            "x\texited 29",
            "x\tdied 1\t\t\t-\t\t\t",
            "x\texited 29\t\tzz\t-\t\t\t",
            "x\texited 1\t\t\tmaybe\t\t\t",
        ] {
            assert_eq!(ProbeResult::of_line(line), None, "{line:?}");
        }
    }
}
