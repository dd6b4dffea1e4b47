//! A folder of RPM files, without metadata: all of them that are emulator packages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::Fetched;
use crate::repo::resolve::ROOT;
use crate::verify::Trust;
use crate::verify::package::Package;

/// The emulator packages of a folder, by file name; the headers are read once they are verified.
pub(super) fn packages(folder: &Path, trust: Trust) -> Result<Fetched> {
    let context = || format!("reading the folder {}", folder.display());
    let mut packages = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with(ROOT) && name.ends_with(".rpm") && !name.ends_with(".src.rpm") {
            let wrong = || format!("reading the package {}", path.display());
            let metadata = fs::metadata(&path).with_context(wrong)?;
            // A pipe would be waited for without end.
            ensure!(metadata.is_file(), "{} is no regular file; take it out of the folder", path.display());
            packages.push(Package { name: package_name(name), nevra: None, expected: None, path, stated: None });
        }
    }
    if packages.is_empty() {
        bail!("{} holds neither an RPM repository (repodata) nor {ROOT}*.rpm files", folder.display());
    }
    packages.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Fetched { origin: folder.display().to_string(), packages, trust })
}

/// `qemu-user-static-arm` of `qemu-user-static-arm-11.1.3-1.fc45.x86_64.rpm`.
fn package_name(file: &str) -> String {
    file.rsplitn(3, '-').nth(2).unwrap_or(file).to_owned()
}
