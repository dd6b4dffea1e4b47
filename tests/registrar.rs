//! The `registrar` that is tested: built as it is shipped, with the committed table.

use std::path::PathBuf;

use xtask::compile;
use xtask::host::Host;

/// Builds it once more, which cargo does only if something changed, and says where it is.
///
/// # Errors
/// What stood in the way, with what to type.
pub fn build() -> Result<PathBuf, String> {
    let build = || compile::registrar(Host::named(None)?, None, false);
    build().map_err(|error| format!("{error:#}"))
}
