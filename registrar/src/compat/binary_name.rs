//! Entries and emulators under other names than the table's, as other images' variables and options ask for.

use std::path::Path;

use crate::request::BinaryName;
use crate::table::Handler;

impl BinaryName {
    /// How emulators' names end in the image.
    pub(super) const USUAL_SUFFIX: &'static str = "-static";

    /// Whether these can be parts of a file's name and of a rule.
    pub(super) fn is_plain(&self) -> bool {
        let is_plain = |part: &str| !part.contains(|letter: char| matches!(letter, '/' | ':') || letter.is_control());
        is_plain(&self.prefix) && self.suffix.as_deref().is_none_or(is_plain)
    }

    /// Stands for the emulators of all targets.
    pub(crate) fn of_any(&self) -> String {
        [&self.prefix, "qemu-ARCH", self.suffix.as_deref().unwrap_or_default()].concat()
    }

    /// The handlers under these names, for emulators in `folder`; with `found_alone` those that have one there.
    pub(crate) fn of(&self, handlers: Vec<&'static Handler>, folder: &str, found_alone: bool) -> Vec<&'static Handler> {
        let named = handlers.into_iter().map(|handler| {
            let named = self.renamed(handler, self.suffix.as_deref().unwrap_or_default());
            match self.suffix {
                None if !is_there(named, folder) => Some(self.renamed(handler, Self::USUAL_SUFFIX))
                    .filter(|usual| is_there(usual, folder))
                    .unwrap_or(named),
                _ => named,
            }
        });
        named.filter(|handler| !found_alone || is_there(handler, folder)).collect()
    }

    /// Handlers live as long as the program; these are made once or twice in its life.
    fn renamed(&self, handler: &Handler, suffix: &str) -> &'static Handler {
        let bare = handler.emulator.strip_suffix(Self::USUAL_SUFFIX).unwrap_or(handler.emulator);
        let name = [&self.prefix, handler.name].concat();
        Box::leak(Box::new(handler.renamed(name, [&self.prefix, bare, suffix].concat())))
    }
}

fn is_there(handler: &Handler, folder: &str) -> bool {
    Path::new(&handler.interpreter(folder)).exists()
}
