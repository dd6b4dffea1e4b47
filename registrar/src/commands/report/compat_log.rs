//! Reports of `register` in other images' formats: tonistiigi's log on standard error (its standard output is the status),
//! and the lines of QEMU's script.

use std::fmt::Write;

use super::messages::has_entry;
use super::{Notes, Report, Row};
use crate::apply::{PlanResult, PlanStatus};
use crate::output::Output;
use crate::plan::{PlanOutcome, SkipReason};
use crate::request::CompatMode;
use crate::table::{Handler, TABLE};

/// Causes of failures follow from [`super::failures`].
pub(super) fn output(mode: CompatMode, report: &Report<'_>, rows: &[Row<'_>], notes: &Notes) -> Output {
    match mode {
        CompatMode::Tonistiigi => installing(rows, notes),
        CompatMode::Multiarch | CompatMode::Qus => setting(report, rows),
    }
}

/// Whether our entry is there now.
fn is_in_place(result: &PlanResult) -> bool {
    has_entry(&result.plan.outcome) && result.end == PlanStatus::AsPlanned
}

fn installing(rows: &[Row<'_>], notes: &Notes) -> Output {
    let line = |(result, message): &Row<'_>| match &result.plan.outcome {
        _ if is_in_place(result) => Some(format!("{} OK", architecture(result.plan.handler))),
        // In the notes or among the failures.
        PlanOutcome::Skipped(reason) if *reason != SkipReason::Served => None,
        PlanOutcome::Undecidable(_) => None,
        _ => Some(format!("{} {}", architecture(result.plan.handler), message.word)),
    };
    let mut lines: Vec<_> = rows.iter().filter_map(line).collect();
    // i386 has two entries.
    lines.dedup();
    lines.extend(notes.iter().map(|(target, cause)| {
        let architecture = TABLE.handlers_of(target).next().map_or(*target, architecture);
        format!("{architecture} skipped: {cause}")
    }));
    let mut output = Output::success(String::new());
    lines.iter().for_each(|line| output.detail(&format!("installing: {line}")));
    output
}

fn setting(report: &Report<'_>, rows: &[Row<'_>]) -> Output {
    let mut out = String::new();
    for (PlanResult { plan, .. }, _) in rows.iter().filter(|(result, _)| is_in_place(result)) {
        let interpreter = plan.handler.interpreter(&report.args.desired.emulators);
        let target = plan.handler.name.strip_prefix("qemu-").unwrap_or(plan.handler.name);
        let _ = writeln!(out, "Setting {interpreter} as binfmt interpreter for {target}");
    }
    Output::success(out)
}

/// containerd's name.
pub(in crate::commands) fn architecture(handler: &Handler) -> &'static str {
    handler.platform.strip_prefix("linux/").unwrap_or(handler.platform)
}
