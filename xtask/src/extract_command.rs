//! `cargo xtask extract`: the first half of the pipeline alone, from packages to verified files in a folder.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use indicatif::HumanBytes;

use crate::extract::{self, Wanted};
use crate::fetch_args::FetchArgs;
use crate::output::say;
use crate::{memory, partial, source};

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
    let requests = args.fetch.requests()?;
    let [request] = requests.as_slice() else { bail!("extract has one --out for one --host") };
    let fetched = source::fetch(request, &args.fetch.fetcher())?;
    let wanted = Wanted { host: request.host, targets: &request.targets, trust: &fetched.trust };
    let _lock = partial::lock(&args.out)?;
    let (stage, made) = extract::stage(&fetched.packages, &wanted, &args.out)?;
    if args.fetch.verbose {
        stage.record.packages.iter().for_each(|proof| eprintln!("proven: {proof}"));
    }
    let size = stage.record.emulators.iter().map(|emulator| emulator.size).sum();
    say!(
        "emulators: {}, {}, {} in {:.2} s, peak memory {} bytes",
        stage.record.emulators.len(),
        HumanBytes(size),
        if made { "verified and extracted" } else { "unchanged" },
        start.elapsed().as_secs_f64(),
        memory::peak()?
    );
    match stage.record.signers()[..] {
        [] => say!("proven by {}", fetched.trust.describe()),
        ref signers => say!("signed by {}", signers.join(", ")),
    }
    Ok(())
}
