//! What is in a folder, and the digests of its files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use sha1::{Digest as _, Sha1};

use crate::system::parallel;
use crate::verify::digest::{BUFFER, Hashing, Sha256};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(crate) path: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File(u32),
    Link(String),
    Folder(u32),
    Other,
}

#[derive(Clone, Debug)]
pub struct Digests {
    pub path: String,
    pub sha1: String,
    pub sha256: Sha256,
}

pub fn list(root: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    list_below(root, "", &mut entries)?;
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

fn list_below(folder: &Path, prefix: &str, entries: &mut Vec<Entry>) -> Result<()> {
    let context = || format!("reading the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name();
        let name = name.to_str().with_context(|| format!("a name in {} is no text: {name:?}", folder.display()))?;
        let path = format!("{prefix}{name}");
        let metadata = entry.metadata().with_context(context)?;
        let mode = metadata.permissions().mode() & 0o7777;
        let kind = if metadata.is_file() {
            Kind::File(mode)
        } else if metadata.is_symlink() {
            Kind::Link(fs::read_link(entry.path()).with_context(context)?.to_string_lossy().into_owned())
        } else if metadata.is_dir() {
            list_below(&entry.path(), &format!("{path}/"), entries)?;
            Kind::Folder(mode)
        } else {
            Kind::Other
        };
        entries.push(Entry { path, kind });
    }
    Ok(())
}

/// Digests of the regular files among `entries`, in their order. One with several names is read once.
pub fn digests(root: &Path, entries: &[Entry]) -> Result<Vec<Digests>> {
    let mut files = Vec::new();
    let mut first_names = BTreeMap::new();
    for Entry { path, .. } in entries.iter().filter(|entry| matches!(entry.kind, Kind::File(_))) {
        let identity = identity(&root.join(path))?;
        first_names.entry(identity).or_insert(path);
        files.push((identity, path));
    }
    let read: Vec<_> = first_names.into_iter().collect();
    let read = parallel::each(&read, parallel::processors(), |&(identity, path)| Ok((identity, digest(root, path)?)))?;
    let read: BTreeMap<_, _> = read.into_iter().collect();
    let of = |(identity, path): (_, &String)| Some(Digests { path: path.clone(), ..read.get(&identity)?.clone() });
    Ok(files.into_iter().filter_map(of).collect())
}

/// Device and inode: the same for all names of a file.
pub(crate) fn identity(path: &Path) -> Result<(u64, u64)> {
    let metadata = path.symlink_metadata().with_context(|| format!("reading {}", path.display()))?;
    Ok((metadata.dev(), metadata.ino()))
}

fn digest(root: &Path, path: &str) -> Result<Digests> {
    let file = root.join(path);
    let context = || format!("reading {}", file.display());
    let mut content = File::open(&file).with_context(context)?;
    let (mut sha1, mut sha256) = (Sha1::new(), Hashing::sha256(&mut content));
    let mut buffer = vec![0; BUFFER];
    loop {
        match sha256.read(&mut buffer).with_context(context)? {
            0 => break,
            length => sha1.update(&buffer[..length]),
        }
    }
    Ok(Digests { path: path.into(), sha1: hexadecimal(sha1), sha256: sha256.finish().1.sha256 })
}

/// SPDX's digest of a package: the SHA-1 of the SHA-1 digests of its files, sorted and strung together.
pub(crate) fn verification_code<'a>(sha1: impl Iterator<Item = &'a str>) -> String {
    let mut sorted: Vec<_> = sha1.collect();
    sorted.sort_unstable();
    let mut whole = Sha1::new();
    for digest in sorted {
        whole.update(digest);
    }
    hexadecimal(whole)
}

fn hexadecimal(digest: Sha1) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_are_listed_and_files_digested() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        fs::create_dir(root.join("b")).expect("a folder");
        fs::write(root.join("b/abc"), "abc").expect("a file");
        fs::write(root.join("a"), "").expect("a file");
        symlink("b/abc", root.join("c")).expect("a link");
        for (path, mode) in [("a", 0o600), ("b", 0o755), ("b/abc", 0o4755)] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).expect("permissions");
        }
        let entries = list(root).expect("a list");
        let expected = [
            ("a", Kind::File(0o600)),
            ("b", Kind::Folder(0o755)),
            ("b/abc", Kind::File(0o4755)),
            ("c", Kind::Link("b/abc".into())),
        ];
        assert_eq!(entries, expected.map(|(path, kind)| Entry { path: path.into(), kind }));

        let digests = digests(root, &entries).expect("digests");
        let digests: Vec<_> = digests.iter().map(|one| (one.path.as_str(), one.sha1.as_str())).collect();
        // FIPS 180's examples.
        let (empty, abc) = ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digests, [("a", empty), ("b/abc", abc)]);
        // sha1sum of both, abc's first.
        let code = "29d0dbdfff975c93e2d75e5024fe8b650ec847af";
        assert_eq!(verification_code([empty, abc].into_iter()), code);
        assert_eq!(verification_code([abc, empty].into_iter()), code);
    }
}
