//! Whether foreign programs really run: each handler's test program is run through the kernel, and what it does is held
//! against what it should do.
//!
//! [`worker`] is the process that runs them, in a [`sandbox`], by [`runner`], and writes the results in the lines of
//! [`protocol`]; [`diagnosis`] says what a result means and what to do, [`report`] puts it into words. Nothing is
//! registered or mounted.
//!
//! A test program is static and a few hundred bytes long. It writes the beginning of its own name, starts a second
//! program, the same, and ends as that one does. So it proves loading, the name (flag `P`), writing, fork, exec of
//! one foreign program by another, wait, and, as another user's program where flag `C` is set, whose user it runs as.

mod diagnosis;
mod protocol;
mod report;
mod runner;
mod sandbox;
mod worker;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::arch::HOST;
use crate::binfmt_misc::{self, BinfmtMount, Entries, UserNamespace};
use crate::native::{NativeSupport, NativeSupportCache};
use crate::plan::Observed;
use crate::request::DesiredState;
use crate::sys;
use crate::table::Handler;

use diagnosis::{Context, MatchingEntries};
use protocol::{GOOD, ProbeExit, ProbeResult};
use report::Row;
use sandbox::Isolation;
use worker::ProbeRun;

/// Linux since which an entry that was registered disabled, and enabled later, is asked first, wherever the folder lists it.
const ORDER_UNKNOWN_SINCE: (u32, u32) = (7, 3);

pub(crate) use diagnosis::Diagnosis;
pub(crate) use report::Verified;
pub(crate) use worker::run_if_worker;

/// Nothing could be verified.
#[derive(Debug)]
pub(crate) enum Error {
    Kernel(binfmt_misc::Error),
    /// Programs could be run in no isolation.
    NoSandbox(Vec<(Isolation, String)>),
}

impl From<binfmt_misc::Error> for Error {
    fn from(error: binfmt_misc::Error) -> Self {
        Self::Kernel(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => write!(f, "{error}"),
            Self::NoSandbox(refused) => write!(f, "cannot tell whether programs run: {}", report::refusals(refused)),
        }
    }
}

