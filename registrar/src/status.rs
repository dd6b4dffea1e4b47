//! What serves each target, as a table for people and as JSON for programs. Only looks.
//!
//! The JSON is one object; keys are added in later versions, never renamed:
//!
//! - `registrar`, `qemu`, `origin`: versions, and where the emulators come from; `qemu` is empty in a build without any
//! - `mount`: the folder that was read
//! - `enabled`: whether the kernel uses any entry at all
//! - `handlers`: for each handler `name`, `target`, `platform`, `state`, and `interpreter`, `flags` and `detail`, which
//!   are `null` where there is none. `state` is one of `registered`, `different` (ours, but not as we would register
//!   it), `absent`, `taken` (the name is somebody else's), `served` (by another entry), `native`, `unknown`; `detail`
//!   says why or by which entry.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::columns::columns;
use crate::json::{members, optional, string};
use crate::kernel::{Entries, Entry, plain};
use crate::native::{HOST, Verdict};
use crate::plan::{self, Current};
use crate::table::{Handler, TABLE};
use crate::told::escaped;

/// The rows of the table.
pub(crate) struct Status {
    folder: PathBuf,
    is_switched_on: bool,
    rows: Vec<Row>,
}

struct Row {
    handler: &'static Handler,
    state: &'static str,
    entry: Option<Entry>,
    detail: Option<String>,
}

impl Status {
    pub(crate) fn new(folder: &Path, is_switched_on: bool) -> Self {
        Self { folder: folder.into(), is_switched_on, rows: Vec::new() }
    }

    /// Adds what the entries, or a trial, say of a handler.
    pub(crate) fn add(&mut self, handler: &'static Handler, folder: &str, entries: &Entries, verdict: Verdict) {
        let entry = entries.get(handler.name).cloned();
        let (state, entry, detail) = match plan::current(handler, folder, entries) {
            Current::Same if verdict == Verdict::Native => ("registered", entry, Some("runs natively too".into())),
            Current::Same => ("registered", entry, None),
            Current::Different(difference) => ("different", entry, Some(difference.to_string())),
            Current::Taken(holder) => ("taken", entry, holder.unreadable.map(plain)),
            Current::Absent => match (entries.server_of(handler.probe), verdict) {
                (Some(by), _) => ("served", entries.get(by).cloned(), Some(format!("by {by}"))),
                (None, _) if handler.target == HOST => ("native", None, None),
                (None, Verdict::Needed) => ("absent", None, None),
                (None, Verdict::Native) => ("native", None, None),
                (None, Verdict::Unknown(cause)) => ("unknown", None, Some(cause)),
            },
        };
        self.rows.push(Row { handler, state, entry, detail });
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("binfmt_misc at {}", escaped(&self.folder.display().to_string()));
        text.push_str(if self.is_switched_on { "\n" } else { ", switched off: no entry is used\n" });
        let cells = |row: &Row| {
            let Handler { name, target, platform, .. } = row.handler;
            let (flags, mut last) = row
                .entry
                .as_ref()
                .map_or_else(Default::default, |entry| (entry.flags.clone(), entry.interpreter.clone()));
            if let Some(detail) = &row.detail {
                let _ = write!(last, " ({detail})");
            }
            [(*name).into(), (*target).into(), (*platform).into(), row.state.into(), flags, escaped(&last)]
        };
        let heading = ["ENTRY", "TARGET", "PLATFORM", "STATE", "FLAGS", "INTERPRETER"].map(String::from);
        let table: Vec<_> = std::iter::once(heading).chain(self.rows.iter().map(cells)).collect();
        text.push_str(&columns(&table));
        text
    }

    pub(crate) fn json(&self) -> String {
        let head = [
            ("registrar", string(env!("CARGO_PKG_VERSION"))),
            ("qemu", string(TABLE.qemu_version)),
            ("origin", string(TABLE.origin)),
            ("mount", string(&self.folder.to_string_lossy())),
            ("enabled", self.is_switched_on.to_string()),
        ];
        let rows = self.rows.iter().map(|row| {
            let Handler { name, target, platform, .. } = row.handler;
            let of_entry = |field: fn(&Entry) -> &str| optional(row.entry.as_ref().map(field));
            let fields = [
                ("name", string(name)),
                ("target", string(target)),
                ("platform", string(platform)),
                ("state", string(row.state)),
                ("interpreter", of_entry(|entry| &entry.interpreter)),
                ("flags", of_entry(|entry| &entry.flags)),
                ("detail", optional(row.detail.as_deref())),
            ];
            format!("    {{{}}}", members(&fields, ", "))
        });
        let rows: Vec<_> = rows.collect();
        format!("{{\n  {},\n  \"handlers\": [\n{}\n  ]\n}}\n", members(&head, ",\n  "), rows.join(",\n"))
    }
}
