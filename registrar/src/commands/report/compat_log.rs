//! What is told of registering in the words of other images, for those who read them: tonistiigi's log on standard
//! error, whose output is the status, and the lines of QEMU's script.

use std::fmt::Write;

use super::{Report, Row};
use crate::output::Output;
use crate::request::CompatMode;
use crate::table::{Handler, TABLE};

/// The words for an entry that is there now.
const DONE: [&str; 4] = ["registered", "replaced", "refreshed", "unchanged"];

/// What went well; of what failed, tonistiigi's log names it, and the cause follows.
pub(super) fn output(mode: CompatMode, report: &Report<'_>) -> Output {
    match mode {
        CompatMode::Tonistiigi => installing(report),
        CompatMode::Multiarch | CompatMode::Qus => setting(report),
    }
}

fn installing(report: &Report<'_>) -> Output {
    let line = |row: &Row| match row.word {
        word if DONE.contains(&word) => Some(format!("{} OK", architecture(row.handler))),
        // In the notes, with the cause.
        "skipped" => None,
        word => Some(format!("{} {word}", architecture(row.handler))),
    };
    let mut lines: Vec<_> = report.rows.iter().filter_map(line).collect();
    // Of one architecture there may be two entries.
    lines.dedup();
    lines.extend(report.notes.iter().map(|(target, cause)| {
        let architecture = TABLE.handlers_of(target).next().map_or(*target, architecture);
        format!("{architecture} skipped: {cause}")
    }));
    let add = |output: Output, line: String| output.with_detail(&format!("installing: {line}"));
    lines.into_iter().fold(Output::success(String::new()), add)
}

fn setting(report: &Report<'_>) -> Output {
    let mut out = String::new();
    for Row { handler, .. } in report.rows.iter().filter(|row| DONE.contains(&row.word)) {
        let interpreter = handler.interpreter(&report.context.args.desired.emulators);
        let target = handler.name.strip_prefix("qemu-").unwrap_or(handler.name);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "Setting {interpreter} as binfmt interpreter for {target}");
    }
    Output::success(out)
}

/// As containerd calls it.
fn architecture(handler: &Handler) -> &'static str {
    handler.platform.strip_prefix("linux/").unwrap_or(handler.platform)
}
