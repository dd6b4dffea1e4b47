//! `verify`: runs test programs, once or often, at once or as soon as they run. What [`crate::verify`] finds is the output.
//!
//! Named targets are verified where no `binfmt_misc` can be read, too: in a container without any privilege.

use std::thread;
use std::time::{Duration, Instant};

use super::error::Error;
use super::others::served;
use super::{handlers, look};
use crate::binfmt_misc::Entries;
use crate::output::Output;
use crate::request::{CommonArgs, Verbosity, VerifyArgs};
use crate::table::Handler;
use crate::verify::{self, Verified};

/// Between two looks at what is not well yet.
const DELAY: Duration = Duration::from_secs(1);

pub(super) fn verify(request: &VerifyArgs) -> Result<Output, Error> {
    let VerifyArgs { args, json, limit, wait, runs } = request;
    let start = Instant::now();
    let mut first = once(args, *limit);
    while let Some(left) = wait.checked_sub(start.elapsed()).filter(|_| may_be_well_later(&first)) {
        thread::sleep(left.min(DELAY));
        first = once(args, *limit);
    }
    let mut verified = first?;
    for _ in 1..*runs {
        verified.add(once(args, *limit)?);
    }
    let output = verified.output(*json);
    Ok(if args.detail == Verbosity::Quiet { output.without_stdout() } else { output })
}

/// Another place to run programs does not come by waiting.
fn may_be_well_later(found: &Result<Verified, Error>) -> bool {
    match found {
        Ok(verified) => verified.failures().next().is_some(),
        Err(error) => !matches!(error, Error::Verify(verify::Error::NoSandbox(_))),
    }
}

fn once(args: &CommonArgs, limit: Duration) -> Result<Verified, Error> {
    let found = look(args, false);
    let found = found.and_then(|folder| Ok((folder.entries()?, folder)));
    let (entries, folder) = match found {
        // Programs say for themselves whether they run.
        Err(_) if args.mount.is_none() && !args.targets.is_empty() => {
            return Ok(verify::verify(&handlers(args), None, &args.desired, limit)?);
        }
        found => found?,
    };
    let all = handlers(args);
    let handlers = if args.targets.is_empty() { verify::registered(&all, &entries) } else { all.clone() };
    if handlers.is_empty() {
        return Err(Error::text(none_registered(&all, &entries)));
    }
    Ok(verify::verify(&handlers, Some((&folder, &entries)), &args.desired, limit)?)
}

/// The message where there is nothing of ours.
pub(super) fn none_registered(handlers: &[&'static Handler], entries: &Entries) -> String {
    let left = served(handlers, entries).map(|left| format!("; {left}")).unwrap_or_default();
    format!("no handler of ours is registered; first: registrar register{left}")
}
