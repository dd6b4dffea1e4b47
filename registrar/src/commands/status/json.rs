//! The status as JSON. Written by hand: one shape, and no dependency.

use super::{Row, Status};
use crate::binfmt_misc::Entry;
use crate::output::json::{self, members, optional, string};
use crate::table::Handler;

impl Status<'_> {
    /// The object that `docs/json.md` describes.
    pub(crate) fn json(&self) -> String {
        let namespace = optional(self.namespace.as_ref().map(|namespace| namespace.name.as_str()));
        let head = [&json::head(&self.folder, self.is_switched_on)[..], &[("namespace", namespace)]].concat();
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
