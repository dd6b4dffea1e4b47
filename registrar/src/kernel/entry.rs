//! What the file of an entry says, and whether its rule matches a program.

use nix::errno::Errno;

use super::plain;

/// One registered rule. What this program does not understand of a newer kernel's text is left out, not refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) enabled: bool,
    /// Empty if the kernel shows none.
    pub(crate) interpreter: String,
    /// In the kernel's order, `POCF`.
    pub(crate) flags: String,
    /// The lines of offset, magic and mask, or of the extension.
    pub(crate) pattern: String,
    /// Why all of the above is unknown, if it is.
    pub(crate) unreadable: Option<Errno>,
}

impl Entry {
    pub(crate) fn parse(text: &str) -> Self {
        let mut entry = Self { enabled: text.starts_with("enabled\n"), ..Self::default() };
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("interpreter", path)) => entry.interpreter = path.into(),
                Some(("flags:", flags)) => entry.flags = flags.into(),
                Some(("offset" | "magic" | "mask" | "extension", _)) => {
                    entry.pattern.push_str(line);
                    entry.pattern.push('\n');
                }
                _ => {}
            }
        }
        entry
    }

    pub(crate) fn unreadable(errno: Errno) -> Self {
        Self { unreadable: Some(errno), ..Self::default() }
    }

    /// Whose it is, as far as it shows.
    pub(crate) fn owner(&self) -> String {
        match self.unreadable {
            Some(errno) => format!("an entry that cannot be read ({})", plain(errno)),
            None if self.interpreter.is_empty() => "an entry without an interpreter".into(),
            None => self.interpreter.clone(),
        }
    }

    /// File name of the interpreter.
    pub(crate) fn emulator(&self) -> &str {
        self.interpreter.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the kernel would hand a program that starts with `header` to this entry.
    pub(crate) fn serves(&self, header: &[u8]) -> bool {
        self.enabled && self.compares_equal(header).unwrap_or(false)
    }

    /// The rule that this entry came from, under `name`; nothing if its text does not tell.
    pub(crate) fn line(&self, name: &str) -> Option<String> {
        let field = |name: &str| self.pattern.lines().find_map(|line| line.strip_prefix(name));
        let escaped = |hex: &str| Some(bytes(hex)?.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>());
        let magic = escaped(field("magic ")?)?;
        let mask = field("mask ").map_or(Some(String::new()), escaped)?;
        Some(format!(":{name}:M:{}:{magic}:{mask}:{}:{}", field("offset ")?, self.interpreter, self.flags))
    }

    fn compares_equal(&self, header: &[u8]) -> Option<bool> {
        let field = |name: &str| self.pattern.lines().find_map(|line| line.strip_prefix(name));
        let offset: usize = field("offset ")?.parse().ok()?;
        let magic = bytes(field("magic ")?)?;
        let mask = field("mask ").map_or(Some(vec![0xff; magic.len()]), bytes)?;
        let compared = header.get(offset..)?.get(..magic.len())?;
        Some(compared.iter().zip(&magic).zip(&mask).all(|((byte, magic), mask)| (byte ^ magic) & mask == 0))
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    hex.as_bytes().chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// All entries of a folder, the newest first: of several that match, that one runs the program.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    newest_first: Vec<(String, Entry)>,
}

impl Entries {
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.newest_first.iter().find(|(known, _)| known == name).map(|(_, entry)| entry)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.newest_first.iter().map(|(name, _)| name.as_str())
    }

    /// The entry that runs programs that start with `header`, with its name.
    pub(crate) fn server_of(&self, header: &[u8]) -> Option<(&str, &Entry)> {
        let server = self.newest_first.iter().find(|(_, entry)| entry.serves(header));
        server.map(|(name, entry)| (name.as_str(), entry))
    }
}

impl FromIterator<(String, Entry)> for Entries {
    fn from_iter<I: IntoIterator<Item = (String, Entry)>>(entries: I) -> Self {
        Self { newest_first: entries.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn reads_what_the_kernel_writes() {
        let text = "enabled\ninterpreter /usr/bin/qemu-arm-static\nflags: POCF\noffset 0\nmagic 7f45\nmask ff0f\n";
        let entry = Entry::parse(text);
        assert!(entry.enabled);
        assert_eq!((entry.interpreter.as_str(), entry.emulator()), ("/usr/bin/qemu-arm-static", "qemu-arm-static"));
        assert_eq!((entry.flags.as_str(), entry.pattern.as_str()), ("POCF", "offset 0\nmagic 7f45\nmask ff0f\n"));
    }

    #[test]
    fn reads_extensions_and_newer_text() {
        let python = Entry::parse("disabled\ninterpreter /usr/bin/python\nflags: \nextension .py\n");
        assert_eq!((python.enabled, python.flags.as_str()), (false, ""));
        assert!(!python.serves(b"\x7fELF"));
        assert_eq!(Entry::parse("enabled\nbpf handler\n"), Entry { enabled: true, ..Entry::default() });
    }

    #[test]
    fn matches_as_the_kernel_does() {
        let cases = [
            ("offset 0\nmagic 7f454c46\n", true),
            ("offset 1\nmagic 454c\n", true),
            ("offset 0\nmagic 7f454c47\n", false),
            ("offset 0\nmagic 7f454c47\nmask fffffff0\n", true),
            ("offset 3\nmagic 4600\n", false),
            ("offset 0\nmagic 7\n", false),
            ("extension .so\n", false),
        ];
        for (pattern, expected) in cases {
            let entry = Entry { enabled: true, pattern: pattern.into(), ..Entry::default() };
            assert_eq!(entry.serves(b"\x7fELF"), expected, "{pattern}");
        }
    }

    #[test]
    fn a_rule_can_be_written_again() {
        let text = "enabled\ninterpreter /opt/q\nflags: PF\noffset 1\nmagic 454c\nmask ff0f\n";
        assert_eq!(Entry::parse(text).line("q").as_deref(), Some(r":q:M:1:\x45\x4c:\xff\x0f:/opt/q:PF"));
        assert_eq!(Entry::parse("enabled\ninterpreter /opt/q\nflags: \nextension .q\n").line("q"), None);
    }

    #[test]
    fn each_pattern_of_the_table_matches_its_own_probe_alone() {
        for handler in TABLE.handlers {
            for other in TABLE.handlers {
                let entry = Entry { enabled: true, pattern: other.pattern.into(), ..Entry::default() };
                assert_eq!(entry.serves(handler.probe), handler.name == other.name, "{} {}", handler.name, other.name);
            }
        }
    }
}
