//! Whether a result is still what was made of the same: a text beside it that names its inputs and all that it holds.
//!
//! Sizes and times of change, not digests: a run that has nothing to do is to take no time. Digests are compared by
//! `cargo xtask inspect`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;

use super::{NAMES, STAMP};
use crate::digest::Sha256;

/// Writes the stamp of a folder that holds all the rest.
pub(super) fn write(folder: &Path, inputs: &Sha256) -> Result<()> {
    super::write(&folder.join(STAMP), text(folder, inputs).as_bytes())
}

/// Whether a folder holds what was made of `inputs`, and all of it.
pub(super) fn is_fresh(folder: &Path, inputs: &Sha256) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|known| known == text(folder, inputs))
}

fn text(folder: &Path, inputs: &Sha256) -> String {
    let mut text = format!("{inputs}\n");
    for name in NAMES.iter().filter(|name| **name != STAMP) {
        list(&folder.join(name), name, &mut text);
    }
    text
}

/// Adds a line for what is at `path`, and for all below it.
fn list(path: &Path, name: &str, text: &mut String) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    *text += &format!("{name} {:o}", metadata.mode());
    if metadata.is_file() {
        *text += &format!(" {} {}.{:09}", metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        // Nobody can put this one back.
        *text += &format!(" {}.{:09}", metadata.ctime(), metadata.ctime_nsec());
    }
    if let Ok(target) = fs::read_link(path) {
        *text += &format!(" {}", target.display());
    }
    text.push('\n');
    let mut names: Vec<_> = match metadata.is_dir() {
        true => fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect(),
        false => vec![],
    };
    names.sort();
    for below in names {
        list(&path.join(&below), &format!("{name}/{}", below.to_string_lossy()), text);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn any_change_is_noticed() {
        type Change = fn(&Path) -> std::io::Result<()>;
        let changes: &[(&str, Change)] = &[
            ("a file is gone", |folder| fs::remove_file(folder.join("rootfs/file"))),
            ("another text of that size", |folder| {
                let file = fs::File::create(folder.join("rootfs/file"))?;
                (&file).write_all(b"TEXT")?;
                // As it would be some time later.
                file.set_modified(SystemTime::UNIX_EPOCH)
            }),
            ("another text of that size and time", |folder| {
                let file = fs::File::options().write(true).open(folder.join("rootfs/file"))?;
                let modified = file.metadata()?.modified()?;
                // The clock of a file system may tick only each 10 ms.
                std::thread::sleep(Duration::from_millis(20));
                (&file).write_all(b"TEXT")?;
                file.set_modified(modified)
            }),
            ("a file more", |folder| fs::write(folder.join("rootfs/more"), "")),
            ("another mode", |folder| {
                fs::set_permissions(folder.join("rootfs/file"), fs::Permissions::from_mode(0o777))
            }),
            ("another link", |folder| {
                fs::remove_file(folder.join("rootfs/link"))?;
                symlink("elsewhere", folder.join("rootfs/link"))
            }),
            ("no SBOM", |folder| fs::remove_file(folder.join("sbom.spdx.json"))),
            ("no list", |folder| fs::remove_file(folder.join("packages"))),
            ("no root file system", |folder| fs::remove_dir_all(folder.join("rootfs"))),
            ("no stamp", |folder| fs::remove_file(folder.join(STAMP))),
        ];
        for (what, change) in changes {
            let parent = tempfile::tempdir().expect("a temporary folder");
            let (partial, folder) = (parent.path().join("partial"), &*parent.path().join("folder"));
            fs::create_dir_all(partial.join("rootfs")).expect("a folder");
            for name in ["rootfs/file", "sbom.spdx.json", "packages"] {
                fs::write(partial.join(name), "text").expect("a file");
            }
            symlink("file", partial.join("rootfs/link")).expect("a link");
            let inputs = Sha256::of(b"inputs");
            write(&partial, &inputs).expect("a stamp");
            fs::rename(&partial, folder).expect("in place");
            fs::write(folder.join("try-arm"), "somebody else's").expect("a file");
            assert!(is_fresh(folder, &inputs), "nothing has changed");
            assert!(!is_fresh(folder, &Sha256::of(b"others")), "made of something else");
            change(folder).expect(what);
            assert!(!is_fresh(folder, &inputs), "{what}");
        }
    }
}
