//! Commands that are programs of their own, below `tests/` and in `release/`: cargo compiles them when they are called, so
//! a build does not wait for them.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::build::compile;
use crate::workspace::workspace_root;

/// The program reads its command line itself, `--help` included.
#[derive(Debug, clap::Args)]
pub(crate) struct DevelopmentArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _args: Vec<OsString>,
}

/// Compiles and executes the program of a package in the user's folder, with all that follows the command's name; of what
/// clap has parsed, a first `--` is missing.
pub(crate) fn run(package: &str) -> Result<()> {
    let mut cargo = compile::cargo();
    cargo.args(["run", "--quiet", "--locked", "--package", package, "--manifest-path"]);
    cargo.arg(workspace_root().join("Cargo.toml"));
    cargo.current_dir(env::current_dir().context("finding the current folder")?);
    let error = cargo.arg("--").args(env::args_os().skip(2)).exec();
    Err(error).with_context(|| format!("starting cargo run --package {package}"))
}
