//! Colours, for a terminal that wants them.

use std::env;
use std::io::{IsTerminal, stdout};

use super::HandlerStatus;

/// Whether standard output is a terminal, and nobody has asked for none: <https://no-color.org>.
pub(super) fn is_wanted() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Green for what is as it should be, yellow for what is not quite, red for what does not run.
pub(super) fn painted(state: HandlerStatus, text: &str) -> String {
    let code = match state {
        HandlerStatus::Registered => 32,
        HandlerStatus::Different | HandlerStatus::Shadowed | HandlerStatus::Served => 33,
        HandlerStatus::Disabled | HandlerStatus::Absent | HandlerStatus::Unknown => 31,
        HandlerStatus::Native => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
