//! SELinux labels of copies. A confined container may execute an emulator only if its file's type is one that it may
//! execute; `bin_t` is. The label is an extended attribute, so that no `chcon` is needed.

use std::fs::File;
use std::path::Path;

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use rustix::io::Errno;

use crate::request::{HOST_EMULATOR_DIR, Label};
use crate::security::SecurityModule;

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

fn is_on() -> bool {
    SecurityModule::current() == Some(SecurityModule::SeLinux)
}

/// What to say of an emulator's label if SELinux is on and [`Label::Auto`] would give another type: the kernel kills a
/// program whose emulator may be executed, but not mapped.
pub(crate) fn label_warning(path: &Path) -> Option<String> {
    let label = of(&File::open(path).ok().filter(|_| is_on())?)?;
    (label.split(':').nth(2) != Some(PROGRAM)).then(|| {
        format!(
            "{} is labelled {label}, not {PROGRAM}, so that programs in confined containers may end with SIGSEGV; \
             registrar register --copy-to {HOST_EMULATOR_DIR}",
            path.display()
        )
    })
}

/// A file's label. The kernel ends what it shows with a NUL, and need not be given one.
fn of(file: &File) -> Option<String> {
    let mut found = [0; LONGEST];
    let length = fgetxattr(file, ATTRIBUTE, &mut found).ok()?;
    String::from_utf8(found[..length].strip_suffix(b"\0").unwrap_or(&found[..length]).into()).ok()
}

pub(super) fn has(file: &File, wanted: &str) -> bool {
    of(file).as_deref() == Some(wanted)
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
}
