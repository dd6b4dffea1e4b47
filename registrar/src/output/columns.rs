//! Text tables.

use std::borrow::Cow;
use std::fmt::Write;

/// Stands between columns.
pub(crate) const GAP: &str = "  ";

const BLANKS: &str = "                                ";

/// Appends a cell, and blanks up to the width of its column. `format!` would take a tenth of a whole `register`.
pub(crate) fn push_padded(text: &mut String, cell: &str, width: usize) {
    text.push_str(cell);
    let mut missing = width.saturating_sub(cell.chars().count());
    while missing > 0 {
        let blanks = missing.min(BLANKS.len());
        text.push_str(&BLANKS[..blanks]);
        missing -= blanks;
    }
}

/// Pads each column but the last to its widest cell. `colour` names that of a cell (line, column), as a number of SGR.
pub(crate) fn text<const N: usize>(lines: &[[Cow<'_, str>; N]], colour: impl Fn(usize, usize) -> Option<u8>) -> String {
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(|column| if column + 1 < N { width(column) } else { 0 });
    let mut text = String::new();
    for (line, cells) in lines.iter().enumerate() {
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let colour = colour(line, column);
            if let Some(colour) = colour {
                let _ = write!(text, "\u{1b}[{colour}m");
            }
            push_padded(&mut text, cell, width);
            text.push_str(if colour.is_some() { "\u{1b}[0m" } else { "" });
            text.push_str(GAP);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
