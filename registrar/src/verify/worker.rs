//! The process that runs the test programs, started by this program for itself: it goes to another root, from where
//! there is no way back, and what would be left of an attempt that was refused halfway ends with it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::Pid;

use super::protocol::ProbeResult;
use super::runner::Runner;
use super::sandbox::{Isolation, Program, Sandbox};
use crate::elf::header::{ElfHeader, HEADER_VARIANTS};
use crate::sys::{errno, errno_text};
use crate::table::{Handler, TABLE};

/// The first argument of such a process. Nothing that a user need know.
const INSIDE: &str = "verify-inside";

/// Follows the name of a handler whose program is to be another user's.
const OF_ANOTHER: &str = ".set-user-id";

/// First line where all is well.
const READY: &str = "ready";

/// Programs that run at a time: more than two would be slower on a machine with two processors than one after the
/// other, and more than eight take memory to gain nothing.
const ABREAST: (usize, usize) = (2, 8);

/// What is to be run.
#[derive(Clone, Copy)]
pub(super) struct ProbeRun {
    pub(super) handler: &'static Handler,
    /// Which of [`ElfHeader::kinds`] its header is.
    pub(super) kind: usize,
    /// As a program of another user.
    pub(super) set_user_id: bool,
}

impl ProbeRun {
    /// The word of the worker's command line, and the program's file name.
    fn word(&self) -> String {
        let Self { handler, kind, set_user_id } = self;
        format!("{}.{kind}{}", handler.original().name, if *set_user_id { OF_ANOTHER } else { "" })
    }

    fn of_word(word: &str) -> Option<Self> {
        let rest = word.strip_suffix(OF_ANOTHER);
        let (name, kind) = rest.unwrap_or(word).rsplit_once('.')?;
        let handler = TABLE.handlers.iter().find(|handler| handler.name == name)?;
        let kind = kind.parse().ok().filter(|kind| *kind < HEADER_VARIANTS)?;
        Some(Self { handler, kind, set_user_id: rest.is_some() })
    }

    fn program(&self) -> Vec<u8> {
        let probe = self.handler.probe;
        ElfHeader::of(probe).kinds()[self.kind].with_rest_of(probe)
    }
}

/// Has the programs run. Those that ended before something went wrong are among the results.
pub(super) fn run(
    isolation: Isolation,
    wanted: &[ProbeRun],
    limit: Duration,
) -> Result<Vec<(ProbeRun, ProbeResult)>, String> {
    let mut command = Command::new("/proc/self/exe");
    command.args([INSIDE, isolation.word(), &limit.as_millis().to_string()]);
    command.args(wanted.iter().map(ProbeRun::word));
    // Pipes without their other ends, since a root may have no /dev/null.
    let unused = || io::pipe().map_err(|error| format!("making a pipe: {}", errno_text(errno(&error))));
    let ((nothing, _), (_, nowhere)) = (unused()?, unused()?);
    // Not of the terminal's group: an interrupt ends the one who asks, and this one sees that and ends what it runs.
    let output = command.stdin(nothing).stderr(nowhere).process_group(0).output();
    let output = output.map_err(|error| format!("starting /proc/self/exe: {}", errno_text(errno(&error))))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.split_once('\n') {
        Some((READY, lines)) => {
            let results = lines.lines().filter_map(ProbeResult::of_line);
            let run = |word: &str| wanted.iter().find(|run| run.word() == word).copied();
            Ok(results.filter_map(|(word, ran)| Some((run(word)?, ran))).collect())
        }
        Some((refused, _)) => Err(refused.into()),
        None => Err(format!("{}", output.status)),
    }
}

/// What that process does, if this is one.
pub(crate) fn run_if_worker(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1)? != INSIDE {
        return None;
    }
    let words: Option<Vec<_>> = arguments.map(|word| word.into_string().ok()).collect();
    let is_done = words.is_some_and(|words| work(&words).is_some());
    Some(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `None` if the words make no sense, or nobody reads the answer.
fn work(words: &[String]) -> Option<()> {
    let [isolation, limit, names @ ..] = words else { return None };
    let (isolation, limit) = (Isolation::of_word(isolation)?, Duration::from_millis(limit.parse().ok()?));
    let wanted: Vec<_> = names.iter().map(|word| ProbeRun::of_word(word)).collect::<Option<_>>()?;
    let mut out = io::stdout();
    let (sandbox, processes, programs) = match prepare(isolation, &wanted) {
        Ok(prepared) => prepared,
        Err(refused) => return writeln!(out, "{refused}").ok(),
    };
    writeln!(out, "{READY}").ok()?;
    let asker = io::stdout();
    // The standard library's way reads control groups too, and takes 16 kB of program.
    let processors = sched_getaffinity(Pid::from_raw(0))
        .map_or(0, |set| (0..CpuSet::count()).filter(|&processor| set.is_set(processor) == Ok(true)).count());
    let abreast = processors.clamp(ABREAST.0, ABREAST.1);
    Runner { processes: &processes, limit, abreast, asker: &asker }.all(&programs, |index, ran| {
        // If nobody reads it, the runner sees that too.
        let _ = out.write_all(ran.line(&wanted[index].word()).as_bytes());
    });
    sandbox.remove(&programs);
    Some(())
}

fn prepare(isolation: Isolation, wanted: &[ProbeRun]) -> Result<(Sandbox, File, Vec<Program>), String> {
    let opened = File::open("/proc").map_err(|error| format!("/proc: {}", errno_text(errno(&error))))?;
    // A crash is told of; nobody wants its core.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let sandbox = Sandbox::enter(isolation)?;
    let mut programs = Vec::new();
    for run in wanted {
        match sandbox.install(&run.word(), &run.program(), run.set_user_id) {
            Ok(program) => programs.push(program),
            Err(error) => {
                sandbox.remove(&programs);
                return Err(format!("writing a program: {}", errno_text(errno(&error))));
            }
        }
    }
    Ok((sandbox, opened, programs))
}
