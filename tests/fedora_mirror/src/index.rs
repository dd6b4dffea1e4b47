//! A repository's index, by the real `createrepo_c`, with what pungi has it write for Fedora: databases, groups, and zchunk
//! variants (`createrepo_database`, `createrepo_extra_args = ['--zck', …]` in pungi-fedora's configuration; the `repomd.xml`
//! of release 38 and the folder listing of a rawhide of 2025 have all of these, in this order).
//!
//! An old one (0.17, of Debian 12) cannot write zstd, which Fedora's repositories have since 42. Its index is then
//! compressed anew here, and its entries in `repomd.xml` follow.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;

use xtask::system;
use xtask::verify::digest::Sha256;

/// What `createrepo_c` calls Fedora's compression.
const ZSTD: &str = "zstd";

/// A level that takes no time with a few packages.
const ZSTD_LEVEL: i32 = 9;

/// Groups of packages, of which nothing is read.
const GROUPS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE comps PUBLIC \"-//Red Hat, Inc.//DTD Comps info//EN\" \"comps.dtd\">
<comps/>
";

/// How every zchunk file begins.
const ZCHUNK: &[u8] = b"\0ZCK1";

/// Writes the index of the packages below `repo`, of an architecture.
pub(crate) fn write(repo: &Path, compression: &str, arch: &str) -> Result<()> {
    fs::create_dir_all(repo).with_context(|| format!("making {}", repo.display()))?;
    let scratch = tempfile::tempdir().context("making a folder for createrepo_c")?;
    let groups = scratch.path().join(format!("comps-Everything.{arch}.xml"));
    fs::write(&groups, GROUPS).context("writing the groups")?;
    let repodata = repo.join("repodata");
    if compression == ZSTD && !knows_zstd(&groups)? {
        createrepo(repo, "gz", &groups)?;
        recompress(&repodata)?;
    } else {
        createrepo(repo, compression, &groups)?;
    }
    add_zchunk(&repodata)
}

fn createrepo(repo: &Path, compression: &str, groups: &Path) -> Result<()> {
    let mut createrepo = system::command("createrepo_c");
    createrepo.args(["--quiet", "--database", "--unique-md-filenames", "--checksum", "sha256"]);
    createrepo.args(["--general-compress-type", compression, "--groupfile"]).arg(groups);
    system::run(createrepo.arg(repo)).map(drop)
}

/// Whether this machine's `createrepo_c` writes zstd: it names no formats, so it is tried on nothing.
fn knows_zstd(groups: &Path) -> Result<bool> {
    let empty = tempfile::tempdir().context("making a folder for createrepo_c")?;
    Ok(createrepo(empty.path(), ZSTD, groups).is_ok())
}

/// Adds an entry for the zchunk variant of each list. Debian's `createrepo_c` is built without zchunk, so the files only
/// begin like one: a reader that takes `primary_zck` for `primary` finds nothing in it.
fn add_zchunk(repodata: &Path) -> Result<()> {
    let path = repodata.join("repomd.xml");
    let index = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut entries = String::new();
    for kind in ["primary", "filelists", "other"] {
        let (_, entry) =
            index.split_once(&format!("<data type=\"{kind}\">")).context("createrepo_c has left out a list")?;
        let entry = entry.split("</data>").next().unwrap_or_default();
        let lines = |tag: &str| entry.lines().find(|line| line.trim_start().starts_with(tag)).unwrap_or_default();
        let content = [ZCHUNK, entry.as_bytes()].concat();
        let sha256 = Sha256::of(&content);
        let name = format!("{sha256}-{kind}.xml.zck");
        fs::write(repodata.join(&name), &content).with_context(|| format!("writing {name}"))?;
        entries += &format!(
            "  <data type=\"{kind}_zck\">
    <checksum type=\"sha256\">{sha256}</checksum>
{}
    <header-checksum type=\"sha256\">{}</header-checksum>
    <location href=\"repodata/{name}\"/>
{}
    <size>{}</size>
{}
    <header-size>{}</header-size>
  </data>\n",
            lines("<open-checksum"),
            Sha256::of(ZCHUNK),
            lines("<timestamp>"),
            content.len(),
            lines("<open-size>"),
            ZCHUNK.len()
        );
    }
    let end = index.find("  <data type=\"group\">").or_else(|| index.find("</repomd>"));
    let (before, after) = index.split_at(end.context("createrepo_c has written no end of the index")?);
    fs::write(&path, [before, &entries, after].concat()).with_context(|| format!("writing {}", path.display()))
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
                .replace("type=\"group_gz\"", "type=\"group_zst\"")
                .replace(&size(gzipped.len()), &size(compressed.len()));
        }
    }
    fs::write(&path, blocks.concat()).with_context(|| format!("writing {}", path.display()))
}
