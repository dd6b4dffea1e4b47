//! `cargo xtask release`, as a program of its own, so that nobody who only builds compiles it.

use std::env;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let result = match words.as_slice() {
        [word, host] if word == release::COMPILE => release::compile_here(host),
        _ => release::run(&release::Args::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
