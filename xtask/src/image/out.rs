//! Puts the image in place: a folder, or an archive (`*.tar`) of it. Only an image of this command's is replaced.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tar::{Builder, EntryType};

use super::blobs::FOLDER;
use super::layer::tar_header;
use super::layout::MADE_BY;
use super::spec::Index;
use crate::workspace::atomic_dir::{self, StagedDir};

/// Has `make` write a layout, and puts it at `path`. The caller holds the lock of the folder `locked`.
pub(super) fn write<T>(path: &Path, time: u64, locked: &Path, make: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    // A second `flock` of the same folder would wait for this process itself.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_locked = parent.canonicalize().ok() == locked.canonicalize().ok();
    let _lock = if is_locked { None } else { Some(atomic_dir::lock(path)?) };
    if !is_archive(path) {
        let staged = StagedDir::create(path, is_ours)?;
        let made = make(staged.path())?;
        staged.commit()?;
        return Ok(made);
    }
    check_file(path)?;
    let folder = path.with_extension("layout");
    let staged = StagedDir::create(&folder, |_| false)?;
    let made = make(staged.path())?;
    let archive = staged.path().join("archive.tar");
    let context = || format!("writing {}", archive.display());
    pack(staged.path(), time, File::create(&archive).with_context(context)?).with_context(context)?;
    fs::rename(&archive, path).with_context(|| format!("writing {}", path.display()))?;
    Ok(made)
}

pub(crate) fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tar")
}

fn is_ours(folder: &Path) -> bool {
    let index = fs::read(folder.join("index.json")).ok().and_then(|text| serde_json::from_slice::<Index>(&text).ok());
    index.is_some_and(|index| index.annotations.get(MADE_BY.0).is_some_and(|by| by == MADE_BY.1))
}

/// That a file is absent, or begins as archives do that are made here.
fn check_file(path: &Path) -> Result<()> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("reading {}", path.display()))?,
    };
    let mut name = [0; NAMES[0].len()];
    let is_ours = file.read_exact(&mut name).is_ok() && name == *NAMES[0].as_bytes();
    ensure!(is_ours, "{} is there, and no image of this command's; name another file", path.display());
    Ok(())
}

const NAMES: [&str; 3] = ["oci-layout", "index.json", "manifest.json"];

/// Writes an archive of a layout, the same for the same layout; `time` is that of its files.
pub(super) fn pack<W: Write>(folder: &Path, time: u64, sink: W) -> Result<()> {
    let mut builder = Builder::new(sink);
    let add = |builder: &mut Builder<W>, name: &str| -> Result<()> {
        let file = File::open(folder.join(name))?;
        Ok(builder.append_data(&mut tar_header(time, file.metadata()?.len(), 0o644), name, file)?)
    };
    for name in NAMES.into_iter().filter(|name| folder.join(name).exists()) {
        add(&mut builder, name)?;
    }
    for (at, _) in format!("{FOLDER}/").match_indices('/') {
        let mut header = tar_header(time, 0, 0o755);
        header.set_entry_type(EntryType::Directory);
        builder.append_data(&mut header, &FOLDER[..at], std::io::empty())?;
    }
    let mut blobs = Vec::new();
    for entry in fs::read_dir(folder.join(FOLDER))? {
        blobs.push(entry?.file_name());
    }
    blobs.sort();
    for blob in blobs {
        add(&mut builder, &format!("{FOLDER}/{}", blob.display()))?;
    }
    Ok(builder.into_inner()?.flush()?)
}
