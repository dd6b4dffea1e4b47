//! Build tool: packages in, a container image's root file system out.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use development::DevelopmentArgs;

pub mod compile;
mod decompress;
mod development;
pub mod digest;
pub mod download;
pub mod extract;
pub mod extract_command;
pub mod fetch_and_build;
pub mod fetch_args;
pub mod forget;
pub mod host;
pub mod image;
pub mod inspect;
pub mod key_package;
pub mod lock;
pub mod memory;
pub mod output;
pub mod package;
pub mod parallel;
pub mod partial;
pub mod progress;
pub mod repo;
pub mod resolve_command;
pub mod rootfs;
pub mod rpm_layout;
pub mod sbom;
pub mod source;
pub mod summary;
pub mod svg;
pub mod system;
pub mod tables;
pub mod test;
pub mod unchanged;
pub mod update;
pub mod verify;

/// Everything that a maintainer or CI runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch packages, prove them, and make the image's root file system
    FetchAndBuild(fetch_and_build::Args),
    /// Fetch packages, prove them, and extract the emulators into a folder
    Extract(extract_command::Args),
    /// Make a container image of what was built, without an engine
    Image(image::Args),
    /// Show which packages are the newest; fetch none
    Resolve(resolve_command::Args),
    /// Show what the newest packages would change, and write fetch.lock
    Update(update::UpdateArgs),
    /// Check what was built against its bill of materials, and print what is in it
    Inspect(inspect::Args),
    /// Write the committed table from what the source knows of the targets, or hold conf files against those
    Codegen(tables::CodegenArgs),
    /// Make a Fedora-shaped mirror of this machine's own emulators, and serve it
    #[command(disable_help_flag = true)]
    Mirror(DevelopmentArgs),
    /// Measure this project beside what does the same
    #[command(disable_help_flag = true)]
    Bench(DevelopmentArgs),
    /// Prepare a release: archives of registrar, and its commits and tag
    #[command(disable_help_flag = true)]
    Release(DevelopmentArgs),
    /// Put in place what the tests need, then run them
    Test(test::TestArgs),
}

/// The program.
pub fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    /// Does what the command line asks for.
    fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::FetchAndBuild(args) => fetch_and_build::run(&args),
            Command::Extract(args) => extract_command::run(&args),
            Command::Image(args) => image::run(&args),
            Command::Resolve(args) => resolve_command::run(&args),
            Command::Update(args) => update::update(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Codegen(args) => tables::codegen(&args),
            Command::Mirror(args) => development::run("fedora-mirror", &args),
            Command::Bench(args) => development::run("bench", &args),
            Command::Release(args) => development::run("release", &args),
            Command::Test(args) => test::run(&args),
        }?;
        output::finish()
    }
}
