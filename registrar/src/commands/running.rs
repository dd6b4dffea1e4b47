//! `register` where `binfmt_misc` is out of reach, although handlers that cannot be seen there serve all that is asked for:
//! those of the host in docker-in-docker, or of the user namespace above.

use super::error::Error;
use super::handlers;
use super::report::architecture;
use crate::native;
use crate::output::Output;
use crate::request::{CompatMode, PROBE_TIMEOUT, RegisterArgs, Verbosity};
use crate::verify;

/// Success if a program of each target runs already, else `error`. A resident has nothing that it could restore.
pub(super) fn already(request: &RegisterArgs, error: Error) -> Result<Output, Error> {
    let args = &request.args;
    if !error.is_out_of_reach() || request.stay.is_some() {
        return Err(error);
    }
    let mut foreign = native::foreign_handlers(handlers(args));
    let running = verify::running(&foreign, PROBE_TIMEOUT).unwrap_or_default();
    // A target with several handlers, of which one serves older CPUs, needs one program that runs.
    let mut targets: Vec<_> = foreign.iter().map(|handler| handler.target).collect();
    targets.dedup();
    if targets.is_empty() || !targets.iter().all(|target| running.contains(target)) {
        return Err(error);
    }
    let mut output = Output::success(String::new());
    match args.mode {
        _ if args.detail == Verbosity::Quiet => {}
        Some(CompatMode::Tonistiigi) => {
            foreign.dedup_by_key(|handler| handler.target);
            let names = foreign.iter().map(|handler| architecture(handler));
            names.for_each(|name| output.detail(&format!("installing: {name} runs already")));
        }
        _ => {
            output =
                Output::success(format!("running already: {}; nothing was registered: {error}\n", targets.join(", ")))
        }
    }
    Ok(output)
}
