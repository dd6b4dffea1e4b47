//! `cargo xtask extract`: the first half of the pipeline alone, from packages to verified files in a folder.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use indicatif::HumanBytes;

use crate::extract::{self, Wanted};
use crate::fetch_and_build::FetchArgs;
use crate::partial;

/// Options of `cargo xtask extract`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    fetch: FetchArgs,

    /// The folder to make: absent, empty, or the result of an earlier run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Fetches, verifies, extracts.
///
/// # Errors
/// The first step that fails; the folder is then as it was.
pub fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let request = args.fetch.request()?;
    let fetched = args.fetch.fetch(&request)?;
    let wanted = Wanted { host: request.host, targets: &request.targets, trust: &fetched.trust };
    let _lock = partial::lock(&args.out)?;
    let (stage, made) = extract::stage(&fetched.packages, &wanted, &args.out)?;
    let size = stage.record.emulators.iter().map(|emulator| emulator.size).sum();
    println!(
        "emulators: {}, {}, {} in {:.2} s, peak memory {} bytes",
        stage.record.emulators.len(),
        HumanBytes(size),
        if made { "verified and extracted" } else { "unchanged" },
        start.elapsed().as_secs_f64(),
        peak_memory()?
    );
    match stage.record.signers()[..] {
        [] => println!("proven by {}", fetched.trust.describe()),
        ref signers => println!("signed by {}", signers.join(", ")),
    }
    Ok(())
}

/// The largest resident size of this process so far, in bytes.
pub(crate) fn peak_memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("reading VmHWM")?;
    Ok(kilobytes * 1024)
}
