//! `cargo xtask test`. Only dispatch; the work is in the library.

use std::process::ExitCode;

use clap::Parser;
use xtask::output;

/// Install what the tests need, then run them
#[derive(Debug, Parser)]
#[command(name = "cargo xtask test", bin_name = "cargo xtask test")]
struct Cli {
    #[command(flatten)]
    args: test_groups::TestArgs,
}

fn main() -> ExitCode {
    match test_groups::run(&Cli::parse().args).and_then(|()| output::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
