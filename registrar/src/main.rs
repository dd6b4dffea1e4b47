//! Tells the kernel's `binfmt_misc` which QEMU emulator runs which programs.
//!
//! In the order of the data's way: [`dialects`] and [`cli`] read the command line, [`table`] knows the handlers,
//! [`kernel`] reads and writes `binfmt_misc`, [`native`] asks what this machine runs itself, [`plan`] says what must
//! change, of the kinds of programs in [`beginning`], [`guard`], [`held`] and [`elf`] whether it may and need, [`apply`]
//! carries it out, [`report`] puts it into words, [`told`] into the form for the two outputs. [`host`] brings emulators to
//! the host, [`persist`] has it register them by itself. [`commands`] ties all together; [`stay`] and [`run`] are long
//! ones, [`status`] only looks, [`verify`] runs test programs, [`doctor`] goes along the whole chain.

mod apply;
mod beginning;
mod cli;
mod columns;
mod commands;
mod dialects;
mod doctor;
mod elf;
mod flags;
mod guard;
mod held;
mod host;
mod json;
mod kernel;
mod memory;
mod native;
mod persist;
mod plan;
mod report;
mod run;
mod status;
mod stay;
mod table;
mod told;
mod verify;

use std::env;
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
    let told = match dialects::parse(env::args_os().collect(), &|name| env::var_os(name)) {
        Ok(command) => commands::run(&command),
        Err(error) => Told::failure(&error.to_string()).with_code(error.code()),
    };
    ExitCode::from(told.print())
}
