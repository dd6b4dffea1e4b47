//! Paths of this checkout and of what is built in it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result};

pub mod atomic_dir;

/// Writes a generated file only if its text changes, so that cargo does not compile it again.
pub fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|current| current == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

pub fn workspace_root() -> &'static Path {
    /// At run time: the value at compile time may be another checkout's.
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let is_ours = std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == env!("CARGO_PKG_NAME"));
        let running = std::env::var_os("CARGO_MANIFEST_DIR").filter(|_| is_ours);
        let folder = running.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        folder.parent().unwrap_or(Path::new(".")).to_owned()
    });
    &ROOT
}

/// Cargo's target folder, absolute: it holds everything that a build makes.
pub fn target_dir() -> PathBuf {
    /// A relative `CARGO_TARGET_DIR` is relative to the folder that cargo was started in.
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| target_folder(std::env::var_os("CARGO_TARGET_DIR")));
    FOLDER.clone()
}

fn target_folder(named: Option<OsString>) -> PathBuf {
    let folder = named.map_or_else(|| workspace_root().join("target"), PathBuf::from);
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Seconds since 1970 that a user wants as timestamps: <https://reproducible-builds.org/specs/source-date-epoch/>.
pub(crate) fn source_date_epoch() -> Result<Option<u64>> {
    std::env::var("SOURCE_DATE_EPOCH").ok().as_deref().map(parse_epoch).transpose()
}

fn parse_epoch(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("SOURCE_DATE_EPOCH={text:?} is not a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::{parse_epoch, target_folder, workspace_root};

    #[test]
    fn timestamps_are_numbers() {
        assert_eq!(parse_epoch("3").expect("a time"), 3);
        let error = parse_epoch("today").expect_err("no number").to_string();
        assert!(error.contains("SOURCE_DATE_EPOCH"), "{error}");
    }

    #[test]
    fn the_target_folder_is_absolute() {
        let here = std::env::current_dir().expect("the current folder");
        assert_eq!(target_folder(Some("elsewhere".into())), here.join("elsewhere"));
        assert_eq!(target_folder(Some("/elsewhere".into())), std::path::Path::new("/elsewhere"));
        assert_eq!(target_folder(None), workspace_root().join("target"));
    }
}
