//! Many nodes on this machine, each with a resident that looks after its handlers. The measurement is a program of its own
//! (`tests/bench/fleet.rs`): its nodes are user namespaces.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::compile;
use crate::host::Host;
use crate::system::{self, Tool};

/// Runs the measurement; draws it to a file, if one is named.
pub(super) fn run(nodes: usize, rest: u64, svg: Option<&Path>) -> Result<()> {
    system::require(&[Tool::EMULATORS])?;
    let registrar = compile::registrar(Host::named(None)?, None, false)?;
    let mut command = compile::cargo();
    command.args(["run", "--quiet", "--package", "tests", "--bin", "bench-fleet", "--", "--registrar"]).arg(registrar);
    command.args(["--nodes", &nodes.to_string(), "--rest", &rest.to_string()]);
    if let Some(svg) = svg {
        // Cargo runs it in the workspace.
        command.arg("--svg").arg(std::path::absolute(svg).context("finding where to draw")?);
    }
    let status = command.status().context("running the measurement")?;
    ensure!(status.success(), "the fleet: a limit was missed, see above");
    Ok(())
}
