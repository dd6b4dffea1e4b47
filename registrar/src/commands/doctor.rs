//! `doctor`: checks each link from the kernel to a running program. The first broken one is the failure, with how to fix
//! it. Read-only, except for the test programs of [`crate::verify`].
//!
//! The links: the kernel has `binfmt_misc` (`kernel`), it is mounted (`mount`) and enabled (`switch`), for which programs
//! (`scope`) and how long (`lifetime`); there is an entry (`rule`), it is `enabled` and no newer one matches (`first`);
//! its `emulator` is a static program; a test program runs (`verify`); if not, what may forbid it (`policy`).

mod checks;
mod emulator;

use std::time::Duration;

use crate::output::json::{self, members, optional, string};
use crate::output::{CANNOT_TELL, Output, escaped};
use crate::request::{CommonArgs, Verbosity};
use crate::table::Handler;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckStatus {
    Holds,
    Broken,
    /// Not known, or only a hint.
    Unknown,
}

impl CheckStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    what: &'static str,
    /// Name of the handler, if it is about one.
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
        format!("{:8}  {:7}  {}\n", self.what, self.state.word(), escaped(&self.text()))
    }

    fn json(&self) -> String {
        let fields = [
            ("link", string(self.what)),
            ("name", optional(self.of)),
            ("state", string(self.state.word())),
            ("detail", string(&self.detail)),
        ];
        members(&fields, ", ")
    }

    fn text(&self) -> String {
        match self.of {
            Some(name) => format!("{name}: {}", self.detail),
            None => self.detail.clone(),
        }
    }
}

/// Checks the named targets, or each registered handler of ours.
pub(crate) fn doctor(args: &CommonArgs, has_json: bool, limit: Duration) -> Output {
    let checks = checks::checks(args, limit);
    let broken = checks.iter().find(|check| check.state == CheckStatus::Broken);
    let unknown = checks.iter().find(|check| check.what == "verify" && check.state == CheckStatus::Unknown);
    let is_shown = |check: &Check| args.detail != Verbosity::Quiet || check.state == CheckStatus::Broken;
    let output = Output::success(match has_json {
        true => json(&checks, broken),
        false => condensed(&checks).into_iter().filter(is_shown).map(|check| check.line()).collect(),
    });
    match broken {
        None => match unknown {
            None => output,
            Some(check) => output.with_error(&check.text()).with_code(CANNOT_TELL),
        },
        Some(check) => output.with_error(&format!("{} is broken: {}", check.what, check.text())),
    }
}

/// All checks. Keys and values are in `docs/json.md`: added to in later versions, never renamed.
fn json(checks: &[Check], broken: Option<&Check>) -> String {
    let head = [&json::program()[..], &[("broken", optional(broken.map(|check| check.what)))]].concat();
    json::document(&head, "checks", checks.iter().map(Check::json))
}

/// Merges the good checks of several handlers into one line.
fn condensed(checks: &[Check]) -> Vec<Check> {
    let mut kinds: Vec<&'static str> = Vec::new();
    for check in checks {
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
    fn good_checks_of_many_handlers_are_one_line() {
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
        assert_eq!(condensed(&checks), expected);
    }
}
