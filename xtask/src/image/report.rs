//! What each file adds to an image: its bytes before and after compression, as a table and as a drawing.
//!
//! A finished layer is unpacked again, and at the end of each file it is noted how much has been read of the blob. So what
//! a file has in common with those before it counts for those. It is exact to a block of zstd's, 128 kB before compression.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use flate2::bufread::GzDecoder;
use indicatif::HumanBytes;
use tar::Archive;

use super::blobs;
use super::compress::Compression;
use super::layer::Layer;
use crate::svg::{self, Drawing, LINE};

/// One file of a layer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) path: String,
    /// Bytes that it has.
    pub(super) before: u64,
    /// Bytes that it adds to the blob.
    pub(super) after: u64,
}

/// So much is read at once: the error of a file's share.
const STEP: usize = 1 << 10;

/// The files of a layer.
///
/// # Errors
/// If its blob cannot be read or unpacked.
pub(super) fn rows(layout: &Path, layer: &Layer, compression: Compression) -> Result<Vec<Row>> {
    let path = layout.join(blobs::path(&layer.blob));
    let file = File::open(&path).with_context(|| format!("reading {}", path.display()))?;
    let count = Rc::new(Cell::new(0));
    let counted = BufReader::with_capacity(STEP, Counted { inner: file, count: Rc::clone(&count) });
    let unpacked: Box<dyn Read> = match compression {
        Compression::Gzip { .. } => Box::new(GzDecoder::new(counted)),
        Compression::Zstd { .. } => Box::new(zstd::Decoder::with_buffer(counted).context("unpacking a layer")?),
    };
    let mut archive = Archive::new(unpacked);
    let mut rows = Vec::new();
    let mut last = 0;
    for entry in archive.entries().context("unpacking a layer")? {
        let mut entry = entry.context("unpacking a layer")?;
        let path = entry.path().context("unpacking a layer")?.display().to_string();
        let before = io::copy(&mut entry, &mut io::sink()).context("unpacking a layer")?;
        let after = count.get() - last;
        last = count.get();
        // Folders and second names are in the layer's sum alone.
        if before > 0 {
            rows.push(Row { path, before, after });
        }
    }
    Ok(rows)
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count.set(self.count.get() + length as u64);
        Ok(length)
    }
}

/// A layer's table: a line for each file, then one for the layer.
pub(super) fn table(rows: &[Row], name: &str, blob: u64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, before: u64, after: u64| {
        let share = (after * 100).checked_div(before).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{name:46} {:>12} {:>12} {share:>4} %",
            HumanBytes(before).to_string(),
            HumanBytes(after).to_string()
        );
    };
    for Row { path, before, after } in rows {
        line(path, *before, *after);
    }
    line(name, rows.iter().map(|row| row.before).sum(), blob);
    text
}

/// Sizes of the drawing, in its own units.
const NAMES: usize = 190;
const BARS: u64 = 560;
const NUMBERS: usize = 150;

/// A drawing: for each file a bar of its bytes before compression and, in it, one of those after.
pub(super) fn drawing(rows: &[Row], title: &str) -> String {
    let longest = rows.iter().map(|row| row.before).max().unwrap_or(1).max(1);
    let mut drawing = Drawing::new(NAMES + BARS as usize + NUMBERS, LINE * (rows.len() + 3), title);
    for (index, Row { path, before, after }) in rows.iter().enumerate() {
        let (top, base) = (LINE * (index + 2) - 12, LINE * (index + 2));
        let [light, dark] = [before, after].map(|bytes| (bytes * BARS / longest) as usize);
        drawing.text(8, base, path.trim_start_matches("usr/bin/"));
        drawing.bar(NAMES, top, light, svg::LIGHT);
        drawing.bar(NAMES, top, dark, svg::DARK);
        drawing.text(NAMES + light + 6, base, format!("{} → {}", HumanBytes(*before), HumanBytes(*after)));
    }
    drawing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_line_and_a_bar() {
        let row = |path: &str, before, after| Row { path: path.into(), before, after };
        let rows =
            [row("usr/bin/qemu-arm-static", 10 << 20, 2 << 20), row("usr/bin/qemu-armeb-static", 5 << 20, 1 << 20)];
        let expected = "\
usr/bin/qemu-arm-static                           10.00 MiB     2.00 MiB   20 %
usr/bin/qemu-armeb-static                          5.00 MiB     1.00 MiB   20 %
emulators                                         15.00 MiB     4.00 MiB   26 %
";
        assert_eq!(table(&rows, "emulators", 4 << 20), expected);
        let drawing = drawing(&rows, "a title");
        for piece in [
            "<text x=\"8\" y=\"54\">qemu-armeb-static</text>\n<rect x=\"190\" y=\"42\" width=\"280\"",
            "width=\"112\" height=\"14\" fill=\"#2f5d8a\"",
            ">a title</text>",
            "10.00 MiB → 2.00 MiB",
        ] {
            assert!(drawing.contains(piece), "no {piece} in {drawing}");
        }
    }
}
