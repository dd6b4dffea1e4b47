//! `cargo xtask resolve`: which packages are the newest; fetches none.

use std::time::Instant;

use anyhow::{Result, ensure};
use indicatif::HumanBytes;

use crate::commands::fetch_args::FetchArgs;
use crate::output::say;
use crate::source;
use crate::system::peak_rss;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &Args) -> Result<()> {
    for request in args.fetch.requests()? {
        let start = Instant::now();
        let plan = source::plan(&request, &args.fetch.fetcher())?;
        let wanted: Vec<_> = plan.packages.iter().filter(|chosen| chosen.is_wanted(&request.targets)).collect();
        for target in &request.targets {
            let is_held = wanted.iter().any(|chosen| chosen.targets.contains(target));
            ensure!(is_held, "no package of {} holds an emulator for {target}", plan.origin);
        }
        for chosen in &wanted {
            say!("{:60} {:>10}  {}", chosen.nevra, HumanBytes(chosen.expected.size), chosen.targets.join(" "));
        }
        let size = wanted.iter().map(|chosen| chosen.expected.size).fold(0, u64::saturating_add);
        say!("{}: {} packages of {}, {}", request.host.name, wanted.len(), plan.origin, HumanBytes(size));
        if args.fetch.verbose {
            let seconds = start.elapsed().as_secs_f64();
            say!("resolved in {seconds:.2} s, peak memory {} bytes", peak_rss::peak()?);
        }
    }
    Ok(())
}
