//! Flags of an entry: which are asked for, and whether an entry has the same. What they mean is the kernel's business.

/// Letters in the order in which the kernel shows them, those that it does not show yet after those that it does.
const ORDER: &str = "POCF";

/// Flags, each once, in the kernel's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flags(String);

impl Default for Flags {
    /// As Fedora registers: the interpreter is opened once, at registration.
    fn default() -> Self {
        Self::of("F")
    }
}

impl Flags {
    /// Those of a command line: the usual ones, with or without.
    pub(crate) fn new(preserve_argv0: bool, credentials: bool, fix_binary: bool) -> Self {
        let mut letters = String::new();
        for (letter, is_set) in [('P', preserve_argv0), ('C', credentials), ('F', fix_binary)] {
            letters.extend(is_set.then_some(letter));
        }
        Self::of(&letters)
    }

    /// Those that a user has spelled out, in any order; a newer kernel may know more than this program.
    pub(crate) fn raw(letters: &str) -> Option<Self> {
        letters.bytes().all(|letter| letter.is_ascii_uppercase()).then(|| Self::of(letters))
    }

    /// Those that the kernel shows of an entry, or that stand in its rule. `C` implies `O`.
    fn of(letters: &str) -> Self {
        let is_set = |letter: char| letters.contains(letter) || (letter == 'O' && letters.contains('C'));
        let known = ORDER.chars().filter(|&letter| is_set(letter));
        let more = ('A'..='Z').filter(|&letter| !ORDER.contains(letter) && is_set(letter));
        Self(known.chain(more).collect())
    }

    /// As they stand in a rule.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Those that not every kernel has, or none.
    pub(crate) fn uncommon(&self) -> String {
        self.0.chars().filter(|&letter| !ORDER.contains(letter)).collect()
    }

    /// Whether the kernel opens the interpreter once, at registration.
    pub(crate) fn fixes_binary(&self) -> bool {
        self.0.contains('F')
    }

    /// Whether an entry that shows these has the same.
    pub(crate) fn are(&self, shown: &str) -> bool {
        self.0 == shown || *self == Self::of(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_compared_as_sets() {
        let cases = [
            (Flags::default(), "F", true),
            (Flags::default(), "OF", false),
            (Flags::default(), "", false),
            (Flags::new(false, true, true), "OCF", true),
            (Flags::new(true, true, false), "POC", true),
            (Flags::new(false, false, false), "", true),
            (Flags::of("FFC"), "OCF", true),
            (Flags::of("FT"), "TF", true),
            (Flags::of("FT"), "F", false),
        ];
        for (flags, shown, expected) in cases {
            assert_eq!(flags.are(shown), expected, "{flags:?} {shown}");
        }
        assert_eq!(Flags::raw("f"), None);
        assert_eq!(Flags::raw("F:"), None);
        assert_eq!(Flags::raw("").map(|flags| flags.fixes_binary()), Some(false));
    }
}
