//! Holds `registrar` against a bare static C program that writes the same lines, and against what else registers such
//! rules: `register` with the image's own path, with `--bindir` as in the README's first line, a second `register`, and
//! `status`, which readiness probes run every few seconds. Fails if a limit is missed. An older `registrar` may be measured
//! beside, in the same run.
//!
//! In each round all run once, in an order drawn anew, since what ran before a program changes its time by a tenth. They
//! use an instance of `binfmt_misc` of its own user namespace, which is emptied between runs, untimed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use test_groups::tools;
use tests::{binfmt_misc, namespace, statistics::median};
use xtask::build::compile;
use xtask::system::host::Host;

use crate::others;

/// How many times as long as the bare program: `register`, the same with `--bindir`, a second time, and `status`.
const LIMITS: [f64; 4] = [1.75, 2.2, 12.0, 2.2];
/// System calls of the first `register` beyond the bare program's: the start of a Rust program, finding, locking and
/// reading the folder, the scope, and what each rule is tried against.
const SYSTEM_CALLS: u64 = 38;
/// In kB.
const PEAK_MEMORY: u64 = 2048;
/// How many times fewer runs what takes longer has.
const FEWER: usize = 10;
/// In bytes.
const SIZE: u64 = 800 * 1000;

/// What is measured of a `registrar`.
struct Case {
    name: &'static str,
    arguments: Vec<String>,
    /// Whether all is registered before.
    is_registered: bool,
    /// The bare program that writes the same lines.
    bare: usize,
    limit: f64,
}

/// Runs the comparison.
pub(super) fn run(runs: usize, old: Option<&Path>) -> Result<()> {
    ensure!(runs > 0, "no runs, no median: --runs must be at least 1");
    tools::require(&[tools::MUSL_GCC, tools::STRACE, tools::EMULATORS])?;
    let registrar = compile::registrar(Host::named(None)?, None, false)?;
    let old = old.map(|old| fs::canonicalize(old).with_context(|| old.display().to_string())).transpose()?;
    let scratch = tempfile::tempdir()?;
    let folder = Path::new(binfmt_misc::DEFAULT_MOUNT_POINT);
    namespace::enter_unmounted(namespace::Users::One(0)).context("entering a user namespace")?;
    namespace::mount_binfmt_misc(folder).context("mounting binfmt_misc there")?;
    be_an_image().context("marking /usr/bin as an image's")?;

    let bindir = scratch.path().join("bin");
    symlink("/usr/bin", &bindir)?;
    let cases = cases(&bindir);
    let ours: Vec<_> = cases.iter().map(|case| Program::new(&registrar, case.arguments.clone())).collect();
    let bare = [bare(&ours[0], "image", scratch.path(), folder)?, bare(&ours[1], "bindir", scratch.path(), folder)?];
    let count = bare[0].1;
    let bare = bare.map(|(program, _)| program);
    let older: Vec<_> = old.iter().flat_map(|old| cases.iter().map(move |case| (old, case))).collect();
    let older: Vec<_> = older.into_iter().map(|(old, case)| Program::new(old, case.arguments.clone())).collect();

    let mut measured: Vec<_> = bare.iter().map(|program| (program, None)).collect();
    for programs in [&ours, &older] {
        let before = |case: &Case| case.is_registered.then(|| &programs[0]);
        measured.extend(programs.iter().zip(&cases).map(|(program, case)| (program, before(case))));
    }
    let times = times(&measured, runs, folder, count)?;
    let (bare_times, times) = times.split_at(bare.len());
    let (times, older_times) = times.split_at(cases.len());
    println!("{count} entries, medians of {runs} rounds, in ms; times the bare program that writes the same lines");
    println!("{:20}{:>8}{:>17}{:>18}   limit", "", "bare", if old.is_some() { "old" } else { "" }, "registrar");
    let mut are_kept = true;
    for (index, case) in cases.iter().enumerate() {
        let bare = bare_times[case.bare].as_secs_f64();
        let cells = |time: &Duration| {
            let time = time.as_secs_f64();
            (format!("{:.3}", time * 1e3), format!("{:.2}", time / bare), time / bare)
        };
        let (before, before_ratio, _) = older_times.get(index).map(cells).unwrap_or_default();
        let (now, now_ratio, ratio) = cells(&times[index]);
        let missed = missed(&mut are_kept, ratio <= case.limit);
        let (name, limit) = (case.name, case.limit);
        println!("{name:20}{:>8.3}{before:>10}{before_ratio:>7}{now:>11}{now_ratio:>7}   {limit}{missed}", bare * 1e3);
    }

    let peak = scratch.path().join("peak");
    compile_c("peak.c", "", &peak, scratch.path())?;
    let of_each = |of: &dyn Fn(&Program) -> Result<u64>| -> Result<[Option<u64>; 3]> {
        let mut found = [None; 3];
        for (found, program) in found.iter_mut().zip([Some(&bare[0]), older.first(), Some(&ours[0])]) {
            *found = program.map(of).transpose()?;
            binfmt_misc::clear(folder)?;
        }
        Ok(found)
    };
    let calls = of_each(&|program| system_calls(program, scratch.path()))?;
    let memory = of_each(&|program| peak_memory(program, &peak))?;
    let size = of_each(&|program| Ok(fs::metadata(&program.path)?.len()))?;
    let rows = [
        ("system calls", calls, calls[0].unwrap_or_default() + SYSTEM_CALLS),
        ("peak memory in kB", memory, PEAK_MEMORY),
        ("size in bytes", size, SIZE),
    ];
    for (name, figures, limit) in rows {
        let missed = missed(&mut are_kept, figures[2].is_some_and(|ours| ours <= limit));
        let [bare, old, ours] = figures.map(|figure| figure.map(|figure| figure.to_string()).unwrap_or_default());
        println!("{name:20}{bare:>8}{old:>10}{:7}{ours:>11}{:7}   {limit}{missed}", "", "");
    }
    let are_slower = beside_others(&ours[0], runs.div_ceil(FEWER), scratch.path(), folder, count)?;
    ensure!(are_slower && are_kept, "registering: a limit was missed, see above");
    Ok(())
}

