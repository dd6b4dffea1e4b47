//! Which handlers are left to entries of other tools. With `--keep`, all that such entries serve. Else, where no target
//! is named: those of a translator that is no QEMU (Rosetta, FEX, box64), which is several times faster; in tonistiigi's
//! command line, as its image does, all that run.
//!
//! And whether handlers that cannot be seen serve all that is asked for, where `binfmt_misc` is out of reach: those of the
//! host in docker-in-docker, or of the user namespace above.

use super::error::Error;
use super::handlers;
use super::report::architecture;
use crate::binfmt_misc::{self, Entries, MountPolicy};
use crate::native;
use crate::output::Output;
use crate::plan::{ActiveForeignEntry, LeftToOthers, Observed};
use crate::request::{CommonArgs, CompatMode, PROBE_TIMEOUT, RegisterArgs, Verbosity};
use crate::table::Handler;
use crate::verify;

/// Runs test programs through entries that may be left, unless it `is_dry_run`: those that do not run are not left.
pub(super) fn left_to_others(
    args: &CommonArgs,
    handlers: &[&'static Handler],
    entries: &Entries,
    is_dry_run: bool,
) -> LeftToOthers {
    let is_of_qemu = || entries.iter().all(|(name, entry)| entry.is_of_qemu(name));
    if !args.desired.keep_foreign && args.mode != Some(CompatMode::Tonistiigi) && is_of_qemu() {
        return LeftToOthers::default();
    }
    let served =
        |handler: &Handler| Observed::new(handler, entries).server().is_some_and(|server| stays(args, &server));
    let served: Vec<_> = handlers.iter().copied().filter(|handler| served(handler)).collect();
    let is_tried = !args.desired.keep_foreign && !is_dry_run && !served.is_empty();
    let faults = if is_tried { verify::faults(&served, PROBE_TIMEOUT) } else { Vec::new() };
    let is_good = |name: &&str| faults.iter().all(|(bad, _)| bad != name);
    LeftToOthers { kept: served.iter().map(|handler| handler.name).filter(is_good).collect(), faults }
}

/// From Linux 7.3 on an entry that was enabled late is asked before newer ones, which its place in the folder does not show:
/// where several entries take a handler's programs, the one that runs its test program is put first.
pub(super) fn in_order_of_asking(handlers: &[&'static Handler], mut entries: Entries) -> Entries {
    if !verify::is_order_known() {
        for server in verify::servers(handlers, &entries, PROBE_TIMEOUT) {
            entries.put_first(&server);
        }
    }
    entries
}

/// Whether an entry is left to serve, if it works.
fn stays(args: &CommonArgs, server: &ActiveForeignEntry<'_>) -> bool {
    if args.desired.keep_foreign {
        return server.is_of_all;
    }
    let is_translator = !server.is_of_qemu && server.is_of_usual;
    args.targets.is_empty() && (is_translator || args.mode == Some(CompatMode::Tonistiigi) && server.is_of_all)
}

/// The QEMUs that serve these handlers' programs by entries that are not ours, as those under other names or in files of
/// other names are, with what removes them.
pub(super) fn served(handlers: &[&'static Handler], entries: &Entries) -> Option<String> {
    let servers = handlers.iter().filter_map(|handler| Observed::new(handler, entries).server());
    let mut servers: Vec<_> = servers.filter(|server| server.is_of_qemu).map(|it| (it.name, it.entry)).collect();
    servers.dedup();
    let (name, entry) = servers.first()?;
    let more = if servers.len() > 1 { format!(" and {} more", servers.len() - 1) } else { String::new() };
    let (name, path) = (name.display(), entry.path());
    Some(format!("left on: {name} ({path}){more}; to remove that: registrar --uninstall {name}"))
}

/// Splits handlers into those to be registered at boot, and lines about targets that entries of now are left to.
pub(super) fn without_left(args: &CommonArgs, mut handlers: Vec<&'static Handler>) -> (Vec<&'static Handler>, String) {
    // Without a folder nothing is known to serve them.
    let folder = binfmt_misc::find(args.mount.as_deref(), MountPolicy::Lookup);
    let entries = folder.and_then(|folder| folder.entries()).unwrap_or_default();
    let left = left_to_others(args, &handlers, &entries, false);
    let line = |handler: &&Handler| {
        let server = Observed::new(handler, &entries).server().filter(|_| left.keeps(handler))?;
        Some(format!("{} skipped: served by {}\n", handler.target, server.name.display()))
    };
    let lines = handlers.iter().filter_map(line).collect();
    handlers.retain(|handler| !left.keeps(handler));
    (handlers, lines)
}

/// Where `register` failed: success if a program of each target runs already, else `error`. A resident has nothing that it could restore.
pub(super) fn running_already(request: &RegisterArgs, error: Error) -> Result<Output, Error> {
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
