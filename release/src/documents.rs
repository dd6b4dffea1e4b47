//! Man pages and completions, made of [`Interface`].

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap_complete::Shell;

use crate::interface::Interface;

/// Writes `man1/*.1` and `completions/*` into a folder.
///
/// # Errors
/// If they cannot be written.
pub fn write(interface: &Interface, version: &str, folder: &Path) -> Result<()> {
    let context = || format!("writing to {}", folder.display());
    let pages = folder.join("man1");
    fs::create_dir_all(&pages).with_context(context)?;
    clap_mangen::generate_to(interface.command(version, false), &pages).with_context(context)?;
    let completions = folder.join("completions");
    fs::create_dir_all(&completions).with_context(context)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut interface.command(version, true), "registrar", &completions)
            .with_context(context)?;
    }
    Ok(())
}
