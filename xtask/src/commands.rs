//! The command line: one module per command, each with its options and a short `run`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output;
use development::DevelopmentArgs;

mod development;
mod extract;
pub(crate) mod fetch_and_build;
pub(crate) mod fetch_args;
mod image;
mod inspect;
mod resolve;
mod update;

/// Everything that a maintainer or CI runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, about = "Build tool: packages in, a container image's root file system out")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch and verify packages, and build the image's root file system
    FetchAndBuild(fetch_and_build::Args),
    /// Fetch and verify packages, and extract the emulators into a folder
    Extract(extract::Args),
    /// Write a container image of what was built; needs no container engine
    Image(image::Args),
    /// Show the newest packages without fetching them
    Resolve(resolve::Args),
    /// Show what the newest packages would change, and write fetch.lock
    Update(update::Args),
    /// Check what was built against its SBOM, and list it
    Inspect(inspect::Args),
    /// Write the committed table of targets, or compare conf files with it
    #[command(disable_help_flag = true)]
    Codegen(DevelopmentArgs),
    /// Write a mirror in Fedora's layout from this machine's emulators, and serve it
    #[command(disable_help_flag = true)]
    Mirror(DevelopmentArgs),
    /// Measure this project beside programs with the same purpose
    #[command(disable_help_flag = true)]
    Bench(DevelopmentArgs),
    /// Prepare a release: archives of registrar, and its commits and tag
    #[command(disable_help_flag = true)]
    Release(DevelopmentArgs),
    /// Install what the tests need, then run them
    #[command(disable_help_flag = true)]
    Test(DevelopmentArgs),
}

pub fn main() -> ExitCode {
    match Cli::parse().command.run().and_then(|()| output::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Command {
    fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::FetchAndBuild(args) => fetch_and_build::run(args),
            Self::Extract(args) => extract::run(args),
            Self::Image(args) => image::run(args),
            Self::Resolve(args) => resolve::run(args),
            Self::Update(args) => update::run(args),
            Self::Inspect(args) => inspect::run(args),
            Self::Codegen(_) => development::run("committed-table"),
            Self::Mirror(_) => development::run("fedora-mirror"),
            Self::Bench(_) => development::run("bench"),
            Self::Release(_) => development::run("release"),
            Self::Test(_) => development::run("test-groups"),
        }
    }
}
