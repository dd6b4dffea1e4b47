//! Removes entries that are named, whosever they are. Only what is for ELF programs: nobody who removes emulators means
//! an interpreter of Python or of Windows programs, whatever pattern it falls under.

use crate::cli::Asked;
use crate::dialects::{Dialect, Pattern};
use crate::kernel::{self, Entries, Entry, Error, Folder};
use crate::told::Told;

use super::in_wanted_scope;

/// How the pattern of such an entry begins, as the kernel shows it.
const ELF: &str = "offset 0\nmagic 7f454c46";

/// Removes what the patterns mean, apart from what is spared.
pub(super) fn remove(
    asked: &Asked,
    patterns: &[Pattern],
    is_spared: &dyn Fn(&str, &Entry) -> bool,
) -> Result<Told, Error> {
    in_wanted_scope(asked)?;
    let (folder, _lock) = kernel::find_and_lock(asked.mount.as_deref())?;
    let told = folder.entries().map(|entries| {
        let mut removal = Removal::default();
        for pattern in patterns {
            removal.of(pattern, &folder, &entries, is_spared);
        }
        removal.told(asked.dialect)
    });
    folder.unmount_if_unused();
    told
}

/// What became of each.
#[derive(Default)]
struct Removal {
    lines: Vec<String>,
    failures: Vec<String>,
    /// Names that are done with, however that ended.
    seen: Vec<String>,
}

impl Removal {
    fn of(&mut self, pattern: &Pattern, folder: &Folder, entries: &Entries, is_spared: &dyn Fn(&str, &Entry) -> bool) {
        let mut names: Vec<_> = entries.names().filter(|name| pattern.matches(name)).collect();
        names.sort_unstable();
        if names.is_empty() {
            self.lines.push(format!("{} not found", pattern.word()));
        }
        for name in names {
            let Some(entry) = entries.get(name) else { continue };
            if self.seen.iter().any(|seen| seen == name) || is_spared(name, entry) {
                continue;
            }
            self.seen.push(name.into());
            let failure = match entry.unreadable {
                Some(errno) => Error::Read { path: folder.path().join(name), errno }.to_string(),
                None if entry.pattern.starts_with(ELF) => match folder.remove(name) {
                    Ok(()) => {
                        self.lines.push(format!("{name} OK"));
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
                None if pattern.is_wide() => continue,
                None => {
                    let owner = entry.owner();
                    let path = folder.path().join(name);
                    format!("{name} ({owner}) is not for ELF programs; to remove it: echo -1 > {}", path.display())
                }
            };
            self.lines.push(format!("{name} failed"));
            self.failures.push(format!("uninstalling {name}: {failure}"));
        }
    }

    /// Only tonistiigi's image tells of what goes well.
    fn told(self, dialect: Option<Dialect>) -> Told {
        let mut told = Told::success(String::new());
        if dialect == Some(Dialect::Tonistiigi) {
            told = self.lines.iter().fold(told, |told, line| told.and_detail(&format!("uninstalling: {line}")));
        }
        match self.failures.as_slice() {
            [] => told,
            [only] => told.and_failure(only),
            all => {
                let told = all.iter().fold(told, |told, line| told.and_detail(line));
                told.and_failure(&format!("{} entries not removed, first: {}", all.len(), all[0]))
            }
        }
    }
}
