//! Failures, those of one cause told as one.

use crate::output::Output;

/// Names that are written out of many.
const NAMED: usize = 3;

/// What failed, in the order in which it was met.
#[derive(Default)]
pub(crate) struct Failures {
    groups: Vec<Group>,
}

struct Group {
    doing: &'static str,
    names: Vec<&'static str>,
    /// The whole line, if it stays the only one.
    alone: String,
    /// The cause that all have in common.
    common: String,
}

impl Failures {
    /// Adds that of `name`, once.
    pub(crate) fn add(&mut self, doing: &'static str, name: &'static str, alone: String, common: String) {
        match self.groups.iter_mut().find(|group| group.doing == doing && group.common == common) {
            Some(group) if group.names.contains(&name) => {}
            Some(group) => group.names.push(name),
            None => self.groups.push(Group { doing, names: vec![name], alone, common }),
        }
    }

    /// How many failed.
    pub(crate) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.names.len()).sum()
    }

    /// What was told, and then a line for each cause.
    pub(crate) fn told_after(&self, output: Output) -> Output {
        let lines: Vec<_> = self.groups.iter().map(Group::line).collect();
        match lines.as_slice() {
            [] => output,
            [only] => output.with_error(only),
            lines => {
                let output = lines.iter().fold(output, |output, line| output.with_detail(line));
                output.with_error(&format!("{} failed, first: {}", self.len(), lines[0]))
            }
        }
    }
}

impl Group {
    fn line(&self) -> String {
        let Self { doing, names, alone, common } = self;
        if names.len() == 1 {
            return alone.clone();
        }
        let more = if names.len() > NAMED { ", …" } else { "" };
        let named = names[..names.len().min(NAMED)].join(", ");
        format!("{doing} {} handlers ({named}{more}): {common}", names.len())
    }
}
