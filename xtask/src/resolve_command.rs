//! `cargo xtask resolve`: which packages are the newest; fetches none.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use crate::download::{Fetcher, Location};
use crate::extract_command::peak_memory;
use crate::host::Host;
use crate::repo::{closure, primary, repomd};
use crate::tables::target_dir;

/// Options of `cargo xtask resolve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of an RPM repository
    #[arg(long, value_name = "DIR")]
    source: PathBuf,

    /// The machine that the image runs on [default: this one's architecture]
    #[arg(long, value_name = "ARCH")]
    host: Option<String>,

    /// Take unsigned packages of a folder or URL on the word of its digests
    #[arg(long)]
    no_signature: bool,

    /// Say more
    #[arg(short, long)]
    verbose: bool,
}

/// Reads the metadata and shows what is chosen.
///
/// # Errors
/// If they cannot be read, or lack a package.
pub fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let host = Host::named(args.host.as_deref())?;
    let fetcher = Fetcher::new(target_dir().join("fetch/cache"), false);
    let location = Location::Folder(args.source.clone());
    let list = repomd::primary(&fetcher.metadata(&location, "repodata/repomd.xml")?)?;
    let path = fetcher.file(&location, &list.href, &list.promise, &ProgressBar::hidden())?;
    let file = std::fs::File::open(&path).with_context(|| format!("reading {}", path.display()))?;
    let entries = primary::packages(file, list.open_size, closure::ROOT)?;
    for entry in closure::select(entries, host.name)? {
        println!("{}-{}.{}", entry.name, entry.evr(), entry.arch);
    }
    if args.verbose {
        println!("resolved in {:.3} s, peak memory {} bytes", start.elapsed().as_secs_f64(), peak_memory()?);
    }
    Ok(())
}
