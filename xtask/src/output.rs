//! Standard output: a reader that stops (`| head`) is no failure, a full disk is.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

pub mod progress;

/// Prints a line as `println!` does, but for a reader that has gone.
#[macro_export]
macro_rules! say {
    ($($arguments:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($arguments)*))) };
}

pub(crate) use say;

/// The first failure to write. It ends no step: what is made is put in place whole, and the command fails after that.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

pub fn write(text: Arguments<'_>) {
    keep(io::stdout().lock().write_fmt(text));
}

pub fn finish() -> Result<()> {
    keep(io::stdout().lock().flush());
    let failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take();
    failure.map_or(Ok(()), |error| Err(error).context("writing to standard output"))
}

fn keep(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != ErrorKind::BrokenPipe
    {
        FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Longest part of a text from elsewhere that an error quotes, in characters.
const LONGEST_QUOTE: usize = 80;

/// A text from elsewhere, or its start, as an error quotes it: in one line, and of a length that can be read.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
