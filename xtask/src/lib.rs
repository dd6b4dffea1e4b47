//! Build tool: packages in, a container image's root file system out.

use clap::{Parser, Subcommand};

pub mod mirror;
pub mod system;
pub mod tables;
pub mod test;

/// Everything that a maintainer or CI runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the committed table from what the source knows of the targets
    Codegen(tables::CodegenArgs),
    /// Make a Fedora-shaped mirror of this machine's own emulators, and serve it
    Mirror(mirror::MirrorArgs),
    /// Put in place what the tests need, then run them all
    Test(test::TestArgs),
}

impl Cli {
    /// Does what the command line asks for.
    ///
    /// # Errors
    /// The first failure, with what was being done.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Codegen(args) => tables::codegen(&args),
            Command::Mirror(args) => mirror::run(&args),
            Command::Test(args) => test::run(&args),
        }
    }
}
