//! One host's archive: `registrar`, its man pages and completions, and the licences. The same files give the same bytes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

/// Taken from the source as they are.
const BESIDE: [&str; 4] = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "SECURITY.md"];

/// Writes an archive with one folder of the archive's name.
pub(crate) fn write(path: &Path, source: &Path, registrar: &Path, documents: &Path) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = PathBuf::from(name.trim_end_matches(".tar.gz"));
    let mut files = vec![(folder.join("registrar"), registrar.to_owned(), 0o755)];
    files.extend(BESIDE.iter().map(|name| (folder.join(name), source.join(name), 0o644)));
    for kind in ["man1", "completions"] {
        for file in fs::read_dir(documents.join(kind)).with_context(context)? {
            let file = file.with_context(context)?;
            files.push((folder.join(kind).join(file.file_name()), file.path(), 0o644));
        }
    }
    files.sort();
    let file = File::create(path).with_context(context)?;
    let mut archive = Builder::new(GzEncoder::new(file, Compression::best()));
    for (name, from, mode) in files {
        let bytes = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        archive.append_data(&mut header, &name, bytes.as_slice()).with_context(context)?;
    }
    archive.into_inner().with_context(context)?.finish().with_context(context)?;
    Ok(())
}
