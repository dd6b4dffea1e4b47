//! The `registrar` that is tested: built as it is shipped, with a table of the emulators that this machine has.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use codegen::emit;
use codegen::table::{Inputs, Table};
use codegen::targets;
use xtask::build::compile;
use xtask::system::host::Host;
use xtask::workspace::{target_dir, write_if_changed};

use crate::emulators::TARGETS;

/// Builds it once more, which cargo does only if something changed, and says where it is.
///
/// # Errors
/// What stood in the way, with what to type.
pub fn build() -> Result<PathBuf, String> {
    let build = || compile::registrar(Host::named(None)?, table()?.as_deref(), false);
    build().map_err(|error| format!("{error:#}"))
}

/// The table, unless it is the committed one, which has all targets.
fn table() -> anyhow::Result<Option<PathBuf>> {
    if TARGETS.len() == targets::TARGETS.len() {
        return Ok(None);
    }
    let mut inputs = Inputs::from_targets();
    inputs.emulators.retain(|emulator| TARGETS.iter().any(|target| target.qemu == emulator.target));
    let text = emit::table(&Table::build(inputs)?)?;
    let folder = target_dir().join("tested");
    fs::create_dir_all(&folder).context("making a folder for the table")?;
    let path = folder.join("table.rs");
    write_if_changed(&path, &text)?;
    Ok(Some(path))
}
