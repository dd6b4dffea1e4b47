//! Bars and spinners on a terminal; elsewhere at most a line for each step.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

pub(crate) fn bytes(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), target());
    if let Ok(style) = ProgressStyle::with_template("{msg:32!} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what.to_owned()).with_finish(ProgressFinish::AndClear)
}

/// Does work of unknown length that a person waits for: a sign of life on a terminal, a line elsewhere.
pub fn step<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let terminal = io::stderr().is_terminal();
    if !terminal {
        eprintln!("{what}");
    }
    let _spinner = terminal.then(|| spinner(what));
    work()
}

/// A sign of life for work of unknown length, gone when dropped.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target());
    // Cut at the terminal's edge: a line that is broken there would not be cleared.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar.with_message(what.to_owned()).with_finish(ProgressFinish::AndClear)
}
