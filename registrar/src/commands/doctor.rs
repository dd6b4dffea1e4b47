//! Goes along the chain from the kernel to a foreign program that runs, and says of each link whether it holds. The
//! first that does not is what to look at, and its line says what to do. Only looks, but for the programs that
//! [`verify`] runs.
//!
//! The links: `kernel` knows `binfmt_misc`; it is mounted (`mount`), and in use (`switch`); whose programs it serves
//! (`scope`), and how long (`lasting`); there is a rule (`rule`), it is in use (`enabled`) and the one that counts
//! (`first`); its emulator is there and can run anywhere (`emulator`); a program runs (`verify`); if it does not, what
//! may forbid it (`policy`).

mod checks;
mod emulator;
mod policy;

use std::time::Duration;

use crate::output::{Output, escaped};
use crate::request::{CommonArgs, Verbosity};
use crate::table::Handler;

/// Whether a link holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckStatus {
    Holds,
    Broken,
    /// It cannot be told, or is nothing but a hint.
    Unknown,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    what: &'static str,
    /// The handler that it is of, if it is of one.
    of: Option<&'static str>,
    state: CheckStatus,
    detail: String,
}

impl Check {
    fn new(what: &'static str, state: CheckStatus, detail: impl Into<String>) -> Self {
        Self { what, of: None, state, detail: detail.into() }
    }

    fn of(handler: &Handler, what: &'static str, state: CheckStatus, detail: impl Into<String>) -> Self {
        Self { of: Some(handler.name), ..Self::new(what, state, detail) }
    }

    fn line(&self) -> String {
        let word = match self.state {
            CheckStatus::Holds => "ok",
            CheckStatus::Broken => "broken",
            CheckStatus::Unknown => "unknown",
        };
        format!("{:8}  {word:7}  {}\n", self.what, escaped(&self.text()))
    }

    fn text(&self) -> String {
        match self.of {
            Some(name) => format!("{name}: {}", self.detail),
            None => self.detail.clone(),
        }
    }
}

/// Looks at all links, those of each target that is asked for, or of each handler of ours that is registered.
pub(crate) fn doctor(args: &CommonArgs, limit: Duration) -> Output {
    let checks = checks::checks(args, limit);
    let is_told = |check: &&Check| args.detail != Verbosity::Quiet || check.state == CheckStatus::Broken;
    let output = Output::success(checks.iter().filter(is_told).map(Check::line).collect());
    match checks.iter().find(|check| check.state == CheckStatus::Broken) {
        None => output,
        Some(check) => output.with_error(&format!("{} is broken: {}", check.what, check.text())),
    }
}

/// As few links as tell the same: what holds of several handlers is one.
fn condensed(checks: Vec<Check>) -> Vec<Check> {
    let mut kinds: Vec<&'static str> = Vec::new();
    for check in &checks {
        if !kinds.contains(&check.what) {
            kinds.push(check.what);
        }
    }
    let condensed = kinds.into_iter().flat_map(|kind| {
        let of_kind = || checks.iter().filter(|check| check.what == kind);
        let holding = of_kind().filter(|check| check.state == CheckStatus::Holds).count();
        if holding < 2 {
            return of_kind().cloned().collect::<Vec<_>>();
        }
        let sum = Check::new(kind, CheckStatus::Holds, format!("{holding} handlers"));
        [sum].into_iter().chain(of_kind().filter(|check| check.state != CheckStatus::Holds).cloned()).collect()
    });
    condensed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_of_many_is_one_line() {
        let check = |what, state, detail: &str| Check::new(what, state, detail);
        let checks = vec![
            check("rule", CheckStatus::Holds, "a"),
            check("verify", CheckStatus::Holds, "a"),
            check("rule", CheckStatus::Holds, "b"),
            check("verify", CheckStatus::Broken, "b"),
            check("rule", CheckStatus::Unknown, "c"),
        ];
        let expected = [
            check("rule", CheckStatus::Holds, "2 handlers"),
            check("rule", CheckStatus::Unknown, "c"),
            check("verify", CheckStatus::Holds, "a"),
            check("verify", CheckStatus::Broken, "b"),
        ];
        assert_eq!(condensed(checks), expected);
    }
}