/// Puts the list of packages in place by which `registrar` knows that the emulators in `/usr/bin` are those of its image,
/// which are static.
fn be_an_image() -> Result<()> {
    let docs = Path::new("/usr/share/doc");
    namespace::cover(docs)?;
    fs::create_dir(docs.join("registrar"))?;
    Ok(fs::write(docs.join("registrar/packages"), "")?)
}

/// The cases, in the order of [`LIMITS`].
fn cases(bindir: &Path) -> [Case; 4] {
    let register = ["register", "--scope=userns"].map(String::from);
    let with_bindir = [&register[..], &[format!("--bindir={}", bindir.display())]].concat();
    let status = ["status", "--check"].map(String::from);
    let cases = [
        ("register", register.to_vec(), false, 0),
        ("register --bindir", with_bindir, false, 1),
        ("register again", register.to_vec(), true, 0),
        ("status", status.to_vec(), true, 0),
    ];
    let mut limits = LIMITS.into_iter();
    cases.map(|(name, arguments, is_registered, bare)| {
        let limit = limits.next().unwrap_or_default();
        Case { name, arguments, is_registered, bare, limit }
    })
}

/// What stands after a figure that is above its limit.
fn missed(are_kept: &mut bool, is_kept: bool) -> &'static str {
    *are_kept &= is_kept;
    if is_kept { "" } else { "  MISSED" }
}

/// A C program that writes the lines that `program` writes, and their number.
fn bare(program: &Program, name: &str, scratch: &Path, folder: &Path) -> Result<(Program, usize)> {
    let lines = lines_written_by(program, scratch, folder)?;
    let header = format!("{name}.h");
    fs::write(scratch.join(&header), &lines.text)?;
    let path = scratch.join(name);
    compile_c("bare.c", &header, &path, scratch)?;
    Ok((Program::new(path, vec![folder.join("register").display().to_string()]), lines.count))
}

/// Whether all others take longer.
fn beside_others(ours: &Program, runs: usize, scratch: &Path, folder: &Path, count: usize) -> Result<bool> {
    let others = others::programs(ours, scratch, &folder.join("register"))?;
    binfmt_misc::clear(folder)?;
    let programs: Vec<_> = std::iter::once(ours).chain(others.iter().map(|(_, program)| program)).collect();
    let programs: Vec<_> = programs.into_iter().map(|program| (program, None)).collect();
    let times = times(&programs, runs, folder, count)?;
    println!("\nthe same entries, medians of {runs} rounds");
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

fn compile_c(source: &str, lines: &str, program: &Path, include: &Path) -> Result<()> {
    let output = Command::new("musl-gcc")
        .args(["-static", "-Os", "-s", "-Wall", "-Werror"])
        .arg(format!("-DLINES=\"{lines}\""))
        .arg("-I")
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

/// Medians of fork, exec and wait of programs, each with what runs before it, untimed.
fn times(programs: &[(&Program, Option<&Program>)], runs: usize, folder: &Path, count: usize) -> Result<Vec<Duration>> {
    let mut times = vec![Vec::new(); programs.len()];
    let mut order: Vec<_> = (0..programs.len()).collect();
    for _ in 0..runs {
        fastrand::shuffle(&mut order);
        for &index in &order {
            let (program, before) = programs[index];
            binfmt_misc::clear(folder)?;
            if let Some(before) = before {
                before.command().status()?;
            }
            let mut command = program.command();
            let start = Instant::now();
            let status = command.status()?;
            times[index].push(start.elapsed());
            let registered = binfmt_misc::entries(folder)?.len();
            if !status.success() || registered != count {
                bail!("{} {:?}: {status}, {registered} of {count} entries", program.path.display(), program.arguments);
            }
        }
    }
    binfmt_misc::clear(folder)?;
    Ok(times.iter().map(|times| median(times)).collect())
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
