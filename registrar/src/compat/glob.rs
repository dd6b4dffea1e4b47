//! Which entries an argument of tonistiigi's `--uninstall` names: a name, a glob with `*`, `?` and `[…]`, the end of a name
//! or an architecture.

use std::ffi::{OsStr, OsString};
use std::iter;
use std::os::unix::ffi::OsStrExt;

use crate::request::EntryGlob;
use crate::table::{NAME_SUFFIXES, TABLE, names};

impl EntryGlob {
    pub(super) fn of_word(word: &OsStr) -> Self {
        let ends = match word.to_str().and_then(names::target) {
            // `qemu-arm` is that entry, not every name that ends in `-arm`.
            _ if word.as_bytes().starts_with(b"qemu-") => Vec::new(),
            Some(target) => ends(target).map(OsString::from).collect(),
            None => vec![word.to_owned()],
        };
        Self { ends, word: word.to_owned() }
    }

    pub(super) fn of_name(word: &str) -> Self {
        Self { word: word.into(), ends: Vec::new() }
    }

    pub(super) fn of_target(target: &'static str) -> impl Iterator<Item = Self> {
        ends(target).map(|end| Self::of_name(&["qemu-", end].concat()))
    }

    /// Whether it may match several entries. Then entries that must not be removed are skipped without an error.
    pub(crate) fn is_glob(&self) -> bool {
        self.word.as_bytes().iter().any(|byte| b"*?[".contains(byte))
    }

    /// Matches the entry's name; our secondary entries also by the name of the primary.
    pub(crate) fn matches(&self, name: &OsStr) -> bool {
        let (name, suffix) = (name.as_bytes(), NAME_SUFFIXES[0].as_bytes());
        let first = name.windows(suffix.len()).position(|part| part == suffix).map_or(name, |at| &name[..at]);
        let is_end = |end: &OsString| {
            first.strip_suffix(end.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"-"))
        };
        [name, first].iter().any(|name| is_match(self.word.as_bytes(), name)) || self.ends.iter().any(is_end)
    }
}

/// Ends of a target's entry names: QEMU's name of the target, and those of its handlers.
fn ends(target: &'static str) -> impl Iterator<Item = &'static str> {
    let names = TABLE.handlers_of(target).map(|handler| handler.name.strip_prefix("qemu-").unwrap_or(handler.name));
    iter::once(target).chain(names.filter(move |name| *name != target))
}

/// Go's `filepath.Match`. A pattern with an unclosed `[` matches nothing.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], _) => name.is_empty(),
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| is_match(rest, &name[skipped..])),
        ([b'?', rest @ ..], [_, name @ ..]) => is_match(rest, name),
        ([b'[', set @ ..], [letter, name @ ..]) => match set.iter().position(|byte| *byte == b']') {
            Some(end) => is_in_set(&set[..end], *letter) && is_match(&set[end + 1..], name),
            None => false,
        },
        ([b'\\', byte, rest @ ..] | [byte, rest @ ..], [letter, name @ ..]) => byte == letter && is_match(rest, name),
        _ => false,
    }
}

fn is_in_set(set: &[u8], letter: u8) -> bool {
    let (mut set, is_inverse) = set.strip_prefix(b"^").map_or((set, false), |set| (set, true));
    let mut is_in = false;
    while let Some((&first, rest)) = set.split_first() {
        let (last, rest) = match rest {
            [b'-', last, rest @ ..] => (*last, rest),
            _ => (first, rest),
        };
        is_in |= (first..=last).contains(&letter);
        set = rest;
    }
    is_in != is_inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_glob_matches() {
        let cases: [(&str, &[&str], &[&str]); 9] = [
            ("qemu-*", &["qemu-arm", "qemu-aarch64.registrar", "qemu-"], &["python3.11", "xqemu-arm", "qemu"]),
            (
                "arm64",
                &["qemu-aarch64", "aarch64", "b-qemu-aarch64", "qemu-aarch64.registrar"],
                &["qemu-arm", "xaarch64"],
            ),
            ("linux/386", &["qemu-i386", "qemu-i486"], &["qemu-x86_64", "qemu-i386x"]),
            ("qemu-arm", &["qemu-arm", "qemu-arm.registrar"], &["b-qemu-arm", "qemu-armeb"]),
            ("rosetta", &["rosetta", "x-rosetta"], &["rosetta2", "xrosetta"]),
            ("qemu-[am]*", &["qemu-arm", "qemu-mips"], &["qemu-sh4"]),
            ("qemu-[^a-m]?4", &["qemu-sh4"], &["qemu-arm", "qemu-ah4"]),
            ("qemu-[a", &[], &["qemu-a", "qemu-[b"]),
            ("*", &["anything", ""], &[]),
        ];
        for (word, matching, others) in cases {
            let pattern = EntryGlob::of_word(OsStr::new(word));
            for name in matching {
                assert!(pattern.matches(OsStr::new(name)), "{word} matches {name}");
            }
            for name in others {
                assert!(!pattern.matches(OsStr::new(name)), "{word} does not match {name}");
            }
        }
    }

    #[test]
    fn a_target_is_its_entries_alone() {
        let patterns: Vec<_> = EntryGlob::of_target("i386").collect();
        let names: Vec<_> = patterns.iter().map(|pattern| &pattern.word).collect();
        assert_eq!(names, ["qemu-i386", "qemu-i486"]);
        assert!(!patterns.iter().any(|pattern| pattern.matches(OsStr::new("x-i386"))));
    }
}
