//! `cargo xtask extract`: the first half of the pipeline alone, from packages to verified files in a folder.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use indicatif::HumanBytes;

use crate::commands::fetch_args::FetchArgs;
use crate::extract::{self, ExtractRequest};
use crate::output::say;
use crate::source;
use crate::system::peak_rss;
use crate::verify;
use crate::verify::package::Package;
use crate::workspace::atomic_dir;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    fetch: FetchArgs,

    /// The folder to make: absent, empty, or the result of an earlier run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let requests = args.fetch.requests()?;
    let [request] = requests.as_slice() else { bail!("extract has one --out for one --host") };
    let fetcher = args.fetch.fetcher();
    let fetched = source::download(source::resolve(request, &fetcher)?, request, &fetcher)?;
    let wanted = ExtractRequest { host: request.host, targets: &request.targets, trust: &fetched.trust };
    let scratch = args.out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let verify = |package: &Package| verify::package(package, &fetched.trust, request.host, scratch);
    let _lock = atomic_dir::lock(&args.out)?;
    let (stage, made) = extract::stage(&fetched.packages, verify, &wanted, &args.out)?;
    if args.fetch.verbose {
        stage.record.packages.iter().for_each(|package| fetcher.log_verified(&package.to_string()));
    }
    let size = stage.record.emulators.iter().map(|emulator| emulator.size).sum();
    say!(
        "emulators: {}, {}, {} in {:.2} s, peak memory {} bytes",
        stage.record.emulators.len(),
        HumanBytes(size),
        if made { "verified and extracted" } else { "unchanged" },
        start.elapsed().as_secs_f64(),
        peak_rss::peak()?
    );
    match stage.record.signers()[..] {
        [] => say!("proven by {}", fetched.trust.describe()),
        ref signers => say!("signed by {}", signers.join(", ")),
    }
    Ok(())
}
