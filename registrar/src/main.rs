//! Tells the kernel's `binfmt_misc` which QEMU emulator runs which programs.
//!
//! In the order of the data's way: [`cli`] reads the command line, [`table`] knows the handlers, [`kernel`] reads and
//! writes `binfmt_misc`, [`native`] asks what this machine runs itself, [`plan`] says what must change, [`apply`]
//! carries it out, [`report`] tells. [`commands`] ties them together; [`status`] only looks.

mod apply;
mod cli;
mod commands;
mod kernel;
mod native;
mod plan;
mod report;
mod status;
mod table;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;

/// Takes memory from the kernel once; musl's own allocator asks a dozen times in a run this short.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let told = match cli::parse(env::args_os()) {
        Ok(command) => commands::run(&command),
        Err(error) => report::Told::failure(error.to_string()),
    };
    // One write each; a reader that went away is no failure of what was done.
    let _ = io::stdout().write_all(told.out.as_bytes());
    let _ = io::stderr().write_all(told.err.as_bytes());
    if told.err.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
