//! What a person sees while something takes more than a second: bars and spinners on a terminal; elsewhere at most a line
//! for each step.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

/// A bar that counts bytes up to `total`, gone when dropped.
pub fn bytes(total: u64, what: &str) -> ProgressBar {
    bar(total, what, ProgressBar::with_draw_target(Some(total), target()))
}

fn bar(total: u64, what: &str, bar: ProgressBar) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:32!} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_length(total);
    bar.with_message(what.to_owned()).with_finish(ProgressFinish::AndClear)
}

/// A bar for each file that is on its way, and one for all of them.
#[derive(Debug)]
pub struct Transfers {
    bars: MultiProgress,
    total: ProgressBar,
}

/// One file on its way.
#[derive(Debug)]
pub struct Transfer {
    own: ProgressBar,
    total: ProgressBar,
}

impl Transfers {
    /// Of `total` bytes together.
    pub fn new(total: u64, what: &str) -> Self {
        let bars = MultiProgress::with_draw_target(target());
        let total = bar(total, what, bars.add(ProgressBar::no_length()));
        Self { bars, total }
    }

    /// A file of `size` bytes; its bar goes when it is dropped.
    pub fn one(&self, path: &str, size: u64) -> Transfer {
        let name = path.rsplit('/').next().unwrap_or(path);
        let own = bar(size, name, self.bars.insert_before(&self.total, ProgressBar::no_length()));
        Transfer { own, total: self.total.clone() }
    }
}

impl Transfer {
    /// More has arrived.
    pub fn inc(&self, bytes: u64) {
        self.own.inc(bytes);
        self.total.inc(bytes);
    }

    /// What had arrived is of no use.
    pub fn take_back(&self, bytes: u64) {
        self.own.dec(bytes);
        self.total.dec(bytes);
    }
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
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target());
    // Cut at the terminal's edge: a line that is broken there would not be cleared.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar.with_message(what.to_owned()).with_finish(ProgressFinish::AndClear)
}
