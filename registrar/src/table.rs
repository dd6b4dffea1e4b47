//! What can be registered: the generated table, its types, and look-up by any name. What must hold of it is asserted
//! by the compiler, in `check`.
//!
//! Nothing here is parsed or formatted at run time. Which handlers are wanted, and whether they are in place, is the
//! business of [`crate::plan`].

mod check;

use std::borrow::Cow;

/// Folder of the emulators in the image; the interpreters in [`Handler::line`] are below it.
pub(crate) const EMULATOR_DIR: &str = "/usr/bin";

/// Flags of [`Handler::line`], as Fedora registers: the interpreter is opened once, at registration.
pub(crate) const FLAGS: &str = "F";

/// Stands for the emulators of all targets.
pub(crate) const EMULATOR_OF_ANY: &str = "qemu-ARCH-static";

/// Longest line that the kernel takes, in bytes.
pub(crate) const LONGEST_LINE: usize = 1920;

/// Longest name of an entry, in bytes.
const LONGEST_NAME: usize = 255;

/// Ends the name of the entry that serves while an entry is exchanged.
const TEMPORARY: &str = ".new";

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
    /// What the kernel shows of the entry after interpreter and flags: offset, magic and mask.
    pub(crate) pattern: &'static str,
    /// An executable of the target that does nothing but exit; empty if the generator does not know the target.
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

    /// Name of the entry that serves while this handler's own is exchanged.
    pub(crate) fn temporary_name(&self) -> String {
        [self.name, TEMPORARY].concat()
    }

    /// What to write for the emulator in `folder`.
    pub(crate) fn line_in(&self, folder: &str) -> Cow<'static, str> {
        if folder == EMULATOR_DIR {
            return Cow::Borrowed(self.line);
        }
        [&self.line[..self.line.len() - self.tail_len()], folder, "/", self.emulator, ":", FLAGS].concat().into()
    }

    /// The same under the temporary name.
    pub(crate) fn temporary_line_in(&self, folder: &str) -> String {
        [":", self.name, TEMPORARY, &self.line_in(folder)[1 + self.name.len()..]].concat()
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
    fn lines_for_another_folder_and_name() {
        for handler in TABLE.handlers {
            assert_eq!(handler.line_in(EMULATOR_DIR), handler.line);
            assert_eq!(handler.line_in("/opt/q"), handler.line.replace("/usr/bin/", "/opt/q/"));
            let temporary = handler.line.replacen(handler.name, &handler.temporary_name(), 1);
            assert_eq!(handler.temporary_line_in(EMULATOR_DIR), temporary);
        }
    }
}
