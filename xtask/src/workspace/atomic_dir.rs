//! Folders that are put in place whole, or not at all, by one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// Ending of the name under which the old folder is out of the way, where two cannot be exchanged.
const OLD: &str = ".partial.old";

/// Makes the parent folder of `out` and locks it with `flock`, until the file is dropped.
pub fn lock(out: &Path) -> Result<File> {
    let named = out.file_name().and(out.parent());
    let parent = named.with_context(|| format!("{} cannot be made or replaced; name a folder", out.display()))?;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    fs::create_dir_all(parent).with_context(|| format!("making the folder {}", parent.display()))?;
    let lock = File::open(parent).with_context(|| format!("opening {}", parent.display()))?;
    let context = || format!("waiting for another run in {}", parent.display());
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("{}", context());
            lock.lock().with_context(context)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    Ok(lock)
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let partial = path_of(path);
    fs::write(&partial, bytes).with_context(context)?;
    fs::rename(&partial, path).with_context(context)
}

/// A folder in the making: removed unless finished.
#[derive(Debug)]
pub struct StagedDir<'a> {
    path: PathBuf,
    out: &'a Path,
}

impl<'a> StagedDir<'a> {
    /// Begins what is to replace `out`, which is absent, empty, or `is_ours`. The caller holds the [`lock`].
    pub fn create(out: &'a Path, is_ours: impl Fn(&Path) -> bool) -> Result<Self> {
        clear(out)?;
        let is_free = match fs::read_dir(out) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error).with_context(|| format!("reading {}", out.display())),
        };
        ensure!(
            is_free || is_ours(out),
            "{} is neither empty nor what this command has made; name another folder",
            out.display()
        );
        let path = path_of(out);
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path, out })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Exchanges it with `out` in one `renameat2`, where the file system can.
    pub fn commit(self) -> Result<()> {
        let out = &plain(self.out);
        let context = || format!("putting {} in place", out.display());
        match renameat2(AT_FDCWD, &self.path, AT_FDCWD, out, RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => return remove(&self.path),
            Err(Errno::ENOENT) => {}
            // A file system that cannot exchange.
            Err(Errno::EINVAL | Errno::ENOSYS) => return replace(&self.path, out),
            Err(errno) => return Err(errno).with_context(context),
        }
        fs::rename(&self.path, out).with_context(context)
    }
}

/// Puts `new` where `out` is, with a moment between in which neither is there. The old one is removed last.
fn replace(new: &Path, out: &Path) -> Result<()> {
    let context = || format!("putting {} in place", out.display());
    let old = beside(out, OLD);
    fs::rename(out, &old).with_context(context)?;
    if let Err(error) = fs::rename(new, out) {
        // Should this fail too, the next run puts it back.
        let _ = fs::rename(&old, out);
        return Err(error).with_context(context);
    }
    remove(&old)
}

impl Drop for StagedDir<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing; after a failure that failure is what is told.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what a killed run has left, and puts back the old folder if it was moved away. The caller holds the
/// [`lock`].
pub(crate) fn clear(out: &Path) -> Result<()> {
    let out = &plain(out);
    let old = beside(out, OLD);
    match out.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound && old.exists() => {
            fs::rename(&old, out).with_context(|| format!("putting {} back", out.display()))?;
        }
        _ => remove(&old)?,
    }
    remove(&path_of(out))
}

/// Where the successor of `out` is in the making: under a fixed name, so that what a killed run has left is found.
fn path_of(out: &Path) -> PathBuf {
    beside(out, ".partial")
}

fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    plain(out).with_file_name(name)
}

/// The same path without what says nothing: `out/` and `out/.` are `out`, and can be renamed.
fn plain(out: &Path) -> PathBuf {
    out.components().collect()
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{StagedDir, beside, clear, lock, replace};

    fn is_ours(out: &Path) -> bool {
        out.join("stamp").exists()
    }

    #[test]
    fn the_new_replaces_the_old_or_is_not_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for out in ["made/out", "slash/out/", "dot/out/."].map(|out| folder.path().join(out)) {
            for text in ["first", "second"] {
                let _lock = lock(&out).expect("the lock");
                let staged = StagedDir::create(&out, is_ours).expect("a folder in the making");
                assert_eq!(staged.path(), out.parent().expect("a parent").join("out.partial"));
                fs::write(staged.path().join("stamp"), text).expect("a file");
                staged.commit().expect("in place");
                assert_eq!(fs::read_to_string(out.join("stamp")).expect("the file"), text);
            }
            let unfinished = StagedDir::create(&out, is_ours).expect("a folder in the making");
            fs::write(unfinished.path().join("stamp"), "third").expect("a file");
            drop(unfinished);
            assert_eq!(fs::read_to_string(out.join("stamp")).expect("the file"), "second");
            assert_eq!(
                fs::read_dir(out.parent().expect("a parent")).expect("the folder").count(),
                1,
                "nothing is left"
            );

            fs::remove_file(out.join("stamp")).expect("removing the stamp");
            fs::write(out.join("thesis.txt"), "mine").expect("a file of the user's");
            StagedDir::create(&out, is_ours).expect_err("a folder of the user's");
        }
    }

    #[test]
    fn what_has_no_name_of_its_own_is_refused() {
        for out in [".", "..", "/", "a/.."] {
            let error = lock(Path::new(out)).expect_err(out).to_string();
            assert!(error.ends_with("cannot be made or replaced; name a folder"), "{error}");
        }
    }

    #[test]
    fn the_old_is_kept_where_two_cannot_be_exchanged() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("out");
        let (new, old) = (beside(&out, ".partial"), beside(&out, super::OLD));
        let make = |folder: &Path, text: &str| {
            fs::create_dir(folder).and_then(|()| fs::write(folder.join("stamp"), text)).expect("a folder");
        };
        let holds = |text: &str| {
            assert_eq!(fs::read_to_string(out.join("stamp")).expect("the file"), text);
            assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing else is left");
        };
        make(&out, "first");
        replace(&new, &out).expect_err("nothing to put in place");
        holds("first");
        make(&new, "second");
        replace(&new, &out).expect("in place");
        holds("second");

        // Killed between the two renames, and after them.
        fs::rename(&out, &old).expect("out of the way");
        make(&new, "third");
        clear(&out).expect("cleared");
        holds("second");
        make(&old, "first");
        clear(&out).expect("cleared");
        holds("second");
    }
}
