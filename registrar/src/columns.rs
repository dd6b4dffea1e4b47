//! Text in columns.

use std::fmt::Write;

/// Lines of cells, each column as wide as its widest; the last one is as long as it likes.
pub(crate) fn columns<const N: usize>(lines: &[[String; N]]) -> String {
    let mut text = String::new();
    for cells in lines {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let width = if column + 1 < N { lines.iter().map(|cells| cells[column].len()).max() } else { None };
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:0$}  ", width.unwrap_or_default());
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
