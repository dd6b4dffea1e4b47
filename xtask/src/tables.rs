//! `cargo xtask codegen`: the committed table, from `codegen::targets` alone; and conf files held against the targets.

use crate::output::say;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use codegen::emit;
use codegen::remark::Remark;
use codegen::table::{Inputs, Table};
use codegen::witness::Conf;

/// Options of `cargo xtask codegen`.
#[derive(Debug, clap::Args)]
pub struct CodegenArgs {
    /// Change nothing; fail if the committed table is not what would be written
    #[arg(long)]
    check: bool,

    /// Write nothing; hold the *.conf files of this folder against the targets, and fail if one differs for no known reason
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    witness: Option<PathBuf>,
}

/// Writes the committed table, or checks it, or holds conf files against the targets.
///
/// # Errors
/// If the table is stale under `--check`, or cannot be made or written; if a conf differs for no known reason.
pub fn codegen(args: &CodegenArgs) -> Result<()> {
    if let Some(folder) = &args.witness {
        return check_confs(folder);
    }
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

/// Prints every difference between a folder's conf files and the targets.
fn check_confs(folder: &Path) -> Result<()> {
    let confs = confs(folder)?;
    let count = confs.len();
    let table = Table::build(Inputs { confs, ..Inputs::from_targets() })?;
    let (mut without_conf, mut known, mut faults) = (Vec::new(), 0, Vec::new());
    for remark in table.remarks {
        match &remark {
            Remark::NoConf { entry } => without_conf.push(entry.clone()),
            Remark::NoEmulator { file, entry, .. } => say!("{file}: no target has the entry {entry:?}"),
            _ => {
                say!("{remark}");
                match remark.is_warning() {
                    true => faults.push(remark),
                    false => known += 1,
                }
            }
        }
    }
    if !without_conf.is_empty() {
        say!("no conf: {}", without_conf.join(", "));
    }
    say!("{count} confs: {known} differences of a known reason, {} of none", faults.len());
    match faults.as_slice() {
        [] => Ok(()),
        [only] => bail!("{only}"),
        [first, others @ ..] => bail!("{first} (and {} more, see above)", others.len()),
    }
}

/// The conf files of a folder, sorted by name.
fn confs(folder: &Path) -> Result<Vec<Conf>> {
    let listing = || format!("listing {}", folder.display());
    let mut confs = Vec::new();
    for entry in fs::read_dir(folder).with_context(listing)? {
        let path = entry.with_context(listing)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            confs.push(Conf { file: path.display().to_string(), text });
        }
    }
    ensure!(!confs.is_empty(), "no *.conf files in {}", folder.display());
    confs.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(confs)
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
