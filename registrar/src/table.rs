//! What can be registered: the generated table, its types, and look-up by any name. The compiler refuses a table
//! that would harm a machine, in `assertions`; its form is held by a test.
//!
//! Nothing here is parsed or formatted at run time. Which handlers are wanted, and whether they are in place, is the
//! business of [`crate::plan`].

mod assertions;
pub(crate) mod names;
mod rule;

use std::borrow::Cow;
use std::path::Path;

use crate::flags::Flags;

pub(crate) use rule::Rule;

/// Folder of the emulators in the image; the interpreters in [`Handler::line`] are below it.
pub(crate) const EMULATOR_DIR: &str = "/usr/bin";

/// Flags of [`Handler::line`]: those of `Flags::default()` from Linux 5.12 on.
const FLAGS: &str = "POF";

/// Stands for the emulators of all targets.
pub(crate) const EMULATOR_OF_ANY: &str = "qemu-ARCH-static";

/// Longest line that the kernel takes, in bytes.
pub(crate) const LONGEST_LINE: usize = 1920;

/// Longest name of an entry, in bytes.
const LONGEST_NAME: usize = 255;

/// End the names of a handler's second and third entry; the longer one is the last.
pub(crate) const NAME_SUFFIXES: [&str; 2] = [".registrar", ".registrar2"];

/// All that a build of `registrar` knows.
pub(crate) struct Table {
    /// Version of QEMU; empty in a build without emulators.
    pub(crate) qemu_version: &'static str,
    /// Where the emulators come from, in words.
    pub(crate) origin: &'static str,
    /// Sorted by [`Handler::name`].
    pub(crate) handlers: &'static [Handler],
    /// Every name that a target may be called by, with QEMU's; sorted.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// What every [`Handler::probe`] exits with.
    pub(crate) probe_status: u8,
}

/// One entry of `binfmt_misc`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    /// The entry's name: `qemu-aarch64`.
    pub(crate) name: &'static str,
    /// QEMU's name of the target: `aarch64`. Several handlers may serve one target (i386 and i486).
    pub(crate) target: &'static str,
    /// As container engines write it: `linux/arm64`.
    pub(crate) platform: &'static str,
    /// Targets of one family may run on one CPU.
    pub(crate) family: &'static str,
    /// File name of the emulator: `qemu-aarch64-static`.
    pub(crate) emulator: &'static str,
    /// What to write to `register`, for an emulator in [`EMULATOR_DIR`] with [`FLAGS`].
    pub(crate) line: &'static str,
    /// The same as bytes.
    pub(crate) rule: Rule,
    /// The test program of the target (what it does is in `codegen::targets`); empty if the generator does not know the target.
    pub(crate) probe: &'static [u8],
}

include!(env!("REGISTRAR_TABLE"));

impl Table {
    /// QEMU's name of the target that a user means by `name`, whether the table holds it or not.
    pub(crate) fn target(&self, name: &str) -> Option<&'static str> {
        let found = self.names.binary_search_by_key(&name, |&(known, _)| known).ok()?;
        Some(self.names[found].1)
    }

    /// The name that is most like `name`, if any is close to it.
    pub(crate) fn closest(&self, name: &str) -> Option<&'static str> {
        let distances = self.names.iter().map(|&(known, _)| (strsim::osa_distance(name, known), known));
        let (distance, known) = distances.min()?;
        (distance <= 1 + name.len() / 4).then_some(known)
    }

    /// The handlers of a target.
    pub(crate) fn handlers_of(&self, target: &str) -> impl Iterator<Item = &'static Handler> {
        self.handlers.iter().filter(move |handler| handler.target == target)
    }
}

impl Handler {
    /// Path of the emulator in `folder`.
    pub(crate) fn interpreter(&self, folder: &str) -> String {
        [folder, "/", self.emulator].concat()
    }

    /// The same rule for an entry of this name with this emulator. The names are kept for good.
    pub(crate) fn renamed(&self, name: String, emulator: String) -> Self {
        let line = [":", &name, self.fields(), EMULATOR_DIR, "/", &emulator, ":", FLAGS].concat();
        Self { name: name.leak(), emulator: emulator.leak(), line: line.leak(), ..*self }
    }

