//! What the file of an entry says, and whether its rule matches a program.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::elf::header::{ElfHeader, HEADER_VARIANTS};
use crate::sys::errno_text;
use crate::table::{Handler, Rule};

/// Begins the line after the interpreter's path.
const FLAGS: &[u8] = b"\nflags: ";

/// One registered rule. What this program does not understand of a newer kernel's text is left out, not refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) enabled: bool,
    /// Empty if the kernel shows none.
    pub(crate) interpreter: PathBuf,
    /// In the kernel's order, `POCF`.
    pub(crate) flags: String,
    /// What it compares programs with, unless it goes by their names.
    pub(crate) rule: Option<Rule<Vec<u8>>>,
    /// Why all of the above is unknown, if it is.
    pub(crate) unreadable: Option<Errno>,
}

impl Entry {
    /// The interpreter's path may hold anything, lines like those that follow it too: it ends at the last `flags:`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let at = text.windows(FLAGS.len()).rposition(|window| window == FLAGS).unwrap_or(text.len());
        let (head, rest) = text.split_at(at);
        let mut head = head.splitn(2, |byte| *byte == b'\n');
        let mut entry = Self { enabled: head.next() == Some(b"enabled"), ..Self::default() };
        if let Some(path) = head.next().and_then(|line| line.strip_prefix(b"interpreter ")) {
            entry.interpreter = OsStr::from_bytes(path).into();
        }
        let (mut offset, mut magic, mut mask) = (None, None, None);
        for line in rest.split(|byte| *byte == b'\n') {
            let (key, value) = line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()));
            let value = value.get(1..).unwrap_or_default();
            match key {
                b"flags:" => entry.flags = String::from_utf8_lossy(value).into(),
                // Of an entry that goes by names: the rest may be anything.
                b"extension" => break,
                b"offset" => offset = str::from_utf8(value).ok().and_then(|number| number.parse().ok()),
                b"magic" => magic = bytes(value),
                // A mask that makes no sense leaves no rule.
                b"mask" => mask = Some(bytes(value).unwrap_or_default()),
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
            None if self.interpreter == Path::new("") => "an entry without an interpreter".into(),
            None => self.path().into(),
        }
    }

    /// The interpreter's path, to be shown.
    pub(crate) fn path(&self) -> Cow<'_, str> {
        self.interpreter.to_string_lossy()
    }

    /// Whether it runs programs by `handler`'s emulator, in whatever folder that is: in none of ours are control characters.
    pub(crate) fn is_of(&self, handler: &Handler) -> bool {
        // By the bytes: this is asked of each entry for each handler.
        let folder = self.interpreter.as_os_str().as_bytes().strip_suffix(handler.emulator.as_bytes());
        folder.is_some_and(|folder| folder.ends_with(b"/") && !folder.iter().any(u8::is_ascii_control))
    }

    /// Whether it runs programs by a QEMU, as far as its name or its interpreter's path tells.
    pub(crate) fn is_of_qemu(&self, name: &OsStr) -> bool {
        let is_qemu = |part: &[u8]| part.eq_ignore_ascii_case(b"qemu");
        [name, self.interpreter.as_os_str()].iter().any(|text| text.as_bytes().windows(4).any(is_qemu))
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

fn bytes(hex: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(hex.len().div_ceil(2));
    for pair in hex.chunks(2) {
        bytes.push(byte(pair)?);
    }
    Some(bytes)
}

/// An entry under its name.
pub(crate) type Named<'e> = (&'e OsStr, &'e Entry);

/// All entries of a folder, the newest first: of several that match, that one runs the program.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    newest_first: Vec<(OsString, Entry)>,
}

impl Entries {
    pub(crate) fn get(&self, name: &OsStr) -> Option<&Entry> {
        self.newest_first.iter().find(|(known, _)| known == name).map(|(_, entry)| entry)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.newest_first.iter().map(|(name, _)| name.as_os_str())
    }

    /// The newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Named<'_>> {
        self.newest_first.iter().map(|(name, entry)| (name.as_os_str(), entry))
    }

    /// Moves an entry to the front, where the kernel has turned out to ask it first.
    pub(crate) fn put_first(&mut self, name: &OsStr) {
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

impl<N: Into<OsString>> FromIterator<(N, Entry)> for Entries {
    fn from_iter<I: IntoIterator<Item = (N, Entry)>>(entries: I) -> Self {
        Self { newest_first: entries.into_iter().map(|(name, entry)| (name.into(), entry)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn reads_what_the_kernel_writes() {
        let text = "enabled\ninterpreter /usr/bin/qemu-arm-static\nflags: POCF\noffset 0\nmagic 7f45\nmask ff0f\n";
        let entry = Entry::parse(text.as_bytes());
        assert!(entry.enabled);
        assert_eq!(entry.interpreter, Path::new("/usr/bin/qemu-arm-static"));
        assert_eq!(
            (entry.flags.as_str(), entry.rule),
            ("POCF", Some(Rule { offset: 0, magic: vec![0x7f, 0x45], mask: vec![0xff, 0x0f] }))
        );
    }

    #[test]
    fn reads_extensions_and_newer_text() {
        let python =
            Entry::parse(b"disabled\ninterpreter /usr/bin/python\nflags: \nextension .py\noffset 0\nmagic 7f\n");
        assert_eq!((python.enabled, python.flags.as_str()), (false, ""));
        assert!(!python.is_active_for(b"\x7fELF"));
        assert_eq!(Entry::parse(b"enabled\nbpf handler\n"), Entry { enabled: true, ..Entry::default() });
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
            let entry = Entry::parse(["enabled\nflags: \n", pattern].concat().as_bytes());
            assert_eq!(entry.is_active_for(b"\x7fELF"), expected, "{pattern}");
        }
    }

    #[test]
    fn the_entry_that_serves_is_put_first() {
        let named = ["a", "b", "c"].map(|name| (name, Entry::default()));
        let mut entries: Entries = named.into_iter().collect();
        for (name, expected) in [("b", "bac"), ("c", "cba"), ("c", "cba"), ("d", "cba")] {
            entries.put_first(OsStr::new(name));
            assert_eq!(entries.names().collect::<OsString>(), expected, "{name}");
        }
    }

    #[test]
    fn of_each_kind_of_program_the_newest_entry_counts() {
        let handler = TABLE.handlers_of("s390x").next().expect("all targets");
        let entry = |from: usize, kind: &str| {
            Entry::parse(format!("enabled\nflags: \noffset {from}\nmagic {kind}\n").as_bytes())
        };
        let disabled = Entry { enabled: false, ..entry(0, "7f") };
        let named = [("off", disabled), ("dyn", entry(16, "0003")), ("gnu", entry(7, "03")), ("all", entry(0, "7f"))];
        let entries: Entries = named.into_iter().collect();
        let servers = entries.servers_of(&ElfHeader::of(handler.probe).kinds());
        let names = servers.map(|server| server.map(|(name, _)| name));
        assert_eq!(names, ["all", "gnu", "dyn", "dyn"].map(|name| Some(OsStr::new(name))));
        let none = Entries::default();
        assert_eq!(none.servers_of(&ElfHeader::of(handler.probe).kinds()), [None; HEADER_VARIANTS]);
    }
}
