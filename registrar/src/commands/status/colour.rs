//! Colours of states.

use std::env;
use std::io::{IsTerminal, stdout};

use super::HandlerStatus;

/// On a terminal, unless `NO_COLOR` (<https://no-color.org>) or `TERM=dumb` is set.
pub(super) fn is_enabled() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Green: as desired; yellow: programs run, but not as desired; red: programs do not run. Numbers of SGR.
pub(super) fn of(state: HandlerStatus) -> u8 {
    match state {
        HandlerStatus::Registered => 32,
        HandlerStatus::Different | HandlerStatus::Shadowed | HandlerStatus::Served => 33,
        HandlerStatus::Disabled | HandlerStatus::Absent | HandlerStatus::Unknown => 31,
        HandlerStatus::Native => 2,
    }
}
