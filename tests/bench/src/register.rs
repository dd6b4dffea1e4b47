//! Holds `registrar register` against a bare C program that writes the same lines and against what else registers such
//! rules, and `registrar status`, which is run every few seconds where it tells of readiness, against the clock. Fails if a
//! limit is missed.
//!
//! All run by turns in an instance of `binfmt_misc` that is nobody else's; it is emptied between runs, untimed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tests::{binfmt_misc, namespace};
use xtask::build::compile;
use xtask::system::host::Host;
use xtask::system::{self, Tool};

use crate::others;

/// How many times as long as the bare program.
const RATIO: f64 = 2.0;
/// System calls beyond the bare program's: the start of a Rust program, finding, locking and reading the folder, the
/// scope, and what each rule is tried against.
const SYSTEM_CALLS: u64 = 55;
/// For `status` of all that are registered.
const STATUS: Duration = Duration::from_millis(2);
/// In kB.
const PEAK_MEMORY: u64 = 2048;
/// How many times fewer runs what takes longer has.
const FEWER: usize = 10;
/// In bytes.
const SIZE: u64 = 900 * 1000;

/// Runs the comparison.
pub(super) fn run(runs: usize) -> Result<()> {
    ensure!(runs > 0, "no runs, no median: --runs must be at least 1");
    system::require(&[Tool::MUSL_GCC, Tool::STRACE, Tool::EMULATORS])?;
    let registrar = compile::registrar(Host::named(None)?, None, false)?;
    let scratch = tempfile::tempdir()?;
    let folder = Path::new(binfmt_misc::USUAL);
    namespace::enter(namespace::Users::One(0)).context("entering a user namespace")?;
    namespace::mount_binfmt_misc(folder).context("mounting binfmt_misc there")?;

    let ours = Program::new(registrar, vec!["register".into(), "--scope=userns".into()]);
    let lines = lines_written_by(&ours, scratch.path(), folder)?;
    let bare = scratch.path().join("bare");
    fs::write(scratch.path().join("lines.h"), &lines.text)?;
    compile_c("bare.c", &bare, scratch.path())?;
    let register = folder.join("register");
    let bare = Program::new(bare, vec![register.display().to_string()]);
    let peak = scratch.path().join("peak");
    compile_c("peak.c", &peak, scratch.path())?;

    let programs = [&bare, &ours];
    let times_of_both = times(&programs, runs, folder, lines.count)?;
    let [bare_time, ours_time] = [times_of_both[0], times_of_both[1]];
    let mut calls = [0; 2];
    let mut memory = [0; 2];
    let mut size = [0; 2];
    for (index, program) in programs.into_iter().enumerate() {
        calls[index] = system_calls(program, scratch.path())?;
        binfmt_misc::clear(folder)?;
        memory[index] = peak_memory(program, &peak)?;
        binfmt_misc::clear(folder)?;
        size[index] = fs::metadata(&program.path)?.len();
    }

    let status_time = status_time(&ours, runs)?;
    binfmt_misc::clear(folder)?;

    let ratio = ours_time.as_secs_f64() / bare_time.as_secs_f64();
    let milliseconds = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e3);
    println!("{} entries, medians of {runs} runs by turns", lines.count);
    println!("{:22}{:>10}{:>12}   limit", "", "bare", "registrar");
    let rows = [
        (
            "time in ms",
            [bare_time, ours_time].map(milliseconds),
            format!("{ratio:.2} times, of {RATIO:.2}"),
            ratio <= RATIO,
        ),
        (
            "status in ms",
            ["".into(), milliseconds(status_time)],
            format!("of {}", milliseconds(STATUS)),
            status_time <= STATUS,
        ),
        (
            "system calls",
            calls.map(|calls| calls.to_string()),
            format!("{:+}, of +{SYSTEM_CALLS}", i128::from(calls[1]) - i128::from(calls[0])),
            calls[1] <= calls[0] + SYSTEM_CALLS,
        ),
        ("peak memory in kB", memory.map(|kb| kb.to_string()), format!("of {PEAK_MEMORY}"), memory[1] <= PEAK_MEMORY),
        ("size in bytes", size.map(|bytes| bytes.to_string()), format!("of {SIZE}"), size[1] <= SIZE),
    ];
    for (name, [bare, ours], limit, is_kept) in &rows {
        println!("{name:22}{bare:>10}{ours:>12}   {limit}{}", if *is_kept { "" } else { "  MISSED" });
    }
    let are_slower = beside_others(&ours, runs.div_ceil(FEWER), scratch.path(), folder, lines.count)?;
    let are_kept = rows.iter().all(|(.., is_kept)| *is_kept);
    ensure!(are_slower && are_kept, "registering: a limit was missed, see above");
    Ok(())
}

