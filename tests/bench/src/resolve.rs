//! Choosing the packages of a repository with as many packages as Fedora's, beside dnf, which answers the same question.
//! Both begin with the compressed list on disk and nothing else: dnf gets a new cache for each run.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::repository::{self, Compression, Repository};
use crate::{MEGABYTE, Run, family, median, peak_memory};
use test_groups::tools;
use xtask::output::progress;
use xtask::repo::resolve::ROOT;
use xtask::say;
use xtask::system;
use xtask::workspace;

/// How long it may take, in seconds, from the start of the process.
const TIME: f64 = 1.0;

/// How much memory it may need, in bytes.
const MEMORY: u64 = 50_000_000;

/// How much of dnf's time.
const RATIO: f64 = 0.2;

/// Runs the comparison.
pub(super) fn run(packages: usize, runs: usize, compressions: &[Compression]) -> Result<()> {
    ensure!(runs > 0, "no runs, no median: --runs must be at least 1");
    ensure!(packages > family::COUNT, "--packages must be more than the {} that are looked for", family::COUNT);
    tools::require(&[tools::DNF])?;
    let scratch = tempfile::tempdir_in(workspace::target_dir()).context("making a folder for the repository")?;
    let repositories = progress::step("making a repository", || {
        repository::write(scratch.path(), packages, compressions).context("making a repository")
    })?;
    let mut missed = false;
    for repository in &repositories {
        missed |= !compare(repository, packages, runs, scratch.path())?;
    }
    say!("dnf's peak memory, the highest of all runs: {:.1} MB", children_peak_memory()? as f64 / 1e6);
    if missed {
        bail!("resolving: a limit was missed");
    }
    Ok(())
}

/// Whether all limits are kept.
fn compare(repository: &Repository, packages: usize, runs: usize, scratch: &Path) -> Result<bool> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..runs {
        // In turn, so that neither always finds the caches as the other left them.
        for index in [run % 2, 1 - run % 2] {
            match index {
                0 => theirs.push(dnf(repository, scratch)?),
                _ => ours.push(this(repository)?),
            }
        }
    }
    let (ours_time, theirs_time) = (median(&ours), median(&theirs));
    let ratio = ours_time / theirs_time;
    let memory = ours.iter().map(|run| run.memory).max().unwrap_or(0);
    say!(
        "{packages} packages, {:.0} MiB of XML, {:.1} MiB as {}, medians of {runs} pairs",
        repository.decompressed_size as f64 / MEGABYTE,
        repository.size as f64 / MEGABYTE,
        repository.compression.name()
    );
    say!("dnf repoquery, an empty cache   {theirs_time:.3} s");
    say!("cargo xtask resolve             {ours_time:.3} s, {:.1} MB at its peak", memory as f64 / 1e6);
    say!("ratio {ratio:.3} (at most {RATIO}), time at most {TIME} s, memory at most {:.0} MB", MEMORY as f64 / 1e6);
    Ok(ours_time <= TIME && ratio <= RATIO && memory <= MEMORY)
}

fn this(repository: &Repository) -> Result<Run> {
    let mut command = crate::xtask()?;
    command.args(["resolve", "--no-signature", "--verbose", "--host", "x86_64", "--source"]).arg(&repository.folder);
    let start = Instant::now();
    let output = system::run(&mut command)?;
    let time = start.elapsed();
    check(&output.stdout, "this program")?;
    Ok(Run { time, memory: peak_memory(&output)? })
}

fn dnf(repository: &Repository, scratch: &Path) -> Result<Run> {
    let cache = tempfile::tempdir_in(scratch).context("making a cache for dnf")?;
    let mut command = system::command("dnf");
    let folder = repository.folder.canonicalize().context("finding the repository")?;
    command.args(["--quiet", "--noplugins", "--repofrompath"]).arg(format!("bench,file://{}", folder.display()));
    command.args(["--repo", "bench", "--releasever", "45", "--forcearch", "x86_64", "--setopt", "reposdir=/dev/null"]);
    for option in ["cachedir", "logdir", "persistdir"] {
        command.arg("--setopt").arg(format!("{option}={}", cache.path().join(option).display()));
    }
    command.args(["repoquery", "--requires", "--resolve", "--recursive", ROOT]);
    let start = Instant::now();
    let output = system::run(&mut command)?;
    let time = start.elapsed();
    check(&output.stdout, "dnf")?;
    Ok(Run { time, memory: 0 })
}

/// That an answer names the whole family. dnf's leaves out what it was asked for, and adds what emulators run on.
fn check(stdout: &[u8], tool: &str) -> Result<()> {
    let text = String::from_utf8_lossy(stdout);
    let prefix = format!("{ROOT}-");
    let count = text.lines().filter(|line| line.trim_start().starts_with(&prefix)).count();
    let lines = text.lines().count();
    ensure!(count + 1 >= family::COUNT, "{tool} found {count} of {} packages ({lines} lines)", family::COUNT);
    Ok(())
}

/// The highest memory of any program that was run, in bytes: dnf's, beside which ours is small.
fn children_peak_memory() -> Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking for the memory of dnf")?;
    u64::try_from(usage.max_rss()).map(|kilobytes| kilobytes * 1024).context("a negative size")
}
