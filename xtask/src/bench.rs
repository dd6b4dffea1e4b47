//! `cargo xtask bench`: this project beside what does the same, in one run, against the limits it has set itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::host::Host;
use crate::mirror::{self, Mirror};
use crate::system::{self, Tool};
use crate::{compile, tables};

/// How much longer than unpacking alone, which verifies nothing, verified extraction may take.
const EXTRACT_RATIO: f64 = 1.5;

/// How much memory it may need, in bytes.
const EXTRACT_MEMORY: u64 = 100 << 20;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Verifying and extracting all packages, beside bsdtar, which verifies nothing
    Extract {
        /// A mirror made by `cargo xtask mirror`; made if it is not there
        #[arg(long, value_name = "DIR", default_value_os_t = tables::workspace_root().join("mirror"))]
        mirror: PathBuf,
        /// How many pairs of runs
        #[arg(long, default_value_t = 15)]
        runs: usize,
    },
    /// Registering all handlers, beside a bare static program that writes the same lines
    Register {
        /// How many pairs of runs
        #[arg(long, default_value_t = 1000)]
        runs: usize,
    },
}

/// Runs a comparison.
///
/// # Errors
/// If a limit is missed, or something needed cannot be run.
pub fn run(args: &BenchArgs) -> Result<()> {
    match &args.what {
        What::Extract { mirror, runs } => extract(mirror, *runs),
        What::Register { runs } => register(*runs),
    }
}

fn register(runs: usize) -> Result<()> {
    system::require(&[Tool::MUSL_GCC, Tool::STRACE, Tool::EMULATORS])?;
    let registrar = compile::registrar(Host::named(None)?, None, false)?;
    let status = compile::cargo()
        .args(["run", "--quiet", "--package", "tests", "--bin", "bench-register", "--", "--registrar"])
        .arg(registrar)
        .args(["--runs", &runs.to_string()])
        .status()
        .context("running the comparison")?;
    ensure!(status.success(), "registering: a limit was missed, see above");
    Ok(())
}

/// What one run took.
struct Run {
    time: Duration,
    /// In bytes; 0 where nobody asks.
    memory: u64,
}

fn extract(folder: &Path, runs: usize) -> Result<()> {
    ensure!(runs > 0, "no runs, no median: --runs must be at least 1");
    system::require(&[Tool::BSDTAR])?;
    let mirror = mirror::make(&mirror::Options::new(folder))?;
    let scratch = tempfile::tempdir_in(tables::target_dir()).context("making a folder to extract into")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..runs {
        // In turn, so that neither always finds the caches as the other left them.
        let order: [fn(&Mirror, &Path) -> Result<Run>; 2] = [bsdtar, this];
        for index in [run % 2, (run + 1) % 2] {
            let out = scratch.path().join("out");
            let result = order[index](&mirror, &out)?;
            std::fs::remove_dir_all(&out).context("removing what was extracted")?;
            [&mut theirs, &mut ours][index].push(result);
        }
    }
    let (theirs_time, ours_time) = (median(&theirs), median(&ours));
    let ratio = ours_time / theirs_time;
    let memory = ours.iter().map(|run| run.memory).max().unwrap_or(0);
    let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("{} packages, {} emulators, medians of {runs} pairs", mirror.packages()?.len(), mirror.emulators.len());
    println!("bsdtar, two at a time, no checks   {theirs_time:.3} s");
    println!("cargo xtask extract, all checks    {ours_time:.3} s, {:.1} MiB at its peak", megabytes(memory));
    println!("ratio {ratio:.2} (at most {EXTRACT_RATIO}), memory at most {:.0} MiB", megabytes(EXTRACT_MEMORY));
    if ratio > EXTRACT_RATIO || memory > EXTRACT_MEMORY {
        bail!("extracting: a limit was missed");
    }
    Ok(())
}

fn median(runs: &[Run]) -> f64 {
    let mut times: Vec<_> = runs.iter().map(|run| run.time.as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn bsdtar(mirror: &Mirror, out: &Path) -> Result<Run> {
    std::fs::create_dir(out).context("making a folder to extract into")?;
    let mut command = Command::new("sh");
    command.args(["-c", "find \"$0\" -name '*.rpm' | xargs -P2 -n1 bsdtar -xf"]).arg(mirror.repo().join("Packages"));
    let start = Instant::now();
    system::run(command.current_dir(out))?;
    Ok(Run { time: start.elapsed(), memory: 0 })
}

fn this(mirror: &Mirror, out: &Path) -> Result<Run> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg("extract").arg("--source").arg(mirror.repo()).arg("--key").arg(&mirror.key.public);
    command.args(["--host", mirror.host]).arg("--out").arg(out);
    let start = Instant::now();
    let output = system::run(&mut command)?;
    let time = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    let memory = text.split_once("peak memory ").and_then(|(_, rest)| rest.split_once(" bytes")?.0.parse().ok());
    Ok(Run { time, memory: memory.with_context(|| format!("no peak memory in {text:?}"))? })
}
