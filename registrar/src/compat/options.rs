//! Option syntax of other images' programs: one dash or two; the value after `=`, or as the next argument.

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
    given: Vec<(&'static str, &'a str)>,
    /// Neither options nor their values.
    pub(super) others: Vec<&'a str>,
}

impl<'a> ParsedOptions<'a> {
    /// # Errors
    /// The message about an unknown option, or a missing or wrong value.
    pub(super) fn read(options: Options, words: &[&'a str]) -> Result<Self, String> {
        let mut found = Self { given: Vec::new(), others: Vec::new() };
        let mut words = words.iter().copied().peekable();
        while let Some(word) = words.next() {
            let Some(option) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                found.others.push(word);
                continue;
            };
            let (option, attached) =
                option.split_once('=').map_or((option, None), |(option, value)| (option, Some(value)));
            let Some((spellings, takes)) = options.iter().find(|(spellings, _)| spellings.contains(&option)) else {
                return Err(unknown(word));
            };
            let value = attached.or_else(|| match takes {
                Takes::Value => words.next(),
                Takes::YesOrNo => words.next_if(|word| is_yes_or_no(word)).or(Some(YES)),
                Takes::Nothing => Some(YES),
            });
            match value {
                Some(value) if *takes == Takes::Value => found.given.push((spellings[0], value)),
                Some(value) => match value {
                    YES | "true" | "1" => found.given.push((spellings[0], YES)),
                    NO | "false" | "0" => found.given.push((spellings[0], NO)),
                    _ => return Err([word, ": not yes or no"].concat()),
                },
                None => return Err([word, ": no value"].concat()),
            }
        }
        Ok(found)
    }

    /// The last value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
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

fn is_yes_or_no(word: &str) -> bool {
    word == YES || word == NO
}
