//! What must hold of the generated table, so that look-up may search it and writing may slice it. A table that breaks
//! one of these does not compile.

use super::{EMULATOR_DIR, FLAGS, Handler, LONGEST_LINE, LONGEST_NAME, NAME_SUFFIXES, TABLE};

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
        assert!(!ends_as_spare(handler.name), "a name looks like another's second or third one");
        assert!(handler.mask.len() == handler.magic.len(), "a mask is not as long as its magic");
        assert!(is_rule_of(handler), "a line is not `:name:M…:EMULATOR_DIR/emulator:FLAGS`");
        index += 1;
    }
};

const _: () = {
    let mut index = 1;
    while index < TABLE.names.len() {
        assert!(precedes(TABLE.names[index - 1].0, TABLE.names[index].0), "names unsorted or not unique");
        index += 1;
    }
};

const _: () = {
    let mut index = 0;
    while index < TABLE.names.len() {
        assert!(is_lower_case(TABLE.names[index].0), "the command line makes names lower case");
        index += 1;
    }
};

const fn ends_as_spare(name: &str) -> bool {
    ends_with(name, NAME_SUFFIXES[0]) || ends_with(name, NAME_SUFFIXES[1])
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
