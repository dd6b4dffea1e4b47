//! `cargo xtask bench`: this project beside what does the same, in one run, against the limits it has set itself.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use repository::Compression;
use start::EngineName;
use tests::statistics;
use xtask::build::compile;
use xtask::output;
use xtask::system;
use xtask::workspace;

mod curves;
mod extract;
mod family;
mod fleet;
mod image;
mod others;
mod primary;
mod pull;
mod register;
mod repository;
mod resolve;
mod start;
mod svg;

/// In bytes, as a number to divide by.
const MEGABYTE: f64 = (1 << 20) as f64;

/// Measure this project beside what does the same
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Verifying and extracting all packages, beside bsdtar, which verifies nothing
    Extract {
        /// A mirror made by `cargo xtask mirror`; made if it is not there
        #[arg(long, value_name = "DIR", default_value_os_t = workspace::workspace_root().join("mirror"))]
        mirror: PathBuf,
        /// How many pairs of runs
        #[arg(long, default_value_t = 15)]
        runs: usize,
    },
    /// Many nodes, each with a resident that looks after its handlers: what they need, and how fast they heal
    Fleet {
        /// How many nodes
        #[arg(long, default_value_t = 200)]
        nodes: usize,
        /// For how many seconds they are watched while nothing happens
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        rest: u64,
        /// Draw how fast they heal, to this file
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// The size of the image as it is released, and how long it takes to make
    Image {
        /// Where fetch-and-build has put what goes in
        #[arg(long, value_name = "DIR", default_value_os_t = workspace::workspace_root().join("dist"))]
        dist: PathBuf,
    },
    /// From the pull of an image to a registered arm64: the whole one, that of the common targets, and both in gzip
    Pull {
        /// Where fetch-and-build has put all emulators
        #[arg(long, value_name = "DIR", default_value_os_t = workspace::workspace_root().join("dist"))]
        dist: PathBuf,
        /// Where `fetch-and-build --target common --out DIR` has put the others
        #[arg(long, value_name = "DIR", default_value_os_t = workspace::workspace_root().join("dist/common"))]
        common: PathBuf,
        /// How many times each image is pulled
        #[arg(long, default_value_t = 11)]
        runs: usize,
    },
    /// Registering all handlers, beside a bare static program that writes the same lines, and what else registers them
    Register {
        /// How many pairs of runs
        #[arg(long, default_value_t = 1000)]
        runs: usize,
        /// An older registrar, measured beside
        #[arg(long, value_name = "PROGRAM")]
        old: Option<PathBuf>,
    },
    /// Choosing the packages of a repository like Fedora's, beside dnf
    Resolve {
        /// How many packages the repository lists
        #[arg(long, default_value_t = 70_000)]
        packages: usize,
        /// How many pairs of runs for each compression
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Compressions of the list
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Compression::Zst, Compression::Gz])]
        compression: Vec<Compression>,
    },
    /// A container that registers all handlers, beside one that does nothing; registers on this machine
    Start {
        /// Where fetch-and-build has put what goes into the image
        #[arg(long, value_name = "DIR", default_value_os_t = workspace::workspace_root().join("dist"))]
        dist: PathBuf,
        /// What starts the containers
        #[arg(long, value_enum, default_value_t = EngineName::Podman)]
        engine: EngineName,
        /// How many pairs of runs in each series
        #[arg(long, default_value_t = 100)]
        runs: usize,
    },
}

fn main() -> ExitCode {
    // This program once more, as a node of the fleet. Before anything else, with a single thread.
    if let Some(error) = tests::fleet::become_node() {
        eprintln!("error: a node: {error}");
        return ExitCode::FAILURE;
    }
    match run(&Cli::parse()).and_then(|()| output::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a comparison. Fails if a limit is missed.
fn run(cli: &Cli) -> Result<()> {
    match &cli.what {
        What::Extract { mirror, runs } => extract::run(mirror, *runs),
        What::Fleet { nodes, rest, svg } => fleet::run(*nodes, *rest, svg.as_deref()),
        What::Image { dist } => image::run(dist),
        What::Pull { dist, common, runs } => pull::run(dist, common, *runs),
        What::Register { runs, old } => register::run(*runs, old.as_deref()),
        What::Resolve { packages, runs, compression } => resolve::run(*packages, *runs, compression),
        What::Start { dist, engine, runs } => start::run(dist, *engine, *runs),
    }
}

/// The build tool itself, as `cargo xtask` runs it: brought up to date, which takes cargo a moment, and then started
/// without cargo.
fn xtask() -> Result<Command> {
    system::run(compile::cargo().args(["build", "--quiet", "--locked", "--package", "xtask"]))?;
    Ok(Command::new(workspace::target_dir().join("debug/xtask")))
}

/// What one run took.
struct Run {
    time: Duration,
    /// In bytes; 0 where nobody asks.
    memory: u64,
}

/// The median time, in seconds.
fn median(runs: &[Run]) -> f64 {
    statistics::median(&runs.iter().map(|run| run.time.as_secs_f64()).collect::<Vec<_>>())
}

/// The peak memory that a command of ours tells, in bytes.
fn peak_memory(output: &Output) -> Result<u64> {
    let text = String::from_utf8_lossy(&output.stdout);
    let memory = text.rsplit_once("peak memory ").and_then(|(_, rest)| rest.split_once(" bytes")?.0.parse().ok());
    memory.with_context(|| format!("no peak memory in {text:?}"))
}
