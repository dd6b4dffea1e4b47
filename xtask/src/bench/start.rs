//! A container that registers all handlers, beside one that does nothing. The comparison is a program of its own
//! (`tests/bench/start.rs`), which knows the engines; the image is made of what was built.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::compile;
use crate::system::{self, Tool};
use crate::tables::target_dir;

/// Engines that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    Podman,
    Docker,
}

/// Runs the comparison with the emulators in `dist`.
pub(super) fn run(dist: &Path, engine: Engine, runs: usize) -> Result<()> {
    let (name, tool, format) = match engine {
        Engine::Podman => ("podman", Tool::PODMAN, "oci"),
        Engine::Docker => ("docker", Tool::DOCKER, "docker"),
    };
    system::require(&[tool, Tool::RUNC, Tool::MUSL_GCC])?;
    let scratch = tempfile::tempdir_in(target_dir()).context("making a folder for the image")?;
    let image = scratch.path().join("image.tar");
    let mut make = Command::new(std::env::current_exe().context("finding this program")?);
    make.args(["image", "--name", "localhost/bench-start", "--format", format, "--dist"]).arg(dist);
    system::run(make.arg("--out").arg(&image))?;
    let status = compile::cargo()
        .args(["run", "--quiet", "--package", "tests", "--bin", "bench-start", "--", "--engine", name])
        .args(["--runs", &runs.to_string()])
        .arg("--image")
        .arg(&image)
        .status()
        .context("running the comparison")?;
    ensure!(status.success(), "starting containers: a limit was missed, see above");
    Ok(())
}
