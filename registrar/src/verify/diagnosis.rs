//! What a run means: whether all is well, and if not, what is wrong and what to do. Looks at nothing but what it is
//! given, and at the emulator's file through a function that it is given.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::protocol::{GOOD, ProbeExit, ProbeResult, SetUserId};
use super::runner::NAME;
use super::sandbox::Isolation;
use super::worker::ProbeRun;
use crate::binfmt_misc::{DEFAULT_MOUNT, Entries, Entry, Named};
use crate::elf::header::{ElfHeader, KIND_NAMES};
use crate::elf::{self, Unfit};
use crate::output::escaped;
use crate::plan::{Observed, is_ours};
use crate::sys::errno_text;
use crate::table::{EMULATOR_DIR, Handler, TABLE};

/// Exit statuses of a test program whose second one could not be started, and that could do nothing at all.
const NO_SECOND: i32 = 30;
const NO_FIRST: i32 = 31;

/// A word for the outcome, and what to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) result: &'static str,
    pub(crate) detail: Option<String>,
    /// The first line that an emulator wrote to standard error where something is wrong.
    pub(crate) stderr_line: Option<String>,
}

impl Diagnosis {
    pub(super) fn of(result: &'static str, detail: Option<String>) -> Self {
        Self { result, detail, stderr_line: None }
    }

    /// Whether programs of the target run.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.result, "ok" | "served" | "native")
    }
}

/// What there is of a handler, for programs that the same entries take.
pub(super) struct MatchingEntries<'e> {
    pub(super) handler: &'static Handler,
    /// One kind of these programs, of [`ElfHeader::kinds`].
    pub(super) kind: usize,
    /// Ours, whether it is in use or not.
    pub(super) ours: Option<(String, &'e Entry)>,
    /// Entries that take them, the newest first.
    pub(super) takers: Vec<Named<'e>>,
}

/// What is the same for all handlers.
pub(super) struct Context<'a> {
    /// Folder of `binfmt_misc`.
    pub(super) mount: &'a Path,
    pub(super) is_switched_on: bool,
    /// How programs were run.
    pub(super) isolation: Isolation,
    /// Folder of this image's emulators.
    pub(super) emulators: &'a str,
    /// What an emulator's file is: [`crate::elf::check_static`].
    pub(super) look: &'a dyn Fn(&Path) -> Result<(), Unfit>,
    /// A path without links in it.
    pub(super) real: &'a dyn Fn(&Path) -> Option<PathBuf>,
    /// Whether the entries are in the order in which the kernel asks them.
    pub(super) is_order_known: bool,
}

impl Context<'_> {
    /// Of this machine, before anything is known of its entries.
    pub(super) fn new(isolation: Isolation) -> Self {
        Self {
            mount: Path::new(DEFAULT_MOUNT),
            is_switched_on: true,
            isolation,
            emulators: EMULATOR_DIR,
            look: &elf::check_static,
            real: &|path| path.canonicalize().ok(),
            is_order_known: super::is_order_known(),
        }
    }
}

impl<'e> MatchingEntries<'e> {
    /// Each kind of programs that may have another entry run it than those before: whichever the kernel asks first, of
    /// the same entries it is the same one.
    pub(super) fn of(handler: &'static Handler, entries: &'e Entries) -> Vec<Self> {
        let ours = Observed::new(handler, entries).ours();
        let mut found: Vec<Self> = Vec::new();
        for (kind, header) in ElfHeader::of(handler.probe).kinds().iter().enumerate() {
            let takers: Vec<_> = entries.iter().filter(|(_, entry)| entry.is_active_for(header.bytes())).collect();
            let is_known =
                |known: &Self| known.takers.iter().map(|(name, _)| name).eq(takers.iter().map(|(name, _)| name));
            // Of entries that do not show nothing is known.
            if takers.is_empty() || !found.iter().any(is_known) {
                found.push(Self { handler, kind, ours: ours.clone(), takers });
            }
        }
        found
    }

