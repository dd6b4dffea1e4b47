//! Entries and emulators under other names than the table's, as other images' variables and options ask for.

use std::path::Path;

use crate::table::Handler;

/// How names are made of QEMU's `qemu-aarch64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naming {
    /// Before the entry's and the emulator's.
    pub(crate) prefix: String,
    /// After the emulator's: the first of which there is a file, else the first.
    pub(crate) suffixes: Vec<String>,
}

impl Naming {
    /// How emulators' names end in the image.
    pub(crate) const USUAL_SUFFIX: &'static str = "-static";

    /// Whether these can be parts of a file's name and of a rule.
    pub(super) fn is_plain(&self) -> bool {
        let parts = self.suffixes.iter().chain([&self.prefix]);
        !parts.flat_map(|part| part.chars()).any(|letter| matches!(letter, '/' | ':') || letter.is_control())
    }

    /// Stands for the emulators of all targets.
    pub(crate) fn of_any(&self) -> String {
        [&self.prefix, "qemu-ARCH", self.suffixes.first().map(String::as_str).unwrap_or_default()].concat()
    }

    /// The handlers under these names, for emulators in `folder`; with `found_alone` those that have one there.
    pub(crate) fn of(&self, handlers: Vec<&'static Handler>, folder: &str, found_alone: bool) -> Vec<&'static Handler> {
        let is_there = |handler: &Handler| Path::new(&handler.interpreter(folder)).exists();
        let named = handlers.into_iter().filter_map(|handler| {
            let bare = handler.emulator.strip_suffix(Self::USUAL_SUFFIX).unwrap_or(handler.emulator);
            let mut named = self.suffixes.iter().map(|suffix| {
                let name = [&self.prefix, handler.name].concat();
                handler.renamed(name, [&self.prefix, bare, suffix].concat())
            });
            let first = named.next()?;
            let found =
                if is_there(&first) { Some(first) } else { named.find(is_there).or((!found_alone).then_some(first)) };
            // Handlers live as long as the program; these are made once in its life.
            found.map(|handler| &*Box::leak(Box::new(handler)))
        });
        named.collect()
    }
}
