//! `cargo xtask mirror`. Only dispatch; the work is in the library.

use std::process::ExitCode;

use clap::Parser;
use xtask::output;

/// Make a Fedora-shaped mirror of this machine's own emulators, and serve it
#[derive(Debug, Parser)]
#[command(name = "cargo xtask mirror", bin_name = "cargo xtask mirror", version)]
struct Cli {
    #[command(flatten)]
    args: fedora_mirror::MirrorArgs,
}

fn main() -> ExitCode {
    match fedora_mirror::run(&Cli::parse().args).and_then(|()| output::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
