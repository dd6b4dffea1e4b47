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

use crate::cli::{Asked, Detail};
use crate::output::{Told, escaped};
use crate::table::Handler;

/// Whether a link holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Holds,
    Broken,
    /// It cannot be told, or is nothing but a hint.
    Unknown,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    what: &'static str,
    /// The handler that it is of, if it is of one.
    of: Option<&'static str>,
    state: State,
    detail: String,
}

impl Link {
    fn new(what: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self { what, of: None, state, detail: detail.into() }
    }

    fn of(handler: &Handler, what: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self { of: Some(handler.name), ..Self::new(what, state, detail) }
    }

    fn line(&self) -> String {
        let word = match self.state {
            State::Holds => "ok",
            State::Broken => "broken",
            State::Unknown => "unknown",
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
pub(crate) fn doctor(asked: &Asked, limit: Duration) -> Told {
    let links = checks::links(asked, limit);
    let is_told = |link: &&Link| asked.detail != Detail::Quiet || link.state == State::Broken;
    let told = Told::success(links.iter().filter(is_told).map(Link::line).collect());
    match links.iter().find(|link| link.state == State::Broken) {
        None => told,
        Some(link) => told.and_failure(&format!("{} is broken: {}", link.what, link.text())),
    }
}

/// As few links as tell the same: what holds of several handlers is one.
fn condensed(links: Vec<Link>) -> Vec<Link> {
    let mut kinds: Vec<&'static str> = Vec::new();
    for link in &links {
        if !kinds.contains(&link.what) {
            kinds.push(link.what);
        }
    }
    let condensed = kinds.into_iter().flat_map(|kind| {
        let of_kind = || links.iter().filter(|link| link.what == kind);
        let holding = of_kind().filter(|link| link.state == State::Holds).count();
        if holding < 2 {
            return of_kind().cloned().collect::<Vec<_>>();
        }
        let sum = Link::new(kind, State::Holds, format!("{holding} handlers"));
        [sum].into_iter().chain(of_kind().filter(|link| link.state != State::Holds).cloned()).collect()
    });
    condensed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_of_many_is_one_line() {
        let link = |what, state, detail: &str| Link::new(what, state, detail);
        let links = vec![
            link("rule", State::Holds, "a"),
            link("verify", State::Holds, "a"),
            link("rule", State::Holds, "b"),
            link("verify", State::Broken, "b"),
            link("rule", State::Unknown, "c"),
        ];
        let expected = [
            link("rule", State::Holds, "2 handlers"),
            link("rule", State::Unknown, "c"),
            link("verify", State::Holds, "a"),
            link("verify", State::Broken, "b"),
        ];
        assert_eq!(condensed(links), expected);
    }
}
