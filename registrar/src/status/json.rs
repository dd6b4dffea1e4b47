//! The status as JSON. Written by hand: one shape, and no dependency.

use std::fmt::Write;

use super::{Row, Status};
use crate::kernel::Entry;
use crate::table::{Handler, TABLE};

impl Status<'_> {
    /// The object that the module above describes.
    pub(crate) fn json(&self) -> String {
        let head = [
            ("registrar", string(env!("CARGO_PKG_VERSION"))),
            ("qemu", string(TABLE.qemu_version)),
            ("origin", string(TABLE.origin)),
            ("mount", string(&self.folder.to_string_lossy())),
            ("enabled", self.is_switched_on.to_string()),
            ("namespace", optional(self.namespace.as_ref().map(|namespace| namespace.name.as_str()))),
        ];
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        format!("{{\n  {},\n  \"handlers\": [\n{}\n  ]\n}}\n", members(&head, ",\n  "), rows.join(",\n"))
    }
}

fn row(row: &Row) -> String {
    let Handler { name, target, platform, .. } = row.handler;
    let of_entry = |field: fn(&Entry) -> &str| optional(row.entry.as_ref().map(|(_, entry)| field(entry)));
    let fields = [
        ("name", string(name)),
        ("target", string(target)),
        ("platform", string(platform)),
        ("state", string(row.state.word())),
        ("entry", optional(row.entry.as_ref().map(|(name, _)| name.as_str()))),
        ("interpreter", of_entry(|entry| &entry.interpreter)),
        ("flags", of_entry(|entry| &entry.flags)),
        ("server", optional(row.server.as_deref())),
        ("detail", optional(row.detail.as_deref())),
    ];
    format!("    {{{}}}", members(&fields, ", "))
}

fn members(fields: &[(&str, String)], separator: &str) -> String {
    let members: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    members.join(separator)
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".into(), string)
}

/// A JSON string.
pub(crate) fn string(text: &str) -> String {
    let mut json = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            control if control.is_control() => {
                // Writing to a String cannot fail; all control characters are below U+10000.
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            letter => json.push(letter),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_escaped() {
        assert_eq!(string("a\"b\\c\u{1}é"), r#""a\"b\\c\u0001é""#);
    }
}
