//! `cargo xtask codegen`: the committed table, from `codegen::targets` alone.

use crate::output::say;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use codegen::emit;
use codegen::table::{Inputs, Table};

/// Options of `cargo xtask codegen`.
#[derive(Debug, clap::Args)]
pub struct CodegenArgs {
    /// Change nothing; fail if the committed table is not what would be written
    #[arg(long)]
    check: bool,
}

/// Writes the committed table, or checks it.
///
/// # Errors
/// If the table is stale under `--check`, or cannot be made or written.
pub fn codegen(args: &CodegenArgs) -> Result<()> {
    let path = workspace_root().join("registrar/src/table/generated.rs");
    let text = committed_table()?;
    let fresh = fs::read_to_string(&path).is_ok_and(|current| current == text);
    match (fresh, args.check) {
        (true, _) => say!("{} is fresh", path.display()),
        (false, true) => bail!("{} is not what codegen/src makes; run `cargo xtask codegen`", path.display()),
        (false, false) => {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            say!("wrote {}", path.display());
        }
    }
    Ok(())
}

/// Text of the committed table.
///
/// # Errors
/// If `codegen::targets` contradicts itself.
pub fn committed_table() -> Result<String> {
    let table = Table::build(Inputs::from_targets()).context("making the table of all targets")?;
    emit::table(&table).context("writing the table of all targets as Rust")
}

/// Writes a generated file only if its text changes, so that nothing that depends on it is made again for nothing.
///
/// # Errors
/// If it cannot be written.
pub fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|current| current == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// The folder of the workspace's `Cargo.toml`.
pub fn workspace_root() -> &'static Path {
    /// The parent of this crate's folder, as cargo tells the program that it runs. It also told when it compiled it, but
    /// that may be another checkout: this one's former place, or one with the same target folder.
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let is_ours = std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == env!("CARGO_PKG_NAME"));
        let running = std::env::var_os("CARGO_MANIFEST_DIR").filter(|_| is_ours);
        let folder = running.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        folder.parent().unwrap_or(Path::new(".")).to_owned()
    });
    &ROOT
}

/// Where everything made by a build is kept: cargo's target folder.
pub fn target_dir() -> PathBuf {
    /// Found once: what is relative is so to the folder that cargo was started in, as it is for cargo.
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| target_folder(std::env::var_os("CARGO_TARGET_DIR")));
    FOLDER.clone()
}

fn target_folder(named: Option<OsString>) -> PathBuf {
    let folder = named.map_or_else(|| workspace_root().join("target"), PathBuf::from);
    std::path::absolute(&folder).unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::{committed_table, target_folder, workspace_root};

    #[test]
    fn the_target_folder_is_absolute() {
        let here = std::env::current_dir().expect("the current folder");
        assert_eq!(target_folder(Some("elsewhere".into())), here.join("elsewhere"));
        assert_eq!(target_folder(Some("/elsewhere".into())), std::path::Path::new("/elsewhere"));
        assert_eq!(target_folder(None), workspace_root().join("target"));
    }

    #[test]
    fn the_committed_table_is_fresh() {
        let path = workspace_root().join("registrar/src/table/generated.rs");
        let committed = std::fs::read_to_string(path).expect("the committed table");
        assert!(committed == committed_table().expect("a table"), "stale; run `cargo xtask codegen`");
    }
}
