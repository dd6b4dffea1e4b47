//! Removes entries that are named, whosever they are. Only what is for ELF programs: nobody who removes emulators means
//! an interpreter of Python or of Windows programs, whatever pattern it falls under.

use std::path::Path;

use crate::binfmt_misc::{self, Entries, Entry, MountPolicy};
use crate::commands::error::Error;
use crate::output::Output;

use crate::commands::require_scope;
use crate::request::{CommonArgs, CompatMode, EntryGlob};

/// How the magic of such an entry begins.
const ELF: &[u8] = b"\x7fELF";

/// Removes what the patterns mean, apart from what is spared.
pub(super) fn remove(
    args: &CommonArgs,
    patterns: &[EntryGlob],
    is_spared: &dyn Fn(&str, &Entry) -> bool,
) -> Result<Output, Error> {
    // As `unregister`, it makes no instance in a user namespace, where there can be nothing to remove then.
    let is_namespace = require_scope(args)?.is_some();
    let missing = if is_namespace { MountPolicy::LookupOwn } else { MountPolicy::IfMissing };
    let (folder, _lock) = match binfmt_misc::find_and_lock(args.mount.as_deref(), missing) {
        Err(binfmt_misc::Error::NotMounted { at }) => {
            binfmt_misc::check_mount_point_empty(&at)?;
            let nothing = Removal { at: &at, args, patterns, is_spared, remove: &|_, _| Ok(()) };
            return Ok(nothing.of(&Entries::default()));
        }
        found => found?,
    };
    let remove = |name: &str, entry: &Entry| folder.remove_listed(name, entry);
    let removal = Removal { at: folder.path(), args, patterns, is_spared, remove: &remove };
    let output = folder.entries().map(|entries| removal.of(&entries));
    folder.unmount_if_unused();
    Ok(output?)
}

/// What is to be removed, where, and how.
struct Removal<'a> {
    at: &'a Path,
    args: &'a CommonArgs,
    patterns: &'a [EntryGlob],
    is_spared: &'a dyn Fn(&str, &Entry) -> bool,
    remove: &'a dyn Fn(&str, &Entry) -> Result<(), binfmt_misc::Error>,
}

impl Removal<'_> {
    fn of(&self, entries: &Entries) -> Output {
        let Self { at, args, patterns, is_spared, remove } = *self;
        // Only tonistiigi's image tells of what goes well.
        let is_told = args.mode == Some(CompatMode::Tonistiigi);
        let [mut output, mut failures] = [const { Output::success(String::new()) }; 2];
        let mut say = |name: &str, word: &str| {
            if is_told {
                output.detail(&["uninstalling: ", name, word].concat());
            }
        };
        let mut names: Vec<_> = entries.names().collect();
        names.sort_unstable();
        for name in names {
            let Some(entry) = entries.get(name) else { continue };
            let mut meaning = patterns.iter().filter(|pattern| pattern.matches(name)).peekable();
            if meaning.peek().is_none() || is_spared(name, entry) {
                continue;
            }
            let path = || at.join(name);
            let failure = if let Some(errno) = entry.unreadable {
                binfmt_misc::Error::Read { path: path(), errno }.to_string()
            } else if entry.rule.as_ref().is_some_and(|rule| rule.offset == 0 && rule.magic.starts_with(ELF)) {
                match remove(name, entry) {
                    Ok(()) => {
                        say(name, " OK");
                        continue;
                    }
                    Err(error) => error.to_string(),
                }
            } else if meaning.all(EntryGlob::is_glob) {
                continue;
            } else {
                let path = path().to_string_lossy().into_owned();
                [&entry.owner(), " is not for ELF programs; to remove it: echo -1 > ", &path].concat()
            };
            say(name, " failed");
            failures = failures.with_error(&["uninstalling ", name, ": ", &failure].concat());
        }
        for pattern in patterns.iter().filter(|pattern| !entries.names().any(|name| pattern.matches(name))) {
            say(&pattern.word, " not found");
        }
        output.chain(failures)
    }
}
