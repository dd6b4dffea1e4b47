//! Standard output, standard error and the exit status of a command. Standard error has no control characters, and its
//! last line is short enough to be shown whole.

pub(crate) mod columns;
pub(crate) mod json;

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use crate::sys::{errno, errno_text};

pub(crate) const FAILURE: u8 = 1;

/// No program could be run, so that nothing is known; grep(1) and cmp(1) have the same status for trouble.
pub(crate) const CANNOT_TELL: u8 = 2;

/// `run` failed before it started the program; env(1) has the same status.
pub(crate) const CANNOT_RUN: u8 = 125;

/// Longest last line of standard error, in characters.
const LONGEST: usize = 200;

/// Longest word that is never shortened: no word of our own messages is longer.
const WORD: usize = 50;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    out: String,
    err: String,
    code: u8,
}

impl Output {
    pub(crate) const fn success(out: String) -> Self {
        Self { out, err: String::new(), code: 0 }
    }

    pub(crate) fn failure(cause: &str) -> Self {
        Self::success(String::new()).with_error(cause)
    }

    /// Appends a failure, which becomes the last line.
    pub(crate) fn with_error(mut self, cause: &str) -> Self {
        self.err.push_str(&bounded(cause));
        self.err.push('\n');
        self.code = FAILURE;
        self
    }

    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn is_failure(&self) -> bool {
        self.code != 0
    }

    /// Writes both, in one write each; returns the exit status.
    pub(crate) fn print(mut self) -> u8 {
        let mut out = io::stdout();
        match out.write_all(self.out.as_bytes()).and_then(|()| out.flush()) {
            // A closed pipe is no failure.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self = self.with_error(&format!("writing standard output: {}", errno_text(errno(&error))));
            }
            _ => {}
        }
        // If this fails too, the exit status remains.
        let _ = io::stderr().write_all(self.err.as_bytes());
        self.code
    }

    /// Appends another output; succeeds if both do. That something failed counts more than that nothing is known.
    pub(crate) fn chain(mut self, next: Self) -> Self {
        self.out.push_str(&next.out);
        self.err.push_str(&next.err);
        self.code = match (self.code, next.code) {
            (0, code) | (code, 0) => code,
            (code, next) => code.min(next),
        };
        self
    }

    /// Replaces words in standard error, but no part of a path that has such a name.
    pub(crate) fn with_words(self, words: &[(&str, &str)]) -> Self {
        let replaced = |err: String, (ours, theirs): &(&str, &str)| {
            let mut parts = err.split(ours);
            let mut replaced = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let is_of_path = replaced.ends_with('/');
                replaced.push_str(if is_of_path { ours } else { theirs });
                replaced.push_str(part);
            }
            replaced
        };
        Self { err: words.iter().fold(self.err, replaced), ..self }
    }

    pub(crate) fn without_stdout(self) -> Self {
        Self { out: String::new(), ..self }
    }

    pub(crate) fn last_line_only(self) -> Self {
        let err = self.err.lines().last().map(|line| format!("{line}\n")).unwrap_or_default();
        Self { err, ..self }.without_stdout()
    }

    /// Adds a line to standard error that is no failure.
    pub(crate) fn detail(&mut self, detail: &str) {
        self.err.push_str(&escaped(detail));
        self.err.push('\n');
    }
}

/// Escapes control characters: names and paths may hold some.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            escaped.extend(letter.escape_default());
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

/// One line of at most [`LONGEST`] characters. Paths are shortened, the longest first; causes and advice never.
fn bounded(text: &str) -> String {
    let mut text = escaped(text).into_owned();
    while let Some(excess) = text.chars().count().checked_sub(LONGEST + 1) {
        let words = text.split(' ').max_by_key(|word| word.chars().count());
        let Some(longest) = words.filter(|word| word.chars().count() > WORD) else {
            return shortened(&text, LONGEST);
        };
        let length = longest.chars().count().saturating_sub(excess + 1).max(WORD);
        text = text.replacen(longest, &shortened(longest, length), 1);
    }
    text
}

/// Cuts out the middle; keeps more of the end than of the beginning.
fn shortened(text: &str, length: usize) -> String {
    let head = length / 3;
    let tail = text.chars().count() - (length - 1 - head);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(tail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_another_image_are_no_parts_of_paths() {
        let words = [("--bindir", "QEMU_BINARY_PATH"), ("add --scope userns", "set REGISTRAR_SCOPE=userns")];
        let cases = [
            ("/a/--bindir: no such file; --bindir names it", "/a/--bindir: no such file; QEMU_BINARY_PATH names it"),
            ("--bindir /--bindir, or add --scope userns", "QEMU_BINARY_PATH /--bindir, or set REGISTRAR_SCOPE=userns"),
        ];
        for (ours, theirs) in cases {
            assert_eq!(Output::failure(ours).with_words(&words).err, format!("{theirs}\n"));
        }
    }

    #[test]
    fn the_last_line_is_short_and_keeps_the_cause() {
        let long = |length| "/x".repeat(length);
        let cases = [
            ("/a: no such file".into(), "/a: no such file".into()),
            ("a\u{1b}[2Jb\nc".into(), "a\\u{1b}[2Jb\\nc".into()),
            ("x".repeat(200), "x".repeat(200)),
            (
                format!("reading {}: gone", long(300)),
                format!("reading {}…{}: gone", &long(100)[..62], &long(100)[200 - 123..]),
            ),
        ];
        for (text, expected) in cases {
            let (text, expected): (String, String) = (text, expected);
            assert_eq!(bounded(&text), expected);
        }
        let texts = [
            format!("mounting {} at {}: not permitted; run as root", long(200), long(3000)),
            format!("reading {}: permission denied; run as root", "a b".repeat(300)),
            format!("reading {}: permission denied; run as root", "é".repeat(300)),
        ];
        for text in texts {
            let bounded = bounded(&text);
            assert!(
                bounded.ends_with("permitted; run as root") || bounded.ends_with("denied; run as root"),
                "{bounded}"
            );
            assert_eq!(bounded.chars().count(), 200, "{bounded}");
        }
    }
}
