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

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::arch::HOST;
use crate::binfmt_misc::{self, BinfmtMount, Entries};
use crate::elf;
use crate::native::{NativeSupport, NativeSupportCache};
use crate::table::{Handler, TABLE};

use diagnosis::{Context, MatchingEntries};
use protocol::ProbeExit;
use report::Row;
use sandbox::Isolation;
use worker::ProbeRun;

pub(crate) use diagnosis::Diagnosis;
pub(crate) use report::Verified;
pub(crate) use worker::run_if_worker;

/// What is to be verified.
pub(crate) struct VerifyRequest<'a> {
    pub(crate) handlers: &'a [&'static Handler],
    /// Where the handlers are registered.
    pub(crate) folder: &'a BinfmtMount,
    /// What is registered there now.
    pub(crate) entries: &'a Entries,
    /// Folder of this image's emulators, for advice about what is not registered.
    pub(crate) emulators: &'a str,
    /// Whether they are to run where they cannot be seen, as those that the kernel opens once do (flag `F`).
    pub(crate) is_fixed: bool,
    /// For each program.
    pub(crate) limit: Duration,
}

/// Nothing could be verified.
#[derive(Debug)]
pub(crate) enum Error {
    Kernel(binfmt_misc::Error),
    /// No way to run programs.
    NoPlace(Vec<(Isolation, String)>),
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
            Self::NoPlace(refused) => write!(f, "running test programs: {}", report::refusals(refused)),
        }
    }
}

