//! Option syntax of other images' programs: one dash or two; the value after `=`, or as the next argument.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::text;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
    /// Yes, unless the next argument is `no`.
    YesOrNo,
}

/// Spellings without dashes; the first is the name for [`ParsedOptions::value`].
pub(super) type Options = &'static [(&'static [&'static str], Takes)];

pub(super) struct ParsedOptions<'a> {
    given: Vec<(&'static str, &'a OsStr)>,
    /// Neither options nor their values.
    pub(super) others: Vec<&'a str>,
}

impl<'a> ParsedOptions<'a> {
    /// # Errors
    /// The message about an unknown option, or a missing or wrong value.
    pub(super) fn read(options: Options, words: &[&'a OsStr]) -> Result<Self, String> {
        let mut found = Self { given: Vec::new(), others: Vec::new() };
        let mut words = words.iter().copied().peekable();
        while let Some(word) = words.next() {
            let (bytes, shown) = (word.as_bytes(), text(word));
            let Some(option) = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-")) else {
                found.others.push(shown);
                continue;
            };
            let mut parts = option.splitn(2, |byte| *byte == b'=');
            let (option, attached) = (parts.next().unwrap_or_default(), parts.next().map(OsStr::from_bytes));
            let is_it = |spelling: &&str| spelling.as_bytes() == option;
            let Some((spellings, takes)) = options.iter().find(|(spellings, _)| spellings.iter().any(is_it)) else {
                return Err(unknown(shown));
            };
            let value = attached.or_else(|| match takes {
                Takes::Value => words.next(),
                Takes::YesOrNo => words.next_if(|word| *word == YES || *word == NO).or(Some(OsStr::new(YES))),
                Takes::Nothing => Some(OsStr::new(YES)),
            });
            match value {
                Some(value) if *takes == Takes::Value => found.given.push((spellings[0], value)),
                Some(value) => match text(value) {
                    YES | "true" | "1" => found.given.push((spellings[0], OsStr::new(YES))),
                    NO | "false" | "0" => found.given.push((spellings[0], OsStr::new(NO))),
                    _ => return Err([shown, ": not yes or no"].concat()),
                },
                None => return Err([shown, ": no value"].concat()),
            }
        }
        Ok(found)
    }

    /// The last value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&'a OsStr> {
        self.given.iter().rfind(|(given, _)| *given == name).map(|(_, value)| *value)
    }

    pub(super) fn is_yes(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value != NO)
    }
}

/// The message about an argument.
pub(super) fn unknown(word: &str) -> String {
    ["unknown word '", word, "'"].concat()
}

const YES: &str = "yes";
const NO: &str = "no";
