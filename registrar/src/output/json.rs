//! JSON strings and members of objects.

use std::fmt::Write;
use std::path::Path;

use crate::table::TABLE;

/// The first members of each object: what this program is.
pub(crate) fn program() -> [(&'static str, String); 3] {
    [
        ("registrar", string(env!("CARGO_PKG_VERSION"))),
        ("qemu", string(TABLE.qemu_version)),
        ("origin", string(TABLE.origin)),
    ]
}

/// The same, with `folder`: where `binfmt_misc` was read, and whether it is enabled.
pub(crate) fn head(folder: Option<(&Path, bool)>) -> [(&'static str, String); 5] {
    let [registrar, qemu, origin] = program();
    let (at, is_enabled) = folder.unzip();
    let is_enabled = is_enabled.map_or("null".into(), |is_enabled| is_enabled.to_string());
    [registrar, qemu, origin, ("mount", optional(at.map(Path::to_string_lossy).as_deref())), ("enabled", is_enabled)]
}

pub(crate) fn string(text: &str) -> String {
    let mut json = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            control if control.is_control() => {
                // All control characters are below U+10000.
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            letter => json.push(letter),
        }
    }
    json.push('"');
    json
}

/// A JSON string, or `null`.
pub(crate) fn optional(text: Option<&str>) -> String {
    text.map_or("null".into(), string)
}

/// A document: its first members, and a list of objects, each of such members, under `key`.
pub(crate) fn document(head: &[(&str, String)], key: &str, objects: impl Iterator<Item = String>) -> String {
    let objects: Vec<_> = objects.map(|object| format!("    {{{object}}}")).collect();
    format!("{{\n  {},\n  \"{key}\": [\n{}\n  ]\n}}\n", members(head, ",\n  "), objects.join(",\n"))
}

/// The inside of an object; values are JSON.
pub(crate) fn members(fields: &[(&str, String)], separator: &str) -> String {
    let members: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    members.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_escaped() {
        assert_eq!(string("a\"b\\c\u{1}é"), r#""a\"b\\c\u0001é""#);
    }
}
