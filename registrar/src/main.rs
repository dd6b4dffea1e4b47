//! Tells the kernel's `binfmt_misc` which QEMU emulator runs which programs.
//!
//! In the order of the data's way: [`cli`] reads the command line, [`table`] knows the handlers, [`kernel`] reads and
//! writes `binfmt_misc`, [`native`] asks what this machine runs itself, [`plan`] says what must change, [`apply`]
//! carries it out, [`report`] puts it into words, [`told`] into the form for the two outputs. [`commands`] ties them
//! together; [`status`] only looks; [`verify`] runs test programs, and knows emulators' files from [`elf`].

mod apply;
mod cli;
mod columns;
mod commands;
mod elf;
mod json;
mod kernel;
mod memory;
mod native;
mod plan;
mod report;
mod status;
mod table;
mod told;
mod verify;

use std::env;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;

use told::Told;

/// Takes memory from the kernel once; musl's own allocator asks a dozen times in a run this short.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    // Before anything else is read: this may be a process of ours that only runs programs.
    if let Some(code) = verify::is_meant(env::args_os()) {
        return code;
    }
    let mut told = match cli::parse(env::args_os()) {
        Ok(command) => commands::run(&command),
        Err(error) => Told::failure(&error.to_string()),
    };
    // One write each.
    let mut out = io::stdout();
    match out.write_all(told.out.as_bytes()).and_then(|()| out.flush()) {
        // A reader that went away wanted no more.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            told = told.and_failure(&format!("writing standard output: {}", kernel::plain(kernel::errno(&error))));
        }
        _ => {}
    }
    // Where this cannot be written there is nobody left to tell but the exit status.
    let _ = io::stderr().write_all(told.err.as_bytes());
    if told.is_failure { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
