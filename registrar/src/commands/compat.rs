//! What another image's command line asks for: removes entries that it names, registers, shows.

mod remove;

use remove::remove;

use super::{handlers, register, status};
use crate::binfmt_misc::{Entry, Error};
use crate::cli::Asked;
use crate::commands::status::platforms;
use crate::compat::{Foreign, Show};
use crate::native;
use crate::output::Told;
use crate::table::{Handler, SPARES};

/// Does all of it. What went well is told first, so that the last line is a cause if there is any.
pub(super) fn run(foreign: &Foreign) -> Told {
    let asked = &foreign.request.asked;
    let [mut good, mut bad] = [const { Told::success(String::new()) }; 2];
    let mut add = |part: Result<Told, Error>| {
        let part = part.unwrap_or_else(|error| Told::failure(&error.to_string()));
        let told = if part.is_failure() { &mut bad } else { &mut good };
        told.extend(part);
    };
    if !foreign.remove.is_empty() {
        // Ours with no moment without one, rather than removed before.
        let exchanged = if foreign.registers { native::needed(handlers(asked)) } else { Vec::new() };
        let is_exchanged = |name: &str, entry: &Entry| {
            let is_name = |handler: &Handler| {
                name.strip_prefix(handler.name).is_some_and(|end| end.is_empty() || SPARES.contains(&end))
            };
            exchanged.iter().any(|handler| entry.is_of(handler) && is_name(handler))
        };
        add(remove(asked, &foreign.remove, &is_exchanged));
    }
    if foreign.registers {
        add(match nothing_to_register(asked) {
            Some(cause) => Ok(Told::failure(&cause)),
            None => register::register(&foreign.request),
        });
    }
    match foreign.show {
        Show::Nothing => {}
        Show::Platforms => add(Ok(platforms::platforms(asked))),
        Show::Status => add(status(asked, false, false)),
    }
    if let Some(complaint) = &foreign.complaint {
        add(Ok(Told::failure(complaint)));
    }
    good.then(bad)
}

/// Why it would be nothing of all, where the user has said where emulators are, or how they are called.
fn nothing_to_register(asked: &Asked) -> Option<String> {
    let naming = asked.naming.as_ref().filter(|_| asked.targets.is_empty() && handlers(asked).is_empty())?;
    let folder = &asked.wanted.emulators;
    Some(format!("{} {folder}: no {} is there", asked.emulators_from, naming.of_any()))
}