/// The handlers that have an entry of ours, in order or not.
pub(crate) fn registered(handlers: &[&'static Handler], entries: &Entries) -> Vec<&'static Handler> {
    handlers.iter().copied().filter(|handler| MatchingEntries::of(handler, entries).ours.is_some()).collect()
}

/// Runs the test programs and says what each means, in the order of the handlers.
pub(crate) fn verify(question: &VerifyRequest<'_>) -> Result<Verified, Error> {
    let VerifyRequest { handlers, folder, entries, emulators, is_fixed, limit } = *question;
    let ways = if is_fixed { &Isolation::ALL[..] } else { &[Isolation::Memory] };
    let is_switched_on = folder.is_switched_on()?;
    let mut native_support = NativeSupportCache::default();
    let chains: Vec<_> = handlers.iter().map(|handler| MatchingEntries::of(handler, entries)).collect();
    let mut is_native = |chain: &MatchingEntries<'_>| {
        chain.takers.is_empty() && native_support.of(chain.handler) == NativeSupport::Native
    };
    let natives: Vec<_> = chains.iter().map(&mut is_native).collect();
    let foreign = chains.iter().zip(&natives).filter(|(_, is_native)| !**is_native).map(|(chain, _)| chain);
    let set_user_id = |chain: &MatchingEntries<'_>| chain.takers.iter().any(|(_, entry)| entry.flags.contains('C'));
    let probes = foreign.map(|chain| ProbeRun { handler: chain.handler, set_user_id: set_user_id(chain) });
    let (way, refused, results) = run(probes, limit, ways)?;
    let context = Context {
        mount: folder.path(),
        is_switched_on,
        way: way.unwrap_or(Isolation::Memory),
        emulators,
        good: TABLE.probe_status.into(),
        look: &elf::loader,
        real: &|path: &Path| fs::canonicalize(path).ok(),
    };
    let row = |(chain, is_native): (&MatchingEntries<'_>, bool)| {
        let result = results.iter().find(|(name, _)| name == chain.handler.name).map(|(_, ran)| ran);
        let (finding, server) = match result {
            Some(ran) => (diagnosis::judge(chain, ran, &context), chain.server(ran, &context)),
            None => (without_run(chain, is_native), None),
        };
        let ours = chain.ours.as_ref().map(|(name, entry)| (name.as_str(), *entry));
        let entry = server.or(ours).map(|(name, entry)| (name.into(), entry.clone()));
        Row { handler: chain.handler, finding, entry }
    };
    let rows = chains.iter().zip(natives).map(row).collect();
    Ok(Verified { folder: folder.path().into(), is_switched_on, way, refused, rows })
}

fn without_run(chain: &MatchingEntries<'_>, is_native: bool) -> Diagnosis {
    let (result, detail) = match chain.handler {
        Handler { target: HOST, .. } if is_native => ("native", "this machine's own"),
        _ if is_native => ("native", "this machine runs it without a handler"),
        handler if handler.probe.is_empty() => ("unknown", "this build has no test program of this target"),
        _ => ("unknown", "its test program was not run to an end: the process that runs them was ended"),
    };
    Diagnosis::of(result, Some(detail.into()))
}

/// The targets of those handlers whose test programs run here, through whatever entry, or natively.
pub(crate) fn running(handlers: &[&'static Handler], limit: Duration) -> Result<Vec<&'static str>, Error> {
    let probes = handlers.iter().map(|handler| ProbeRun { handler, set_user_id: false });
    let (_, _, results) = run(probes, limit, &Isolation::ALL)?;
    let good = ProbeExit::Exited(TABLE.probe_status.into());
    let is_good = |handler: &Handler| results.iter().any(|(name, ran)| name == handler.name && ran.end == good);
    Ok(handlers.iter().filter(|handler| is_good(handler)).map(|handler| handler.target).collect())
}

/// Of handlers that several entries take, one of them ours: the entry that ran the test program, where that shows.
pub(crate) fn servers(handlers: &[&'static Handler], entries: &Entries, limit: Duration) -> Vec<String> {
    let chains = handlers.iter().map(|handler| MatchingEntries::of(handler, entries));
    let contested: Vec<_> = chains.filter(|chain| chain.ours.is_some() && chain.takers.len() > 1).collect();
    let probes = contested.iter().map(|chain| ProbeRun { handler: chain.handler, set_user_id: false });
    let Ok((Some(way), _, results)) = run(probes, limit, &Isolation::ALL) else { return Vec::new() };
    let context = Context {
        mount: Path::new(""),
        is_switched_on: true,
        way,
        emulators: "",
        good: TABLE.probe_status.into(),
        look: &elf::loader,
        real: &|path: &Path| fs::canonicalize(path).ok(),
    };
    let server = |chain: &MatchingEntries<'_>| {
        let (_, ran) = results.iter().find(|(name, _)| name == chain.handler.name)?;
        Some(chain.server(ran, &context)?.0.to_owned())
    };
    contested.iter().filter_map(server).collect()
}

/// What is wrong with the entries that serve these handlers: how the test programs end that do not run well. Nothing is said
/// of those that cannot be tried here.
pub(crate) fn faults(handlers: &[&'static Handler], limit: Duration) -> Vec<(&'static str, String)> {
    let probes = handlers.iter().map(|handler| ProbeRun { handler, set_user_id: false });
    // In this root: a translator, unlike our emulators, may need its libraries.
    let Ok((_, _, results)) = run(probes, limit, &[Isolation::Memory]) else { return Vec::new() };
    let fault = |handler: &&Handler| {
        let end = results.iter().find(|(name, _)| name == handler.name)?.1.end;
        Some((handler.name, end.fault(TABLE.probe_status.into(), !Path::new("/bin/sh").exists())?))
    };
    handlers.iter().filter_map(fault).collect()
}

/// What came of the best of some ways, with those that were refused.
type Tried = (Option<Isolation>, Vec<(Isolation, String)>, Vec<(String, protocol::ProbeResult)>);

/// Runs those probes that have a program.
fn run(probes: impl Iterator<Item = ProbeRun>, limit: Duration, ways: &[Isolation]) -> Result<Tried, Error> {
    let probes: Vec<_> = probes.filter(|probe| !probe.handler.probe.is_empty()).collect();
    if probes.is_empty() {
        return Ok(Tried::default());
    }
    let mut refused = Vec::new();
    for &way in ways {
        match worker::run(way, &probes, limit) {
            Ok(results) => return Ok((Some(way), refused, results)),
            Err(why) => refused.push((way, why)),
        }
    }
    Err(Error::NoPlace(refused))
}
