//! `cargo xtask resolve`: which packages are the newest; fetches none.

use std::time::Instant;

use anyhow::{Result, ensure};
use indicatif::HumanBytes;

use crate::fetch_args::FetchArgs;
use crate::output::say;
use crate::{memory, source};

/// Options of `cargo xtask resolve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    fetch: FetchArgs,
}

/// Shows which packages would be fetched.
///
/// # Errors
/// If the metadata cannot be had, or do not hold what is wanted.
pub fn run(args: &Args) -> Result<()> {
    for request in args.fetch.requests()? {
        let start = Instant::now();
        let plan = source::plan(&request, &args.fetch.fetcher())?;
        let wanted: Vec<_> = plan.chosen.iter().filter(|chosen| chosen.is_wanted(&request.targets)).collect();
        for target in &request.targets {
            let is_held = wanted.iter().any(|chosen| chosen.targets.contains(target));
            ensure!(is_held, "no package of {} holds an emulator for {target}", plan.origin);
        }
        for chosen in &wanted {
            say!("{:60} {:>10}  {}", chosen.nevra, HumanBytes(chosen.promise.size), chosen.targets.join(" "));
        }
        let size = wanted.iter().map(|chosen| chosen.promise.size).fold(0, u64::saturating_add);
        say!("{}: {} packages of {}, {}", request.host.name, wanted.len(), plan.origin, HumanBytes(size));
        if args.fetch.verbose {
            let seconds = start.elapsed().as_secs_f64();
            say!("resolved in {seconds:.2} s, peak memory {} bytes", memory::peak()?);
        }
    }
    Ok(())
}
