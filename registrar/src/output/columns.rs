//! Text tables.

/// Pads each column but the last to its widest cell. `painted` adds colours to a padded cell (line, column, text).
pub(crate) fn text<const N: usize>(lines: &[[String; N]], painted: impl Fn(usize, usize, String) -> String) -> String {
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(|column| if column + 1 < N { width(column) } else { 0 });
    let mut text = String::new();
    for (line, cells) in lines.iter().enumerate() {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let painted: Vec<_> = padded.enumerate().map(|(column, cell)| painted(line, column, cell)).collect();
        text.push_str(painted.join("  ").trim_end());
        text.push('\n');
    }
    text
}