    /// The table's handler that this one is, under whatever names: their test programs differ.
    pub(crate) fn original(&self) -> &Self {
        TABLE.handlers.iter().find(|known| known.probe == self.probe).unwrap_or(self)
    }

    /// Whether a path is that of the emulator in `folder`.
    pub(crate) fn is_interpreter(&self, path: &Path, folder: &str) -> bool {
        path.as_os_str() == &*self.interpreter(folder)
    }

    /// Name of an entry: the handler's, or one that ends in one of [`NAME_SUFFIXES`].
    pub(crate) fn name_with(&self, suffix: &str) -> Cow<'static, str> {
        if suffix.is_empty() { self.name.into() } else { [self.name, suffix].concat().into() }
    }

    /// What to write for the emulator in `folder`, with these flags, under a name with this suffix.
    pub(crate) fn line_with(&self, suffix: &str, folder: &str, flags: &Flags) -> Cow<'static, str> {
        if suffix.is_empty() && folder == EMULATOR_DIR && flags.as_str() == FLAGS {
            return Cow::Borrowed(self.line);
        }
        [":", self.name, suffix, self.fields(), folder, "/", self.emulator, ":", flags.as_str()].concat().into()
    }

    /// What stands in [`Handler::line`] between the name and the folder.
    fn fields(&self) -> &'static str {
        &self.line[1 + self.name.len()..self.line.len() - self.tail_len()]
    }

    /// How programs of this handler begin, as far as its rule tells at least.
    pub(crate) fn header(&self) -> Cow<'static, [u8]> {
        if !self.probe.is_empty() {
            return self.probe.into();
        }
        [&vec![0; self.rule.offset], self.rule.magic].concat().into()
    }

    /// Length of what follows the mask and its delimiter in [`Handler::line`].
    const fn tail_len(&self) -> usize {
        EMULATOR_DIR.len() + 1 + self.emulator.len() + 1 + FLAGS.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_resolves_to_a_target_with_handlers() {
        for (name, target) in TABLE.names {
            assert_eq!(TABLE.target(name), Some(*target));
            assert!(TABLE.handlers_of(target).next().is_some(), "{name}");
        }
    }

    #[test]
    fn typing_errors_are_understood() {
        for (typed, meant) in
            [("arm46", Some("arm64")), ("aarch46", Some("aarch64")), ("s390", Some("s390x")), ("pdp11", None)]
        {
            assert_eq!((TABLE.target(typed), TABLE.closest(typed)), (None, meant), "{typed}");
        }
    }

    #[test]
    fn lines_hold_the_rules() {
        let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        for handler in TABLE.handlers {
            let fields: Vec<_> = handler.line.split(':').collect();
            let Rule { offset, magic, mask } = handler.rule;
            let shown = fields[4].replace("ELF", "\\x45\\x4c\\x46");
            assert_eq!((fields[3], shown, fields[5]), ("", escaped(magic), escaped(mask).as_str()), "{}", handler.name);
            assert_eq!(offset, 0);
            for other in TABLE.handlers {
                assert_eq!(handler.rule.matches(other.probe), handler.name == other.name);
            }
        }
    }

    #[test]
    fn lines_for_another_folder_name_and_flags() {
        for handler in TABLE.handlers {
            let usual = Flags::default();
            assert_eq!(handler.line_with("", EMULATOR_DIR, &usual), handler.line);
            assert_eq!(handler.line_with("", "/opt/q", &usual), handler.line.replace("/usr/bin/", "/opt/q/"));
            for suffix in ["", NAME_SUFFIXES[0], NAME_SUFFIXES[1]] {
                let line = handler.line.replacen(handler.name, &handler.name_with(suffix), 1);
                assert_eq!(handler.line_with(suffix, EMULATOR_DIR, &usual), line);
            }
            let renamed = handler.renamed(format!("b-{}", handler.name), "emulator".into());
            assert_eq!(renamed.line, handler.line.replace(handler.emulator, "emulator").replacen(':', ":b-", 1));
            assert_eq!(renamed.line_with("", "/opt", &usual), renamed.line.replace("/usr/bin/", "/opt/"));
            let raw = Flags::raw("FP").expect("flags");
            assert_eq!(handler.line_with("", EMULATOR_DIR, &raw), handler.line.replace("static:POF", "static:PF"));
        }
    }
}
