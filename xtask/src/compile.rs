//! `registrar` with a table compiled in: a static executable for a host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::host::Host;
use crate::tables::{target_dir, workspace_root};

/// Compiles `registrar` with the table in `table` (the committed one if there is none) and says where it is. Cargo
/// does nothing when nothing has changed.
///
/// # Errors
/// If the Rust target cannot be had, or compilation fails.
pub fn registrar(host: Host, table: Option<&Path>, offline: bool) -> Result<PathBuf> {
    let target = rust_target(host)?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root()).args(["build", "--quiet", "--locked", "--package", "registrar"]);
    command.args(["--profile", "dist", "--target", target]).arg("--target-dir").arg(target_dir());
    if offline {
        command.arg("--offline");
    }
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec![remap(workspace_root(), "/registrar"), remap(&cargo_home(), "/cargo")];
    if target.ends_with("-gnu") {
        flags.extend(["-Ctarget-feature=+crt-static".into(), "-Crelocation-model=static".into()]);
    }
    // Joined by cargo to the flags of .cargo/config.toml; without them, the binary would hold this machine's paths.
    command.arg("--config").arg(format!("target.{target}.rustflags={flags:?}"));
    let linker = format!("CARGO_TARGET_{}_LINKER", target.to_ascii_uppercase().replace('-', "_"));
    if !host.is_this_machine() && env::var_os(&linker).is_none() {
        command.env(&linker, format!("{}-gcc", host.gnu));
    }
    match table {
        Some(table) => command.env("REGISTRAR_TABLE", table),
        None => command.env_remove("REGISTRAR_TABLE"),
    };
    // Inherited from `cargo xtask` itself, and wrong for another build.
    command.env_remove("CARGO_MANIFEST_DIR");
    let status = command.status().context("running cargo")?;
    if !status.success() {
        bail!("compiling registrar for {target}: cargo failed, see above");
    }
    Ok(target_dir().join(target).join("dist/registrar"))
}

/// Fetches what a later build with `--offline` needs.
///
/// # Errors
/// If cargo cannot.
pub fn fetch_dependencies(offline: bool) -> Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root()).args(["fetch", "--quiet", "--locked"]);
    if offline {
        command.arg("--offline");
    }
    if !command.status().context("running cargo")?.success() {
        bail!("fetching dependencies: cargo failed, see above");
    }
    Ok(())
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> PathBuf {
    let default = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(default, PathBuf::from)
}

/// Puts the standard library for a host's programs in place.
///
/// # Errors
/// If it is missing and cannot be had.
pub fn prepare(host: Host) -> Result<()> {
    rust_target(host).map(drop)
}

/// The Rust target to compile for: the host's, if it is installed or can be; else its substitute.
fn rust_target(host: Host) -> Result<&'static str> {
    if is_installed(host.rust_target)? {
        return Ok(host.rust_target);
    }
    let rustup =
        Command::new("rustup").current_dir(workspace_root()).args(["target", "add", host.rust_target]).output();
    if rustup.is_ok_and(|output| output.status.success()) {
        return Ok(host.rust_target);
    }
    match host.fallback {
        Some(fallback) if is_installed(fallback)? => {
            eprintln!(
                "warning: Rust's target {} cannot be had; using {fallback}, whose programs start more slowly",
                host.rust_target
            );
            Ok(fallback)
        }
        _ => bail!("Rust's target {} is not installed; run `rustup target add {0}`", host.rust_target),
    }
}

/// Whether Rust's standard library is there for a target.
fn is_installed(target: &str) -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .current_dir(workspace_root())
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .context("running rustc")?;
    let libdir = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && fs::read_dir(libdir.trim()).is_ok_and(|mut entries| entries.next().is_some()))
}
