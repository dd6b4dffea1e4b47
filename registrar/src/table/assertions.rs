//! What must hold of the generated table, so that registering it harms no machine: a table that breaks one of these does
//! not compile. That look-up may search it, and writing slice it, is held by the tests below, since the generator can make
//! no other.

use super::{Handler, LONGEST_LINE, LONGEST_NAME, NAME_SUFFIXES, Rule, TABLE};
use crate::arch::{ELF, HOST};

const _: () = assert!(NAME_SUFFIXES[0].len() <= NAME_SUFFIXES[1].len(), "the last one is to be the longest");

/// No rule takes programs of this machine: it would start an emulator for each of them, or fail every exec with ELOOP, and
/// only a process that is already running could undo it. No two rules take the same programs, so that none takes those of
/// another target that turn out to run natively either.
const _: () = {
    let mut index = 0;
    while index < TABLE.handlers.len() {
        let handler = &TABLE.handlers[index];
        assert!(handler.line.len() + NAME_SUFFIXES[1].len() <= LONGEST_LINE, "a line is longer than the kernel takes");
        assert!(handler.name.len() + NAME_SUFFIXES[1].len() <= LONGEST_NAME, "a name is longer than the kernel takes");
        assert!(handler.rule.mask.len() == handler.rule.magic.len(), "a mask is not as long as its magic");
        assert!(is_of_host(handler) || !handler.rule.overlaps(&HOST_PROGRAM), "a rule takes programs of this machine");
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

const fn is_of_host(handler: &Handler) -> bool {
    let (target, host) = (handler.target.as_bytes(), HOST.as_bytes());
    let mut index = 0;
    while index < target.len() && index < host.len() && target[index] == host[index] {
        index += 1;
    }
    index == target.len() && index == host.len()
}

#[cfg(test)]
mod tests {
    use super::super::{EMULATOR_DIR, FLAGS};
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_lines_are_of_their_parts() {
        assert!(TABLE.handlers.is_sorted_by(|one, next| one.name < next.name));
        assert!(TABLE.names.is_sorted_by(|(one, _), (next, _)| one < next));
        assert!(
            TABLE.names.iter().all(|(name, _)| name.to_ascii_lowercase() == *name),
            "as the command line makes them"
        );
        for Handler { name, line, emulator, .. } in TABLE.handlers {
            assert!(NAME_SUFFIXES.iter().all(|suffix| !name.ends_with(suffix)), "{name}: as another's second or third");
            assert!(line.starts_with(&format!(":{name}:M:")), "{line}");
            assert!(line.ends_with(&format!(":{EMULATOR_DIR}/{emulator}:{FLAGS}")), "{line}");
        }
    }

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
