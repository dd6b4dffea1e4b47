//! Failures, those of one cause told as one.

use super::Row;
use crate::output::Output;

/// Names that are written out of many.
const NAMED: usize = 3;

/// What has failed for one cause.
struct Group<'r> {
    names: Vec<&'static str>,
    /// The whole line, if it stays the only one.
    alone: &'r str,
    /// The cause that all have in common.
    common: &'r str,
}

/// In the order in which they were met; each name once.
fn groups<'r>(rows: &'r [Row<'_>]) -> Vec<Group<'r>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for failure in rows.iter().filter_map(|(_, message)| message.failure.as_ref()) {
        match groups.iter_mut().find(|group| group.common == failure.common) {
            Some(group) if group.names.contains(&failure.name) => {}
            Some(group) => group.names.push(failure.name),
            None => {
                let (alone, common) = (failure.alone.as_str(), failure.common.as_str());
                groups.push(Group { names: vec![failure.name], alone, common });
            }
        }
    }
    groups
}

/// How many have failed.
pub(super) fn count(rows: &[Row<'_>]) -> usize {
    groups(rows).iter().map(|group| group.names.len()).sum()
}

/// The output, and then a line for each cause.
pub(super) fn with_failures(output: Output, doing: &str, rows: &[Row<'_>]) -> Output {
    let lines: Vec<_> = groups(rows).iter().map(|group| group.line(doing)).collect();
    match lines.as_slice() {
        [] => output,
        [only] => output.with_error(only),
        lines => {
            let output = lines.iter().fold(output, |output, line| output.with_detail(line));
            output.with_error(&format!("{} failed, first: {}", count(rows), lines[0]))
        }
    }
}

impl Group<'_> {
    fn line(&self, doing: &str) -> String {
        let Self { names, alone, common } = self;
        if names.len() == 1 {
            return (*alone).into();
        }
        let more = if names.len() > NAMED { ", …" } else { "" };
        let named = names[..names.len().min(NAMED)].join(", ");
        format!("{doing} {} handlers ({named}{more}): {common}", names.len())
    }
}
