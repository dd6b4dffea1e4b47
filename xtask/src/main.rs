//! `cargo xtask`: everything that a maintainer or CI runs. Only dispatch; the work is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match xtask::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
