//! Flags of an entry: which are asked for, and whether an entry has the same. What they mean is the kernel's business.

use crate::sys;

/// Letters in the order in which the kernel shows them, those that it does not show yet after those that it does.
const ORDER: &str = "POCF";

/// Flags that somebody must have asked for, if an entry shows them. Linux 7.3 has `T` (which implies `O`): the emulator
/// gets the program by AT_EXECFD, and `argv` as it is; `L`: it is the loader of a program of this machine; `D`: the entry is
/// disabled.
const CHOICES: &str = "POCFTLD";

/// Flag of Linux 7.3 for the moment of registration, which no entry shows later.
const USED_UP: char = 'D';

/// Flags, each once, in the kernel's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flags(String);

impl Default for Flags {
    fn default() -> Self {
        Self::usual(false, false, true)
    }
}

impl Flags {
    /// Those of our own command line: `argv[0]` is kept where the kernel tells emulators so, and execute-only programs
    /// run, which the kernel opens for the emulator (`O`).
    pub(crate) fn usual(preserve_argv0: bool, credentials: bool, fix_binary: bool) -> Self {
        let Self(letters) = Self::new(preserve_argv0 || tells_argv0(), credentials, fix_binary);
        Self::of(&(letters + "O"))
    }

    /// With and without these, and no other.
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
        let (order, letters) = (ORDER.as_bytes(), letters.as_bytes());
        let is_set = |letter: &u8| letters.contains(letter) || (*letter == b'O' && letters.contains(&b'C'));
        let known = order.iter().copied().filter(is_set);
        let more = (b'A'..=b'Z').filter(|letter| !order.contains(letter) && is_set(letter));
        Self(known.chain(more).map(char::from).collect())
    }

    /// As they stand in a rule.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Those that not every kernel has, nor every emulator fits, or none.
    pub(crate) fn uncommon(&self) -> String {
        self.0.chars().filter(|&letter| !ORDER.contains(letter)).collect()
    }

    /// Whether the kernel opens the interpreter once, at registration.
    pub(crate) fn fixes_binary(&self) -> bool {
        self.0.contains('F')
    }

    /// Whether programs get the `argv[0]` that they were called with.
    pub(crate) fn keeps_argv0(&self) -> bool {
        self.0.contains('P')
    }

    /// Whether programs run as their files' owners.
    pub(crate) fn honours_credentials(&self) -> bool {
        self.0.contains('C')
    }

    /// Whether an entry that shows these has what was asked for. It may show more: `O`, which other flags imply, and what a
    /// newer kernel adds.
    pub(crate) fn are(&self, shown: &str) -> bool {
        let requested = &self.0;
        let is_shown = |flag: char| shown.contains(flag) || flag == USED_UP;
        let has_newer = shown.chars().any(|flag| !"POCFDL".contains(flag));
        let is_implied = |flag: char| (flag == 'O' && (shown.contains('C') || has_newer)) || !CHOICES.contains(flag);
        let is_requested = |flag: char| requested.contains(flag) || is_implied(flag);
        requested == shown || requested.chars().all(is_shown) && shown.chars().all(is_requested)
    }
}

/// Since Linux 5.12 `AT_FLAGS` tells the emulator that `argv[0]` was kept; without that it takes `argv[0]` for the
/// program's first argument.
pub(crate) fn tells_argv0() -> bool {
    sys::linux_version().is_none_or(|version| version >= (5, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_compared_as_sets() {
        let cases = [
            (Flags::default(), "POF", true),
            (Flags::default(), "F", false),
            (Flags::usual(false, true, true), "POCF", true),
            (Flags::usual(false, false, false), "PO", true),
            (Flags::new(false, false, true), "F", true),
            (Flags::new(false, true, true), "OCF", true),
            (Flags::new(true, true, false), "POC", true),
            (Flags::new(false, false, false), "", true),
            (Flags::of("FFC"), "OCF", true),
            (Flags::of("FT"), "TF", true),
            (Flags::of("FT"), "F", false),
            (Flags::of("F"), "FT", false),
            // `T` implies `O`; a later kernel's flags may be shown as well.
            (Flags::of("FT"), "OFT", true),
            (Flags::default(), "POFX", true),
            (Flags::of("F"), "CF", false),
            // It is not shown.
            (Flags::of("FD"), "F", true),
            (Flags::of("FL"), "FL", true),
            (Flags::of("FL"), "F", false),
            (Flags::of("FL"), "OF", false),
        ];
        for (flags, shown, expected) in cases {
            assert_eq!(flags.are(shown), expected, "{flags:?} {shown}");
        }
        assert_eq!(Flags::raw("f"), None);
        assert_eq!(Flags::raw("F:"), None);
        assert_eq!(Flags::raw("").map(|flags| flags.fixes_binary()), Some(false));
    }
}