    /// A run of one of these programs, as another user's if `set_user_id`.
    pub(super) fn probe(&self, set_user_id: bool) -> ProbeRun {
        ProbeRun { handler: self.handler, kind: self.kind, set_user_id }
    }

    fn is_ours(&self, (name, entry): Named<'_>) -> bool {
        is_ours(self.handler, name, entry)
    }

    /// The entry that took the program: the newest of those that what it did speaks for.
    pub(super) fn server(&self, ran: &ProbeResult, context: &Context<'_>) -> Option<Named<'e>> {
        let executes = |(_, entry): &Named<'_>| {
            let is_seen = |path: &Path| ran.emulator.as_deref() == Some(&*escaped(&path.to_string_lossy()));
            let path = &entry.interpreter;
            is_seen(path) || ran.emulator.is_some() && (context.real)(path).is_some_and(|path| is_seen(&path))
        };
        let names = |(_, entry): &Named<'_>| ran.written == self.name_with(entry, context.isolation);
        // Nothing shows whose emulator was missing; where it is opened for each program, it may have been.
        let misses = |(_, entry): &Named<'_>| {
            !context.is_order_known && ran.end == ProbeExit::Refused(Errno::ENOENT) && !entry.flags.contains('F')
        };
        let mut left = self.takers.clone();
        for fits in [&executes as &dyn Fn(&Named<'_>) -> bool, &names, &misses] {
            if left.iter().any(fits) {
                left.retain(fits);
            }
        }
        left.first().copied()
    }

    /// The beginning of what a program takes for its own name: with flag `P` or `T` what it was told, else its path.
    fn name_with(&self, entry: &Entry, isolation: Isolation) -> Vec<u8> {
        let path = isolation.path(self.handler.original().name);
        let output = if entry.flags.contains(['P', 'T']) { NAME } else { &path };
        output.bytes().take(NAME.len()).collect()
    }
}

/// What the run of a handler's test program says.
pub(super) fn diagnose(matching: &MatchingEntries<'_>, ran: &ProbeResult, context: &Context<'_>) -> Diagnosis {
    let server = matching.server(ran, context);
    Run { matching, server, ran, context }.diagnose()
}

/// What the diagnoses of a handler's kinds of programs come to: the first failure, or else all that differs.
pub(super) fn merged(found: impl IntoIterator<Item = (usize, Diagnosis)>) -> Diagnosis {
    let mut found: Vec<_> = found.into_iter().collect();
    found.dedup_by(|(_, later), (_, sooner)| later == sooner);
    let of_kind = |(kind, Diagnosis { detail, .. }): &(usize, Diagnosis)| {
        format!("{}: {}", KIND_NAMES[*kind], detail.as_deref().unwrap_or("ok"))
    };
    let at = found.iter().position(|(_, diagnosis)| !diagnosis.is_good());
    let detail = match at {
        _ if found.len() == 1 => found[0].1.detail.clone(),
        Some(failure) => Some(of_kind(&found[failure])),
        None => Some(found.iter().map(of_kind).collect::<Vec<_>>().join("; ")),
    };
    Diagnosis { detail, ..found.swap_remove(at.unwrap_or_default()).1 }
}

/// A run of a test program, and what it is judged by.
struct Run<'a> {
    matching: &'a MatchingEntries<'a>,
    server: Option<Named<'a>>,
    ran: &'a ProbeResult,
    context: &'a Context<'a>,
}