/// Whether all others take longer.
fn beside_others(ours: &Program, runs: usize, scratch: &Path, folder: &Path, count: usize) -> Result<bool> {
    let others = others::programs(ours, scratch, &folder.join("register"))?;
    binfmt_misc::clear(folder)?;
    let programs: Vec<_> = std::iter::once(ours).chain(others.iter().map(|(_, program)| program)).collect();
    let times = times(&programs, runs, folder, count)?;
    println!("\nthe same entries, medians of {runs} runs by turns");
    let names = std::iter::once("registrar").chain(others.iter().map(|(name, _)| *name));
    for (name, time) in names.zip(&times) {
        let ratio = time.as_secs_f64() / times[0].as_secs_f64();
        println!("{name:22}{:>10.3} ms{ratio:>10.1} times", time.as_secs_f64() * 1e3);
    }
    Ok(times[1..].iter().all(|time| *time > times[0]))
}

pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Program {
    pub(super) fn new(path: impl Into<PathBuf>, arguments: Vec<String>) -> Self {
        Self { path: path.into(), arguments, environment: Vec::new() }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env_remove("BINDIR").envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

struct Lines {
    /// C string literals, each with a comma.
    text: String,
    count: usize,
}

/// What `program` writes to `register`, as strace(1) shows it: C string literals.
fn lines_written_by(program: &Program, scratch: &Path, folder: &Path) -> Result<Lines> {
    let log = scratch.join("writes");
    traced(program, &log, &["-e", "trace=write", "-s", "4096"])?;
    let log = fs::read_to_string(&log)?;
    let literal = |line: &str| {
        let (_, written) = line.split_once(", \":")?;
        let (written, _) = written.rsplit_once("\", ")?;
        Some(format!("\":{written}\",\n"))
    };
    let literals: Vec<_> = log.lines().filter_map(literal).collect();
    let count = binfmt_misc::entries(folder)?.len();
    binfmt_misc::clear(folder)?;
    if literals.len() != count || count == 0 {
        bail!("registrar wrote {} lines for {count} entries", literals.len());
    }
    Ok(Lines { text: literals.concat(), count })
}

fn compile_c(source: &str, program: &Path, include: &Path) -> Result<()> {
    let output = Command::new("musl-gcc")
        .args(["-static", "-Os", "-s", "-Wall", "-Werror", "-DLINES=\"lines.h\"", "-I"])
        .arg(include)
        .arg("-o")
        .arg(program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(source))
        .output()
        .context("starting musl-gcc; install musl-tools")?;
    if output.status.success() {
        return Ok(());
    }
    Err(anyhow!("compiling {source}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Medians of fork, exec and wait.
fn times(programs: &[&Program], runs: usize, folder: &Path, count: usize) -> Result<Vec<Duration>> {
    let mut times = vec![Vec::new(); programs.len()];
    for run in 0..runs {
        // By turns, each first as often as the others.
        for turn in 0..programs.len() {
            let index = (run + turn) % programs.len();
            let program = programs[index];
            let mut command = program.command();
            let start = Instant::now();
            let status = command.status()?;
            times[index].push(start.elapsed());
            let registered = binfmt_misc::entries(folder)?.len();
            if !status.success() || registered != count {
                bail!("{}: {status}, {registered} of {count} entries", program.path.display());
            }
            binfmt_misc::clear(folder)?;
        }
    }
    Ok(times.into_iter().map(median).collect())
}

/// Median of fork, exec and wait, of `status` once all is registered.
fn status_time(registrar: &Program, runs: usize) -> Result<Duration> {
    let status = registrar.command().status()?;
    let asked = Program::new(&registrar.path, vec!["status".into(), "--check".into()]);
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        let is_ready = asked.command().status()?.success();
        times.push(start.elapsed());
        if !is_ready {
            bail!("register: {status}; and status finds something missing");
        }
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The number of system calls, with those of child processes.
fn system_calls(program: &Program, scratch: &Path) -> Result<u64> {
    let log = scratch.join("counts");
    traced(program, &log, &["-c"])?;
    let log = fs::read_to_string(&log)?;
    // Share, seconds, microseconds a call, calls, errors if there are any, `total`.
    let total = log.lines().find(|line| line.ends_with(" total")).and_then(|line| line.split_whitespace().nth(3));
    Ok(total.context("strace shows no total")?.parse()?)
}

fn traced(program: &Program, log: &Path, options: &[&str]) -> Result<()> {
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(log).args(options).arg(&program.path).args(&program.arguments);
    let output = command.env_remove("BINDIR").output().context("starting strace; install strace")?;
    if output.status.success() {
        return Ok(());
    }
    Err(anyhow!("{}: {}", program.path.display(), String::from_utf8_lossy(&output.stderr)))
}

/// In kB.
fn peak_memory(program: &Program, peak: &Path) -> Result<u64> {
    let output = Command::new(peak).arg(&program.path).args(&program.arguments).env_remove("BINDIR").output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.trim().parse().with_context(|| format!("{}: {text}", program.path.display()))
}
