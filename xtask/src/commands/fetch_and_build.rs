//! `cargo xtask fetch-and-build`: runs the pipeline for each host.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::fetch_args::FetchArgs;
use crate::image::{self, Engine};
use crate::pipeline::{self, Options};
use crate::workspace::workspace_root;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    fetch: FetchArgs,

    /// Where the result goes: DIR/HOST/rootfs
    #[arg(long, value_name = "DIR", default_value_os_t = workspace_root().join("dist"))]
    out: PathBuf,

    /// Fail if packages bring a target that codegen does not know, or a conf that differs from the computed rule for
    /// no known reason; without it, both are warnings (for releases)
    #[arg(long)]
    strict: bool,

    /// Fetch packages and dependencies, build nothing: what follows works with --offline
    #[arg(long)]
    fetch_only: bool,

    /// Then load the image into this container engine, and print the command that runs it
    #[arg(long, value_name = "ENGINE", conflicts_with = "fetch_only")]
    load: Option<Engine>,
}

/// Builds for each host. If one fails, the results of earlier runs stay.
pub(super) fn run(args: &Args) -> Result<()> {
    let requests = args.fetch.requests()?;
    if let Some(engine) = args.load {
        ensure!(requests.len() == 1, "--load takes one host's image; name one --host");
        engine.check()?;
    }
    for request in &requests {
        let options = Options {
            fetcher: args.fetch.fetcher(),
            out: args.out.join(request.host.name),
            strict: args.strict,
            fetch_only: args.fetch_only,
        };
        pipeline::run(&options, request)?;
        if let Some(engine) = args.load {
            image::load_built(engine, &args.out, request.host, &request.targets)?;
        }
    }
    Ok(())
}
