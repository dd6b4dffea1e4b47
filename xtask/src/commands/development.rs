//! Commands that are programs of their own, below `tests/`: compiled when they are asked for, so that whoever only builds
//! does not wait for them.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::build::compile;

/// A command line that the program reads itself, `--help` included.
#[derive(Debug, clap::Args)]
pub(crate) struct DevelopmentArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    args: Vec<OsString>,
}

/// Compiles and runs the program of a package, in the user's folder; it takes this process over, so its exit code is ours.
pub(crate) fn run(package: &str, args: &DevelopmentArgs) -> Result<()> {
    let mut cargo = compile::cargo();
    cargo.args(["run", "--quiet", "--locked", "--package", package, "--manifest-path"]);
    cargo.arg(crate::workspace::workspace_root().join("Cargo.toml"));
    cargo.current_dir(std::env::current_dir().context("finding the current folder")?);
    let error = cargo.arg("--").args(&args.args).exec();
    Err(error).with_context(|| format!("starting cargo run --package {package}"))
}
