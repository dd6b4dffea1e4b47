//! What another image's command line asks for: removes entries that it names, registers, shows.

mod remove;

use remove::remove;

use super::error::Error;
use super::{handlers, register, status};
use crate::binfmt_misc::Entry;
use crate::commands::status::platforms;
use crate::native;
use crate::output::Output;
use crate::request::{CommonArgs, CompatCommand, StatusKind};
use crate::table::{Handler, NAME_SUFFIXES};

/// Does all of it. What went well is told first, so that the last line is a cause if there is any.
pub(super) fn run(foreign: &CompatCommand) -> Output {
    let args = &foreign.request.args;
    let [mut good, mut bad] = [const { Output::success(String::new()) }; 2];
    let mut add = |part: Result<Output, Error>| {
        let part = part.unwrap_or_else(Output::from);
        let output = if part.is_failure() { &mut bad } else { &mut good };
        output.extend(part);
    };
    if !foreign.remove.is_empty() {
        // Ours with no moment without one, rather than removed before.
        let exchanged = if foreign.registers { native::foreign_handlers(handlers(args)) } else { Vec::new() };
        let is_exchanged = |name: &str, entry: &Entry| {
            let is_name = |handler: &Handler| {
                name.strip_prefix(handler.name).is_some_and(|end| end.is_empty() || NAME_SUFFIXES.contains(&end))
            };
            exchanged.iter().any(|handler| entry.is_of(handler) && is_name(handler))
        };
        add(remove(args, &foreign.remove, &is_exchanged));
    }
    if foreign.registers {
        add(match nothing_to_register(args) {
            Some(cause) => Err(Error::NothingThere(cause)),
            None => register::register(&foreign.request),
        });
    }
    match foreign.show {
        StatusKind::Nothing => {}
        StatusKind::Platforms => add(Ok(platforms::platforms(args))),
        StatusKind::Status => add(status(args, false, false)),
    }
    if let Some(warning) = &foreign.warning {
        add(Ok(Output::failure(warning)));
    }
    good.chain(bad)
}

/// Why it would be nothing of all, where the user has said where emulators are, or how they are called.
fn nothing_to_register(args: &CommonArgs) -> Option<String> {
    let naming = args.naming.as_ref().filter(|_| args.targets.is_empty() && handlers(args).is_empty())?;
    let folder = &args.desired.emulators;
    Some(format!("{} {folder}: no {} is there", args.emulators_from, naming.of_any()))
}
