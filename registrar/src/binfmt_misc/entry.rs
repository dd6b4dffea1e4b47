//! What the file of an entry says, and whether its rule matches a program.

use nix::errno::Errno;

use crate::elf::header::{ElfHeader, HEADER_VARIANTS};
use crate::sys::errno_text;
use crate::table::{Handler, Rule};

/// One registered rule. What this program does not understand of a newer kernel's text is left out, not refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) enabled: bool,
    /// Empty if the kernel shows none.
    pub(crate) interpreter: String,
    /// In the kernel's order, `POCF`.
    pub(crate) flags: String,
    /// What it compares programs with, unless it goes by their names.
    pub(crate) rule: Option<Rule<Vec<u8>>>,
    /// Why all of the above is unknown, if it is.
    pub(crate) unreadable: Option<Errno>,
}

impl Entry {
    pub(crate) fn parse(text: &str) -> Self {
        let mut entry = Self { enabled: text.starts_with("enabled\n"), ..Self::default() };
        let (mut offset, mut magic, mut mask) = (None, None, None);
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("interpreter", path)) => entry.interpreter = path.into(),
                Some(("flags:", flags)) => entry.flags = flags.into(),
                Some(("offset", number)) => offset = number.parse().ok(),
                Some(("magic", hex)) => magic = bytes(hex),
                // A mask that makes no sense leaves no rule.
                Some(("mask", hex)) => mask = Some(bytes(hex).unwrap_or_default()),
                _ => {}
            }
        }
        if let (Some(offset), Some(magic)) = (offset, magic) {
            let mask = mask.unwrap_or_else(|| vec![0xff; magic.len()]);
            entry.rule = Some(Rule { offset, magic, mask }).filter(|rule| rule.mask.len() == rule.magic.len());
        }
        entry
    }

    pub(crate) fn unreadable(errno: Errno) -> Self {
        Self { unreadable: Some(errno), ..Self::default() }
    }

    /// Whose it is, as far as it shows.
    pub(crate) fn owner(&self) -> String {
        match self.unreadable {
            Some(errno) => format!("an entry that cannot be read ({})", errno_text(errno)),
            None if self.interpreter.is_empty() => "an entry without an interpreter".into(),
            None => self.interpreter.clone(),
        }
    }

    /// File name of the interpreter.
    pub(crate) fn emulator(&self) -> &str {
        self.interpreter.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it runs programs by `handler`'s emulator, in whatever folder that is.
    pub(crate) fn is_of(&self, handler: &Handler) -> bool {
        self.emulator() == handler.emulator
    }

    /// Whether it runs programs by a QEMU, as far as its name or its interpreter's path tells.
    pub(crate) fn is_of_qemu(&self, name: &str) -> bool {
        [name, &self.interpreter].iter().any(|text| text.to_ascii_lowercase().contains("qemu"))
    }

    /// Whether the kernel would hand a program that starts with `header` to this entry.
    pub(crate) fn is_active_for(&self, header: &[u8]) -> bool {
        self.enabled && self.rule.as_ref().is_some_and(|rule| rule.matches(header))
    }
}

/// That of two hexadecimal digits.
fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    hex.as_bytes().chunks(2).map(byte).collect()
}

/// An entry under its name.
pub(crate) type Named<'e> = (&'e str, &'e Entry);

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

    /// The newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Named<'_>> {
        self.newest_first.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Moves an entry to the front, where the kernel has turned out to ask it first.
    pub(crate) fn put_first(&mut self, name: &str) {
        if let Some(at) = self.newest_first.iter().position(|(known, _)| known == name) {
            self.newest_first[..=at].rotate_right(1);
        }
    }

    /// The entries that run programs that begin so, each the newest that takes them.
    pub(crate) fn servers_of(&self, programs: &[ElfHeader; HEADER_VARIANTS]) -> [Option<Named<'_>>; HEADER_VARIANTS] {
        let mut servers = [None; HEADER_VARIANTS];
        for (name, entry) in self.iter() {
            let Some(rule) = entry.rule.as_ref().filter(|_| entry.enabled) else { continue };
            for (server, program) in servers.iter_mut().zip(programs) {
                if server.is_none() && rule.matches(program.bytes()) {
                    *server = Some((name, entry));
                }
            }
            if servers.iter().all(Option::is_some) {
                break;
            }
        }
        servers
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
        assert_eq!(
            (entry.flags.as_str(), entry.rule),
            ("POCF", Some(Rule { offset: 0, magic: vec![0x7f, 0x45], mask: vec![0xff, 0x0f] }))
        );
    }

    #[test]
    fn reads_extensions_and_newer_text() {
        let python = Entry::parse("disabled\ninterpreter /usr/bin/python\nflags: \nextension .py\n");
        assert_eq!((python.enabled, python.flags.as_str()), (false, ""));
        assert!(!python.is_active_for(b"\x7fELF"));
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
            ("offset 0\nmagic 7f45\nmask ff\n", false),
            ("offset 0\nmagic 7f4x\n", false),
            ("offset 4\nmagic 00\n", false),
            ("offset 5\nmagic 00\n", false),
            ("offset x\nmagic 7f\n", false),
            ("magic 7f\n", false),
            ("extension .so\n", false),
        ];
        for (pattern, expected) in cases {
            let entry = Entry::parse(&["enabled\n", pattern].concat());
            assert_eq!(entry.is_active_for(b"\x7fELF"), expected, "{pattern}");
        }
    }

    #[test]
    fn the_entry_that_serves_is_put_first() {
        let named = ["a", "b", "c"].map(|name| (name.to_owned(), Entry::default()));
        let mut entries: Entries = named.into_iter().collect();
        for (name, expected) in [("b", "bac"), ("c", "cba"), ("c", "cba"), ("d", "cba")] {
            entries.put_first(name);
            assert_eq!(entries.names().collect::<String>(), expected, "{name}");
        }
    }

    #[test]
    fn of_each_kind_of_program_the_newest_entry_counts() {
        let handler = TABLE.handlers_of("s390x").next().expect("all targets");
        let entry = |from: usize, kind: &str| Entry::parse(&format!("enabled\noffset {from}\nmagic {kind}\n"));
        let disabled = Entry { enabled: false, ..entry(0, "7f") };
        let named = [("off", disabled), ("dyn", entry(16, "0003")), ("gnu", entry(7, "03")), ("all", entry(0, "7f"))];
        let entries: Entries = named.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect();
        let servers = entries.servers_of(&ElfHeader::of(handler.probe).kinds());
        let names = servers.map(|server| server.map(|(name, _)| name));
        assert_eq!(names, [Some("all"), Some("gnu"), Some("dyn"), Some("dyn")]);
        let none = Entries::default();
        assert_eq!(none.servers_of(&ElfHeader::of(handler.probe).kinds()), [None; HEADER_VARIANTS]);
    }
}
