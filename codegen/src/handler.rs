//! What one entry of the kernel is made of: an emulator and the rule that selects its programs.

use crate::rule::Rule;

/// Folder of the emulators in the image.
pub const EMULATOR_DIR: &str = "/usr/bin";

/// An emulator that the image holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Emulator {
    /// QEMU's name of its target: `aarch64`.
    pub target: String,
}

impl Emulator {
    /// From the name of a binary, `qemu-aarch64-static` or `qemu-aarch64`; `None` for other files.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let target = name.strip_prefix("qemu-")?;
        let target = target.strip_suffix("-static").unwrap_or(target);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (!target.is_empty() && target.bytes().all(plain)).then(|| Self { target: target.into() })
    }

    /// Its file name in the image.
    pub fn file_name(&self) -> String {
        format!("qemu-{}-static", self.target)
    }
}

/// One entry that `registrar` may write.
#[derive(Clone, Debug)]
pub struct Handler {
    /// The entry's name below `binfmt_misc`.
    pub name: String,
    /// QEMU's name of the target.
    pub target: String,
    /// The platform as container engines write it.
    pub platform: String,
    /// Targets that one CPU may run.
    pub family: String,
    /// File name of the emulator.
    pub emulator: String,
    /// What the kernel compares a program with.
    pub rule: Rule,
    /// A program that proves it; empty if the target is unknown.
    pub probe: Vec<u8>,
}

impl Handler {
    /// A handler of an unknown target, with its packaged rule.
    pub(crate) fn of_unknown(target: String, emulator: &Emulator, rule: Rule) -> Self {
        Self {
            name: format!("qemu-{target}"),
            platform: format!("linux/{target}"),
            family: target.clone(),
            emulator: emulator.file_name(),
            target,
            rule,
            probe: Vec::new(),
        }
    }

    /// The line that registers it, with the image's path of the emulator and `registrar`'s usual flags.
    pub fn line(&self) -> String {
        self.rule.line(&self.name, &format!("{EMULATOR_DIR}/{}", self.emulator), "POF")
    }
}
