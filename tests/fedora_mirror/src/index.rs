//! A repository's index, by the real `createrepo_c`.
//!
//! An old one (0.17, of Debian 12) cannot write zstd, which Fedora's repositories have since 42. Its index is then
//! compressed anew here, and its entries in `repomd.xml` follow.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;

use xtask::digest::Sha256;
use xtask::system;

/// What `createrepo_c` calls Fedora's compression.
const ZSTD: &str = "zstd";

/// A level that takes no time with a few packages.
const ZSTD_LEVEL: i32 = 9;

/// Writes the index of the packages below `repo`.
pub(crate) fn write(repo: &Path, compression: &str) -> Result<()> {
    fs::create_dir_all(repo).with_context(|| format!("making {}", repo.display()))?;
    if compression == ZSTD && !knows_zstd()? {
        createrepo(repo, "gz", "--no-database")?;
        return recompress(&repo.join("repodata"));
    }
    // The databases stand beside what is to be read, as in Fedora's repositories up to 40.
    createrepo(repo, compression, "--database")
}

fn createrepo(repo: &Path, compression: &str, database: &str) -> Result<()> {
    let mut createrepo = system::command("createrepo_c");
    createrepo.args(["--quiet", database, "--checksum", "sha256", "--general-compress-type", compression]);
    system::run(createrepo.arg(repo)).map(drop)
}

/// Whether this machine's `createrepo_c` writes zstd: it names no formats, so it is tried on nothing.
fn knows_zstd() -> Result<bool> {
    let empty = tempfile::tempdir().context("making a folder for createrepo_c")?;
    Ok(createrepo(empty.path(), ZSTD, "--no-database").is_ok())
}

/// Gives the files of an index that gzip has compressed to zstd.
fn recompress(repodata: &Path) -> Result<()> {
    let path = repodata.join("repomd.xml");
    let index = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let entries = fs::read_dir(repodata).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut blocks: Vec<_> = index.split_inclusive("</data>").map(str::to_owned).collect();
    for entry in entries.with_context(|| format!("listing {}", repodata.display()))? {
        let old = entry.path();
        let context = || format!("compressing {} anew", old.display());
        let name = entry.file_name();
        let Some((digest, kind)) = name.to_str().and_then(|name| name.strip_suffix(".gz")?.split_once('-')) else {
            continue;
        };
        let gzipped = fs::read(&old).with_context(context)?;
        let mut content = Vec::new();
        GzDecoder::new(&gzipped[..]).read_to_end(&mut content).with_context(context)?;
        let compressed = zstd::bulk::compress(&content, ZSTD_LEVEL).with_context(context)?;
        let sha256 = Sha256::of(&compressed).to_string();
        fs::write(repodata.join(format!("{sha256}-{kind}.zst")), &compressed).with_context(context)?;
        fs::remove_file(&old).with_context(context)?;
        let size = |length: usize| format!("<size>{length}</size>");
        for block in blocks.iter_mut().filter(|block| block.contains(digest)) {
            *block = block
                .replace(digest, &sha256)
                .replace(&format!("{kind}.gz"), &format!("{kind}.zst"))
                .replace(&size(gzipped.len()), &size(compressed.len()));
        }
    }
    fs::write(&path, blocks.concat()).with_context(|| format!("writing {}", path.display()))
}
