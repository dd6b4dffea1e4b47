//! Drawings as SVG: a frame with a title, and texts, bars and lines in it, as text. What is drawn, and where, is for those
//! who have the numbers.

use std::fmt::{Display, Write};

/// Of what is behind, or less important.
pub(crate) const LIGHT: &str = "#cfd8e3";
/// Of the lesser of two things that are to be seen beside each other.
pub(crate) const GREY: &str = "#8a97a6";
/// Of what it is about.
pub(crate) const DARK: &str = "#2f5d8a";
/// Of limits, and what is to stand out from the rest.
pub(crate) const RED: &str = "#b3402a";

/// How high a line of text is, with the space to the next.
pub(crate) const LINE: usize = 18;

/// A drawing in the making, in units of its own.
#[derive(Debug)]
pub(crate) struct Drawing {
    text: String,
}

impl Drawing {
    /// An empty one, with a title in its first line.
    pub(crate) fn new(width: usize, height: usize, title: &str) -> Self {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"8\" y=\"{LINE}\" font-weight=\"bold\">{title}</text>\n"
        );
        Self { text }
    }

    /// A text that begins at `x` and stands on `y`.
    pub(crate) fn text(&mut self, x: usize, y: usize, text: impl Display) {
        self.add(format_args!("<text x=\"{x}\" y=\"{y}\">{text}</text>"));
    }

    /// A bar, as high as its line's letters.
    pub(crate) fn bar(&mut self, x: usize, y: usize, width: usize, fill: &str) {
        self.add(format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"14\" fill=\"{fill}\"/>"));
    }

    /// A line through these points.
    pub(crate) fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>, stroke: &str) {
        let points: Vec<_> = points.into_iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        self.add(format_args!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\"/>"));
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.text + "</svg>\n"
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{element}");
    }
}
