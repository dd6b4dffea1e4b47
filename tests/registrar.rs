//! The `registrar` that is tested: built as it is shipped.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Builds it once more, which cargo does only if something changed, and says where it is.
///
/// # Errors
/// The compiler's text, or what to type if its target is missing.
pub fn build() -> Result<PathBuf, String> {
    let triple = format!("{}-unknown-linux-musl", env::consts::ARCH);
    let target = target_dir()?;
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--quiet", "--package", "registrar", "--profile", "dist", "--target", &triple, "--target-dir"])
        .arg(&target)
        .env_remove("REGISTRAR_TABLE")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("running cargo: {error}"))?;
    if output.status.success() {
        return Ok(target.join(triple).join("dist/registrar"));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("can't find crate for") {
        return Err(format!("no standard library for {triple}; install it: rustup target add {triple}"));
    }
    Err(format!("building registrar: {text}"))
}

/// Cargo's target folder, which the running program is in: `target/debug/deps/kernel-…` or `target/debug/bench-…`.
fn target_dir() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|error| format!("finding the running program: {error}"))?;
    let is_target = |folder: &&std::path::Path| folder.join("CACHEDIR.TAG").exists();
    match program.ancestors().find(is_target) {
        Some(target) => Ok(target.into()),
        None => Err(format!("{}: not in a target folder of cargo", program.display())),
    }
}
