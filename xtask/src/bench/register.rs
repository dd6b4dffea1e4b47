//! Registering all handlers, beside a bare static program that writes the same lines, and beside what else registers them.
//! The comparison is a program of its own (`tests/bench/register.rs`): it needs a user namespace.

use anyhow::{Context, Result, ensure};

use crate::compile;
use crate::host::Host;
use crate::system::{self, Tool};

/// Runs the comparison.
pub(super) fn run(runs: usize) -> Result<()> {
    system::require(&[Tool::MUSL_GCC, Tool::STRACE, Tool::EMULATORS])?;
    let registrar = compile::registrar(Host::named(None)?, None, false)?;
    let status = compile::cargo()
        .args(["run", "--quiet", "--package", "tests", "--bin", "bench-register", "--", "--registrar"])
        .arg(registrar)
        .args(["--runs", &runs.to_string()])
        .status()
        .context("running the comparison")?;
    ensure!(status.success(), "registering: a limit was missed, see above");
    Ok(())
}
