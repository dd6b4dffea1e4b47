//! `cargo xtask codegen`: writes the committed table from `codegen::targets`, or compares conf files with the targets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use codegen::emit;
use codegen::remark::Remark;
use codegen::table::{Inputs, Table};
use codegen::witness::Conf;
use xtask::workspace::workspace_root;
use xtask::{output, say};

/// Write the committed table of targets, or compare conf files with it
#[derive(Debug, Parser)]
#[command(name = "cargo xtask codegen", bin_name = "cargo xtask codegen")]
struct Args {
    /// Change nothing; fail if the committed table is not what would be written
    #[arg(long)]
    check: bool,

    /// Write nothing; compare the *.conf files of this folder with the targets, and fail on a difference without a known reason
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    witness: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()).and_then(|()| output::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(folder) = &args.witness {
        return check_confs(folder);
    }
    let path = workspace_root().join("registrar/src/table/generated.rs");
    let text = table()?;
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

/// The table of all targets, as Rust.
fn table() -> Result<String> {
    let table = Table::build(Inputs::from_targets()).context("making the table of all targets")?;
    emit::table(&table).context("writing the table of all targets as Rust")
}

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

#[cfg(test)]
mod tests {
    use xtask::workspace::workspace_root;

    #[test]
    fn the_committed_table_is_fresh() {
        let path = workspace_root().join("registrar/src/table/generated.rs");
        let committed = std::fs::read_to_string(path).expect("the committed table");
        assert!(committed == super::table().expect("a table"), "stale; run `cargo xtask codegen`");
    }
}
