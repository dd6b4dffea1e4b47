//! SELinux labels of copies. A confined container may execute an emulator only if its file's type is one that it may
//! execute; `bin_t` is. The label is an extended attribute, so that no `chcon` is needed.

use std::fs::File;

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use rustix::io::Errno;

use crate::request::Label;
use crate::sys;

/// The attribute.
const ATTRIBUTE: &str = "security.selinux";

/// Programs that all may execute.
const PROGRAM: &str = "bin_t";

/// Longest label that is read back, in bytes; none of ours is near it.
const LONGEST: usize = 256;

impl Label {
    /// What `--selinux-label` takes: `auto`, `none`, a type or a context.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let is_plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.,".contains(&byte))
        };
        let mut parts = word.split(':');
        match (word, parts.clone().count()) {
            ("auto", _) => Some(Self::Auto),
            ("none", _) => Some(Self::None),
            (_, 1) if is_plain(word) => Some(Self::Context(of_type(word))),
            // User, role, type; with a multi-level policy a level, and its categories.
            (_, 3..=5) if parts.all(is_plain) => Some(Self::Context(word.into())),
            _ => None,
        }
    }

    /// What another image's variable `CHCON` holds: options of chcon(1).
    pub(crate) fn parse_chcon(words: &str) -> Option<Self> {
        let words: Vec<_> = words.split_ascii_whitespace().collect();
        let typed = |name: &str| Self::parse(name).filter(|_| !name.contains(':'));
        match words.as_slice() {
            [] => Some(Self::Auto),
            ["-t" | "--type", name] => typed(name),
            [word] => match word.strip_prefix("--type=").or_else(|| word.strip_prefix("-t")) {
                Some(name) => typed(name),
                None => Self::parse(word).filter(|_| word.contains(':')),
            },
            _ => None,
        }
    }

    /// What copies are labelled on this machine, if they are.
    pub(super) fn context(&self) -> Option<String> {
        match self {
            Self::Context(context) => Some(context.clone()),
            Self::Auto => is_on().then(|| of_type(PROGRAM)),
            Self::None => None,
        }
    }
}

/// Of the system, and of no category: a new file in a container may get that container's own, which keep others out.
fn of_type(name: &str) -> String {
    format!("system_u:object_r:{name}:s0")
}

/// Whether SELinux labels this machine's files. Engines hide `/sys/fs/selinux`, so that libraries in a container think
/// that it is off; the kernel's list of file systems and this process's own label are there all the same.
fn is_on() -> bool {
    is_shown(&sys::text("/proc/filesystems"), &sys::text("/proc/self/attr/current"))
}

/// Without a policy the label is `kernel`; AppArmor's profiles have no colons.
fn is_shown(file_systems: &str, current: &str) -> bool {
    let is_known = file_systems.lines().any(|line| line.trim_start_matches("nodev").trim() == "selinuxfs");
    is_known && current.matches(':').count() >= 2
}

/// Whether a file is labelled so. The kernel ends what it shows with a NUL, and need not be given one.
pub(super) fn has(file: &File, wanted: &str) -> bool {
    let mut found = [0; LONGEST];
    match fgetxattr(file, ATTRIBUTE, &mut found) {
        Ok(length) => found[..length].strip_suffix(b"\0").unwrap_or(&found[..length]) == wanted.as_bytes(),
        Err(_) => false,
    }
}

/// Labels an open file.
pub(super) fn set(file: &File, label: &str) -> Result<(), Errno> {
    fsetxattr(file, ATTRIBUTE, label.as_bytes(), XattrFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_as_users_type_them() {
        let context = |text: &str| Some(Label::Context(text.into()));
        let cases = [
            ("auto", Some(Label::Auto)),
            ("none", Some(Label::None)),
            ("bin_t", context("system_u:object_r:bin_t:s0")),
            ("u:r:t", context("u:r:t")),
            ("u:r:t:s0:c1,c2", context("u:r:t:s0:c1,c2")),
            ("", None),
            ("a b", None),
            ("u:r", None),
            ("u::t", None),
            ("u:r:t:s0:c1:x", None),
        ];
        for (word, expected) in cases {
            assert_eq!(Label::parse(word), expected, "{word}");
        }
    }

    #[test]
    fn options_of_chcon() {
        let program = || Label::parse("bin_t");
        let cases = [
            ("-t bin_t", program()),
            ("  -t   bin_t ", program()),
            ("-tbin_t", program()),
            ("--type=bin_t", program()),
            ("--type bin_t", program()),
            ("system_u:object_r:bin_t:s0", program()),
            ("", Some(Label::Auto)),
            ("bin_t", None),
            ("-t", None),
            ("-t a:b:c", None),
            ("-R -t bin_t", None),
        ];
        for (words, expected) in cases {
            assert_eq!(Label::parse_chcon(words), expected, "{words}");
        }
    }

    #[test]
    fn selinux_is_on_where_processes_have_labels() {
        let with = "nodev\tsysfs\nnodev\tselinuxfs\n\text4\n";
        let cases = [
            (with, "system_u:system_r:container_t:s0:c1,c2\0", true),
            (with, "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0", true),
            (with, "kernel\0", false),
            (with, "docker-default (enforce)\n", false),
            (with, "", false),
            ("nodev\tsysfs\n", "system_u:system_r:container_t:s0:c1,c2\0", false),
        ];
        for (file_systems, current, expected) in cases {
            assert_eq!(is_shown(file_systems, current), expected, "{current}");
        }
    }
}