/// The handlers that have an entry of ours, in order or not.
pub(crate) fn registered(handlers: &[&'static Handler], entries: &Entries) -> Vec<&'static Handler> {
    handlers.iter().copied().filter(|handler| Observed::new(handler, entries).ours().is_some()).collect()
}

/// Runs the test programs and says what each means, in the order of the handlers.
///
/// `folder` is where they are registered, and what is there now. `None`: that cannot be read, and programs alone tell.
/// They run where emulators cannot be seen if the kernel opens those once (flag `F`). `limit` is for each program.
pub(crate) fn verify(
    handlers: &[&'static Handler],
    folder: Option<(&BinfmtMount, &Entries)>,
    desired: &DesiredState,
    limit: Duration,
) -> Result<Verified, Error> {
    let isolations = if desired.flags.fixes_binary() { &Isolation::ALL[..] } else { &[Isolation::Memory] };
    let unknown = Entries::default();
    let entries = folder.map_or(&unknown, |(_, entries)| entries);
    let is_switched_on = folder.map(|(folder, _)| folder.is_switched_on()).transpose()?;
    let folder = folder.map(|(folder, _)| folder.path()).zip(is_switched_on);
    let mut native_support = NativeSupportCache::default();
    let mut is_native = |all_matching: &[MatchingEntries<'_>], handler| {
        all_matching.iter().all(|matching| matching.takers.is_empty())
            && native_support.of(handler) == NativeSupport::Native
    };
    let with_matching = |&handler: &&'static Handler| {
        let all_matching = MatchingEntries::of(handler, entries);
        let is_native = is_native(&all_matching, handler);
        (handler, all_matching, is_native)
    };
    let of_handlers: Vec<_> = handlers.iter().map(with_matching).collect();
    let foreign =
        of_handlers.iter().filter(|(_, _, is_native)| !is_native).flat_map(|(_, all_matching, _)| all_matching);
    let set_user_id =
        |matching: &MatchingEntries<'_>| matching.takers.iter().any(|(_, entry)| entry.flags.contains('C'));
    let probes = foreign.map(|matching| matching.probe(set_user_id(matching)));
    let runs = run(probes, limit, isolations)?;
    let mut context =
        Context { emulators: &desired.emulators, ..Context::new(runs.isolation.unwrap_or(Isolation::Memory)) };
    if let Some((at, is_on)) = folder {
        (context.mount, context.is_switched_on) = (at, is_on);
    }
    let row = |&(handler, ref all_matching, is_native): &(&'static Handler, Vec<MatchingEntries<'_>>, bool)| {
        let diagnosis = |matching: &MatchingEntries<'_>| match runs.of(matching) {
            Some(ran) => (matching.kind, diagnosis::diagnose(matching, ran, &context)),
            None => (matching.kind, without_run(handler, is_native)),
        };
        let diagnosis = diagnosis::merged(all_matching.iter().map(diagnosis));
        let server = all_matching.iter().find_map(|matching| matching.server(runs.of(matching)?, &context));
        let ours = || all_matching.first()?.ours.as_ref().map(|(name, entry)| (OsStr::new(name), *entry));
        let entry = server.or_else(ours).map(|(name, entry)| (name.display().to_string(), entry.clone()));
        Row { handler, failed: u32::from(!diagnosis.is_good()), diagnosis, entry }
    };
    let rows = of_handlers.iter().map(row).collect();
    let folder = folder.map(|(at, is_on)| (at.into(), is_on));
    Ok(Verified { folder, isolation: runs.isolation, refused: runs.refused, rows, runs: 1 })
}

fn without_run(handler: &Handler, is_native: bool) -> Diagnosis {
    let (result, detail) = match handler {
        Handler { target: HOST, .. } if is_native => ("native", "this machine's own"),
        _ if is_native => ("native", "this machine runs it without a handler"),
        handler if handler.probe.is_empty() => ("unknown", "this build has no test program of this target"),
        _ => ("unknown", "its test program was not run to an end: the process that runs them was ended"),
    };
    Diagnosis::of(result, Some(detail.into()))
}

/// The targets of those handlers whose test programs of both kinds run here, through whatever entry, or natively.
pub(crate) fn running(handlers: &[&'static Handler], limit: Duration) -> Result<Vec<&'static str>, Error> {
    let runs = run(probes_of_both_kinds(handlers), limit, &Isolation::ALL)?;
    let is_good = |handler: &&&Handler| runs.ends_of(handler).filter(|end| *end == GOOD).count() == 2;
    Ok(handlers.iter().filter(is_good).map(|handler| handler.target).collect())
}

/// Whether no program of those handlers runs by a handler of the user namespace above: its root's files are not those of
/// root here, unless both are one user.
pub(crate) fn none_runs_from_above(handlers: &[&'static Handler], limit: Duration) -> bool {
    let is_another_root = UserNamespace::root_seen_from_above() != Some(0);
    let is_ours = |ran: &ProbeResult| ran.is_of_root && is_another_root;
    let tried = run(probes_of_both_kinds(handlers), limit, &Isolation::ALL);
    tried.is_ok_and(|runs| runs.results.iter().all(|(_, ran)| ran.end != GOOD || is_ours(ran)))
}

/// Whether the kernel asks entries in the order in which the folder lists them.
pub(crate) fn is_order_known() -> bool {
    sys::linux_version().is_none_or(|version| version < ORDER_UNKNOWN_SINCE)
}

/// Of handlers that several entries take, one of them ours: the entry that ran the test program, where that shows.
pub(crate) fn servers(handlers: &[&'static Handler], entries: &Entries, limit: Duration) -> Vec<OsString> {
    let all_matching = handlers.iter().flat_map(|handler| MatchingEntries::of(handler, entries));
    let contested: Vec<_> =
        all_matching.filter(|matching| matching.ours.is_some() && matching.takers.len() > 1).collect();
    let probes = contested.iter().map(|matching| matching.probe(false));
    let Ok(runs) = run(probes, limit, &Isolation::ALL) else { return Vec::new() };
    let Some(context) = runs.isolation.map(Context::new) else { return Vec::new() };
    let server = |matching: &MatchingEntries<'_>| Some(matching.server(runs.of(matching)?, &context)?.0.to_owned());
    contested.iter().filter_map(server).collect()
}

/// What is wrong with the entries that serve these handlers: how the test programs end that do not run well. Nothing is said
/// of those that cannot be tried here.
pub(crate) fn faults(handlers: &[&'static Handler], limit: Duration) -> Vec<(&'static str, String)> {
    // In this root: a translator, unlike our emulators, may need its libraries.
    let tried = run(probes_of_both_kinds(handlers), limit, &[Isolation::Memory]);
    let runs = tried.unwrap_or_default();
    let is_image = !Path::new("/bin/sh").exists();
    let fault = |handler: &&Handler| Some((handler.name, runs.ends_of(handler).find_map(|end| end.fault(is_image))?));
    handlers.iter().filter_map(fault).collect()
}

/// Of type ET_EXEC, and position-independent.
fn probes_of_both_kinds(handlers: &[&'static Handler]) -> impl Iterator<Item = ProbeRun> {
    let probes = |&handler: &&'static Handler| [0, 2].map(|kind| ProbeRun { handler, kind, set_user_id: false });
    handlers.iter().flat_map(probes)
}

/// What came of probes.
#[derive(Default)]
struct Runs {
    /// The first that the kernel granted, and those that it refused before.
    isolation: Option<Isolation>,
    refused: Vec<(Isolation, String)>,
    results: Vec<(ProbeRun, ProbeResult)>,
}

impl Runs {
    fn of(&self, matching: &MatchingEntries<'_>) -> Option<&ProbeResult> {
        let is_it = |run: &ProbeRun| run.handler.name == matching.handler.name && run.kind == matching.kind;
        self.results.iter().find(|(run, _)| is_it(run)).map(|(_, ran)| ran)
    }

    fn ends_of(&self, handler: &Handler) -> impl Iterator<Item = ProbeExit> {
        self.results.iter().filter(|(run, _)| run.handler.name == handler.name).map(|(_, ran)| ran.end)
    }
}

/// Runs those probes that have a program.
fn run(probes: impl Iterator<Item = ProbeRun>, limit: Duration, isolations: &[Isolation]) -> Result<Runs, Error> {
    let probes: Vec<_> = probes.filter(|probe| !probe.handler.probe.is_empty()).collect();
    let mut runs = Runs::default();
    if probes.is_empty() {
        return Ok(runs);
    }
    for &isolation in isolations {
        match worker::run(isolation, &probes, limit) {
            Ok(results) => return Ok(Runs { isolation: Some(isolation), results, ..runs }),
            Err(why) => runs.refused.push((isolation, why)),
        }
    }
    Err(Error::NoSandbox(runs.refused))
}
