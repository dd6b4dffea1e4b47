//! Names of entries and emulators with a prefix or suffix, which other images' options and variables set.

use std::path::Path;

use crate::request::BinaryName;
use crate::table::Handler;

impl BinaryName {
    /// End of the emulators' names in this image.
    pub(super) const USUAL_SUFFIX: &'static str = "-static";

    pub(crate) const REFUSED: &'static str =
        "names of emulators must be UTF-8 without slashes, colons and control characters";

    /// Whether a file name and a rule may contain them. The last one stands for what was not UTF-8.
    pub(crate) fn is_valid(&self) -> bool {
        let is_wrong = |letter: char| matches!(letter, '/' | ':' | char::REPLACEMENT_CHARACTER) || letter.is_control();
        let is_valid = |part: &str| !part.contains(is_wrong);
        is_valid(&self.prefix) && self.suffix.as_deref().is_none_or(is_valid)
    }

    /// For messages about all emulators.
    pub(crate) fn of_any(&self) -> String {
        [&self.prefix, "qemu-ARCH", self.suffix.as_deref().unwrap_or_default()].concat()
    }

    /// Renames handlers, for emulators in `folder`. `existing_only` drops those without an emulator there.
    pub(crate) fn of(
        &self,
        handlers: Vec<&'static Handler>,
        folder: &str,
        existing_only: bool,
    ) -> Vec<&'static Handler> {
        let named = handlers.into_iter().map(|handler| {
            let named = self.renamed(handler, self.suffix.as_deref().unwrap_or_default());
            match self.suffix {
                None if !exists(named, folder) => Some(self.renamed(handler, Self::USUAL_SUFFIX))
                    .filter(|usual| exists(usual, folder))
                    .unwrap_or(named),
                _ => named,
            }
        });
        named.filter(|handler| !existing_only || exists(handler, folder)).collect()
    }

    /// Leaks one handler: this is called once or twice in the program's life.
    fn renamed(&self, handler: &Handler, suffix: &str) -> &'static Handler {
        let bare = handler.emulator.strip_suffix(Self::USUAL_SUFFIX).unwrap_or(handler.emulator);
        let name = [&self.prefix, handler.name].concat();
        Box::leak(Box::new(handler.renamed(name, [&self.prefix, bare, suffix].concat())))
    }
}

fn exists(handler: &Handler, folder: &str) -> bool {
    Path::new(&handler.interpreter(folder)).exists()
}
