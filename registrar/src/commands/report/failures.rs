//! Failures as lines of standard error, one for each cause.

use super::Row;
use super::messages::Failure;
use crate::output::Output;
use crate::table::names::first_of;

/// Names of the handlers that failed for one cause, each once, and the first of their failures.
type Group<'r> = (Vec<&'static str>, &'r Failure);

fn groups<'r>(rows: &'r [Row<'_>]) -> Vec<Group<'r>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for failure in rows.iter().filter_map(|(_, message)| message.failure.as_ref()) {
        match groups.iter_mut().find(|(_, first)| first.common == failure.common) {
            Some((names, _)) if names.contains(&failure.name) => {}
            Some((names, _)) => names.push(failure.name),
            None => groups.push((vec![failure.name], failure)),
        }
    }
    groups
}

pub(super) fn count(rows: &[Row<'_>]) -> usize {
    groups(rows).iter().map(|(names, _)| names.len()).sum()
}

/// Appends a line for each cause; with several, a summary as the last line.
pub(super) fn with_failures(mut output: Output, doing: &str, rows: &[Row<'_>]) -> Output {
    let line = |(names, failure): &Group<'_>| {
        if names.len() == 1 {
            return failure.alone.clone();
        }
        format!("{doing} {} handlers ({}): {}", names.len(), first_of(names), failure.common)
    };
    let lines: Vec<_> = groups(rows).iter().map(line).collect();
    match lines.as_slice() {
        [] => output,
        [only] => output.with_error(only),
        lines => {
            lines.iter().for_each(|line| output.detail(line));
            output.with_error(&format!("{} failed, first: {}", count(rows), lines[0]))
        }
    }
}
