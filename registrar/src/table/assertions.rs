//! What must hold of the generated table, so that look-up may search it and writing may slice it. A table that breaks
//! one of these does not compile.

use super::{EMULATOR_DIR, FLAGS, Handler, LONGEST_LINE, LONGEST_NAME, NAME_SUFFIXES, Rule, TABLE};
use crate::arch::{ELF, HOST};

const _: () = assert!(NAME_SUFFIXES[0].len() <= NAME_SUFFIXES[1].len(), "the last one is to be the longest");

const _: () = {
    let mut index = 0;
    while index < TABLE.handlers.len() {
        let handler = &TABLE.handlers[index];
        assert!(
            index == 0 || precedes(TABLE.handlers[index - 1].name, handler.name),
            "handlers unsorted or not unique"
        );
        assert!(handler.line.len() + NAME_SUFFIXES[1].len() <= LONGEST_LINE, "a line is longer than the kernel takes");
        assert!(handler.name.len() + NAME_SUFFIXES[1].len() <= LONGEST_NAME, "a name is longer than the kernel takes");
        let is_standby = ends_with(handler.name, NAME_SUFFIXES[0]) || ends_with(handler.name, NAME_SUFFIXES[1]);
        assert!(!is_standby, "a name looks like another's second or third one");
        assert!(handler.rule.mask.len() == handler.rule.magic.len(), "a mask is not as long as its magic");
        assert!(is_rule_of(handler), "a line is not `:name:M…:EMULATOR_DIR/emulator:FLAGS`");
        index += 1;
    }
};

const _: () = {
    let mut index = 0;
    while index < TABLE.names.len() {
        assert!(index == 0 || precedes(TABLE.names[index - 1].0, TABLE.names[index].0), "names unsorted or not unique");
        assert!(is_lower_case(TABLE.names[index].0), "the command line makes names lower case");
        index += 1;
    }
};

/// No rule takes programs of this machine: it would start an emulator for each of them, or fail every exec with ELOOP, and
/// only a process that is already running could undo it. No two rules take the same programs, so that none takes those of
/// another target that turn out to run natively either.
const _: () = {
    let mut index = 0;
    while index < TABLE.handlers.len() {
        let handler = &TABLE.handlers[index];
        let is_host = equal(handler.target, HOST);
        assert!(is_host || !handler.rule.overlaps(&HOST_PROGRAM), "a rule takes programs of this machine");
        let mut other = index + 1;
        while other < TABLE.handlers.len() {
            assert!(!handler.rule.overlaps(&TABLE.handlers[other].rule), "two rules take the same programs");
            other += 1;
        }
        index += 1;
    }
};

/// The bytes that all programs of this machine have in common.
const HOST_PROGRAM: Rule = Rule {
    offset: 0,
    magic: &{
        let (class, order, [low, high]) = (ELF.0, ELF.1, ELF.2.to_le_bytes());
        let [first, second] = if order == 1 { [low, high] } else { [high, low] };
        let mut magic = *b"\x7fELF\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0";
        (magic[4], magic[5], magic[18], magic[19]) = (class, order, first, second);
        magic
    },
    mask: b"\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\xff\xff",
};

const fn equal(one: &str, other: &str) -> bool {
    one.len() == other.len() && stands_at(one.as_bytes(), 0, other.as_bytes())
}

const fn ends_with(name: &str, end: &str) -> bool {
    match name.len().checked_sub(end.len()) {
        Some(start) => stands_at(name.as_bytes(), start, end.as_bytes()),
        None => false,
    }
}

const fn is_lower_case(name: &str) -> bool {
    let name = name.as_bytes();
    let mut index = 0;
    while index < name.len() {
        if name[index].is_ascii_uppercase() {
            return false;
        }
        index += 1;
    }
    true
}

const fn is_rule_of(handler: &Handler) -> bool {
    let line = handler.line.as_bytes();
    let Some(tail) = line.len().checked_sub(handler.tail_len()) else { return false };
    let name_end = 1 + handler.name.len();
    let dir_end = tail + EMULATOR_DIR.len();
    let emulator_end = dir_end + 1 + handler.emulator.len();
    tail > name_end
        && stands_at(line, 0, b":")
        && stands_at(line, 1, handler.name.as_bytes())
        && stands_at(line, name_end, b":M")
        && stands_at(line, tail - 1, b":")
        && stands_at(line, tail, EMULATOR_DIR.as_bytes())
        && stands_at(line, dir_end, b"/")
        && stands_at(line, dir_end + 1, handler.emulator.as_bytes())
        && stands_at(line, emulator_end, b":")
        && stands_at(line, emulator_end + 1, FLAGS.as_bytes())
}

const fn stands_at(text: &[u8], start: usize, part: &[u8]) -> bool {
    let mut index = 0;
    while index < part.len() {
        if start + index >= text.len() || text[start + index] != part[index] {
            return false;
        }
        index += 1;
    }
    true
}

const fn precedes(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() {
        if one[index] != other[index] {
            return one[index] < other[index];
        }
        index += 1;
    }
    one.len() < other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_are_too_wide_are_noticed() {
        const WIDE: [(&[u8], &[u8], bool); 5] = [
            (b"\x7fELF", b"\xff\xff\xff\xff", true),
            (b"\x7fELF\x00", b"\xff\xff\xff\xff\x00", true),
            (b"\0\0", b"\0\0", true),
            (b"\x7fELG", b"\xff\xff\xff\xff", false),
            (b"", b"", false),
        ];
        let some = TABLE.handlers.iter().find(|handler| handler.target != HOST).expect("a handler");
        for (magic, mask, expected) in WIDE {
            let rule = Rule { offset: 0, magic, mask };
            assert_eq!(rule.overlaps(&HOST_PROGRAM), expected, "{magic:?}");
            assert_eq!(HOST_PROGRAM.overlaps(&rule), expected, "{magic:?}");
            assert_eq!(rule.overlaps(&some.rule), expected, "{magic:?}");
        }
        // What a rule compares beyond the header of another still tells programs apart only where both look.
        let behind: Rule = Rule { offset: 64, magic: b"x", mask: b"\xff" };
        assert!(behind.overlaps(&some.rule) && some.rule.overlaps(&behind));
        let own = TABLE.handlers.iter().find(|handler| handler.target == HOST).expect("all targets");
        assert!(own.rule.overlaps(&HOST_PROGRAM));
    }
}
