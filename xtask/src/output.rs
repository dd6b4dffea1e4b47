//! What commands print: lines on standard output, where whoever reads them may stop reading (`| head`) and the work goes
//! on.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Prints a line as `println!` does, but for a reader that has gone.
macro_rules! say {
    ($($arguments:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($arguments)*))) };
}

pub(crate) use say;

/// Writes text. There is nobody to tell that it could not be read.
pub fn write(text: Arguments<'_>) {
    let _ = io::stdout().lock().write_fmt(text);
}