/// A word for what is wrong, and what to say about it.
type Fault = (&'static str, String);

impl Run<'_> {
    fn diagnose(&self) -> Diagnosis {
        let Self { matching, server, ran, context } = *self;
        if let Some((result, detail)) = self.fault().or_else(|| self.unseen_fault()) {
            let stderr_line = Some(ran.stderr_line.clone()).filter(|stderr_line| !stderr_line.is_empty());
            return Diagnosis { result, detail: Some(detail), stderr_line };
        }
        let mut notes = Vec::new();
        let result = match server {
            Some(named) if matching.is_ours(named) => "ok",
            Some((name, entry)) => {
                let (name, path, mount) = (name.display(), entry.path(), context.mount.display());
                let is_instead = matching.ours.is_some();
                let to_remove = format!(", which is not ours; to remove that: echo -1 > {mount}/{name}");
                notes.push(format!("by {name} ({path}){}", if is_instead { &to_remove } else { "" }));
                if is_instead { "shadowed" } else { "served" }
            }
            None => {
                notes.push("by an entry that does not show here".into());
                "served"
            }
        };
        if let (Isolation::Memory, Some((_, entry)), false) = (context.isolation, server, self.has_flag('F')) {
            notes.push(format!("without flag F: only where {} is", entry.path()));
        }
        if let (SetUserId::NotChecked(why), true) = (&ran.set_user_id, self.has_flag('C')) {
            notes.push(format!("set-user-ID not checked: {why}"));
        }
        Diagnosis::of(result, if notes.is_empty() { None } else { Some(notes.join("; ")) })
    }

    /// Of the entry that took the program: another that did not may have it too.
    fn has_flag(&self, flag: char) -> bool {
        self.server.is_some_and(|(_, entry)| entry.flags.contains(flag))
    }

    /// Where the emulator is, or would be.
    fn emulator(&self) -> String {
        let would_be = || self.matching.handler.interpreter(self.context.emulators);
        self.server.map_or_else(would_be, |(_, entry)| entry.path().into())
    }

    /// What is wrong, if anything is.
    fn fault(&self) -> Option<Fault> {
        let (ran, emulator) = (self.ran, self.emulator());
        let other = match self.has_flag('T') {
            true => "it may not know flag T: register it without",
            false => "try another build of the emulator",
        };
        let when = if ran.written.is_empty() { "" } else { " after its first words, at fork, exec or wait" };
        let is_named = |(_, entry): Named<'_>| ran.written == self.matching.name_with(entry, self.context.isolation);
        Some(match ran.end {
            ProbeExit::Refused(Errno::ENOEXEC) => self.not_taken(),
            ProbeExit::Refused(Errno::ENOENT) => self.not_found(),
            ProbeExit::Refused(Errno::EACCES) => {
                let cause = "is not executable, on a file system mounted noexec, or forbidden by SELinux or AppArmor";
                ("failed", format!("permission denied: {emulator} {cause}"))
            }
            ProbeExit::Refused(Errno::ELOOP) => {
                ("failed", format!("an entry takes {emulator} itself as a foreign program"))
            }
            ProbeExit::Refused(errno) => ("failed", format!("starting the program: {}", errno_text(errno))),
            ProbeExit::TimedOut => {
                ("timeout", format!("no end{when} within the time; {other}, or give it more with --timeout"))
            }
            ProbeExit::Killed(signal) => {
                ("crashed", format!("{emulator} was killed by {}{when}; {other}", signal_name(signal)))
            }
            ProbeExit::Exited(_) if !ran.written.is_empty() && !self.server.is_none_or(is_named) => {
                let got = String::from_utf8_lossy(&ran.written);
                let fix = match self.has_flag('P') {
                    true => "flag P takes Linux 5.12 and QEMU 6.0",
                    false => "its emulator wants flag P",
                };
                ("wrong-argv0", format!("its name arrived as '{got}': {fix}"))
            }
            ProbeExit::Exited(status) if ran.end != GOOD => unsuccessful(status, ran, other),
            ProbeExit::Exited(_) if ran.written.is_empty() => ("wrong-argv0", format!("it wrote nothing; {other}")),
            ProbeExit::Exited(_) if ran.set_user_id == SetUserId::Ignored && self.has_flag('C') => {
                let cause = "flag C is set, but a program ran as the caller and not as its file's owner";
                ("set-user-id-ignored", cause.into())
            }
            ProbeExit::Exited(_) => return None,
        })
    }

    /// The kernel found nobody for the program.
    fn not_taken(&self) -> Fault {
        let Context { emulators, look, .. } = self.context;
        let (mount, target) = (self.context.mount.display(), self.matching.handler.target);
        if !self.context.is_switched_on {
            return ("switched-off", format!("no entry is used at all; to switch it on: echo 1 > {mount}/status"));
        }
        let emulator = self.emulator();
        let file = || look(self.server.map_or(Path::new(&emulator), |(_, entry)| &entry.interpreter));
        match (self.server, &self.matching.ours) {
            (Some((name, _)), _) if self.has_flag('L') => (
                "unused",
                format!("flag L of {} is for loaders of this machine's programs; register it without", name.display()),
            ),
            (Some((name, _)), _) => match file() {
                Err(Unfit::Foreign(machine)) => {
                    ("wrong-emulator", format!("{emulator} is a program for another machine (ELF number {machine})"))
                }
                Err(Unfit::NotElf | Unfit::Damaged) => ("wrong-emulator", format!("{emulator} is no program")),
                _ => {
                    let cause = "is in another user namespace's folder, or its emulator is no program of this machine";
                    ("unused", format!("{} {cause}; verify where programs run", name.display()))
                }
            },
            (None, Some((name, entry))) if entry.enabled => {
                ("absent", format!("{name} has another magic or mask; registrar register {target} replaces it"))
            }
            (None, Some((name, _))) => ("disabled", format!("to enable it: echo 1 > {mount}/{name}")),
            (None, None) if file() == Err(Unfit::Unreadable(Errno::ENOENT)) => {
                ("absent", format!("no handler, and no {emulator}; --bindir names the folder of the emulators"))
            }
            (None, None) => {
                let is_usual = *emulators == EMULATOR_DIR;
                let option = if is_usual { String::new() } else { format!(" --bindir {emulators}") };
                ("absent", format!("no handler; registrar register {target}{option}"))
            }
        }
    }

    /// There is an entry, but something that it needs is not where programs run.
    fn not_found(&self) -> Fault {
        let Some((name, entry)) = self.server else {
            return ("failed", "starting the program: no such file".into());
        };
        let (name, path) = (name.display(), &entry.path());
        match (self.context.look)(&entry.interpreter) {
            Err(Unfit::Unreadable(Errno::ENOENT)) if !self.has_flag('F') => {
                ("no-emulator", format!("{path}, which {name} names, is not there"))
            }
            _ if !self.has_flag('F') => {
                let fix = "must be wherever a program runs; register it with F";
                ("no-emulator", format!("{name} has no flag F, so that {path} {fix}"))
            }
            Err(Unfit::Dynamic(loader)) => dynamic(path, &loader),
            Err(Unfit::Script) => ("wrong-emulator", format!("{path} is a script; take a static program")),
            Ok(()) => ("failed", format!("{path} is static now, but the kernel holds another; register it again")),
            Err(_) => {
                ("dynamic", format!("something that {path} needs is not there: it is hardly static; take one that is"))
            }
        }
    }

    /// What is wrong although all went well where the files of this process could be seen.
    fn unseen_fault(&self) -> Option<Fault> {
        let (_, entry) = self.server.filter(|_| self.context.isolation == Isolation::Memory && self.has_flag('F'))?;
        match (self.context.look)(&entry.interpreter) {
            Err(Unfit::Dynamic(loader)) => Some(dynamic(&entry.path(), &loader)),
            _ => None,
        }
    }
}

fn unsuccessful(status: i32, ran: &ProbeResult, other: &str) -> Fault {
    let (alone, good) = (ran.alone == Some(GOOD), TABLE.probe_status);
    match status {
        NO_SECOND if alone => ("no-second-program", format!("a foreign program could not start another; {other}")),
        NO_FIRST if alone => ("no-second-program", format!("a foreign program could not write or fork; {other}")),
        _ if alone => ("no-second-program", format!("one started by another ended with {status}, not {good}; {other}")),
        _ => ("wrong-status", format!("exit status {status}, not {good}; {other}")),
    }
}

fn dynamic(path: &str, loader: &str) -> Fault {
    ("dynamic", format!("{path} runs only where {loader} and its libraries are; take a static one"))
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().into())
}
