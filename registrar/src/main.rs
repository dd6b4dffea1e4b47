//! Tells the kernel's `binfmt_misc` which QEMU emulator runs which programs.
//!
//! Modules from the ground up, each of which imports only those before it: [`sys`], [`security`] and [`output`]; [`request`], what can be
//! asked; [`arch`], [`flags`] and [`table`], what can be registered; [`elf`] and [`native`], what programs and this machine are; [`binfmt_misc`], the
//! kernel's interface; [`plan`] and [`apply`], what must change and the change; [`emulators`] and [`persist`], files on the
//! host; [`verify`], which runs test programs; [`cli`] and [`compat`], command lines; [`commands`], which ties all together.

mod apply;
mod arch;
mod binfmt_misc;
mod cli;
mod commands;
mod compat;
mod elf;
mod emulators;
mod flags;
mod native;
mod output;
mod persist;
mod plan;
mod request;
mod security;
mod sys;
mod table;
mod verify;

use std::env;
use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;

use output::Output;

/// Takes memory from the kernel once; musl's own allocator asks a dozen times in a run this short.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    // Before anything else is read: this may be a process that another of ours has started for one task.
    let helper = || binfmt_misc::run_if_helper(env::args_os()).or_else(|| commands::run_if_mapper(env::args_os()));
    if let Some(code) = verify::run_if_worker(env::args_os()).or_else(helper) {
        return code;
    }
    let output = match compat::parse(env::args_os().collect(), &|name| env::var_os(name)) {
        Ok(command) => commands::run(&command),
        Err(error) => Output::failure(&error.to_string()).with_code(error.code),
    };
    ExitCode::from(output.print())
}
