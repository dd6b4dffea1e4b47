//! Verifying and extracting all packages, beside bsdtar, which verifies nothing.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::{MEGABYTE, Run, median, peak_memory};
use fedora_mirror::Mirror;
use test_groups::tools;
use xtask::say;
use xtask::system;
use xtask::workspace;

/// How much longer than unpacking alone, which verifies nothing, verified extraction may take.
const EXTRACT_RATIO: f64 = 1.5;

/// How much memory it may need, in bytes.
const EXTRACT_MEMORY: u64 = 100 << 20;

/// Runs the comparison with a mirror that is made if it is not there.
pub(super) fn run(folder: &Path, runs: usize) -> Result<()> {
    ensure!(runs > 0, "no runs, no median: --runs must be at least 1");
    tools::require(&[tools::BSDTAR])?;
    let mirror = fedora_mirror::make(&fedora_mirror::Options::new(folder))?;
    let scratch = tempfile::tempdir_in(workspace::target_dir()).context("making a folder to extract into")?;
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
    let megabytes = |bytes: u64| bytes as f64 / MEGABYTE;
    say!("{} packages, {} emulators, medians of {runs} pairs", mirror.packages()?.len(), mirror.emulators.len());
    say!("bsdtar, two at a time, no checks   {theirs_time:.3} s");
    say!("cargo xtask extract, all checks    {ours_time:.3} s, {:.1} MiB at its peak", megabytes(memory));
    say!("ratio {ratio:.2} (at most {EXTRACT_RATIO}), memory at most {:.0} MiB", megabytes(EXTRACT_MEMORY));
    if ratio > EXTRACT_RATIO || memory > EXTRACT_MEMORY {
        bail!("extracting: a limit was missed");
    }
    Ok(())
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
    let mut command = crate::xtask()?;
    command.arg("extract").arg("--source").arg(mirror.repo()).arg("--key").arg(&mirror.key.public);
    command.args(["--host", mirror.host]).arg("--out").arg(out);
    let start = Instant::now();
    let output = system::run(&mut command)?;
    let time = start.elapsed();
    Ok(Run { time, memory: peak_memory(&output)? })
}
