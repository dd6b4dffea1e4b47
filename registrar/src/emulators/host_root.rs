//! Folders below a root, opened one component after the other. None on the way, nor any link, may be one that another
//! user can change. Absolute links lead where the root has them, and `..` never leaves it.

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::rc::{Rc, Weak};

use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::mkdir;
use rustix::fs::{CWD, OFlags};

use super::{Cause, Error, MODE, StagingDir, ownership};
use crate::sys::{self, errno, path_of};

/// Links that Linux follows in one path.
const MOST_LINKS: usize = 40;

/// How often a folder is made that others remove.
const TRIES: u32 = 10;

pub(crate) struct Root {
    folder: File,
    /// Folders that this process has locked: two names may lead to one, and no lock waits for its own process.
    locked: RefCell<Vec<Weak<StagingDir>>>,
}

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let folder = sys::open(CWD, path, OFlags::PATH | OFlags::DIRECTORY);
        let folder = folder.map_err(|errno| Cause::Folder(errno).at(path))?;
        check(&folder, path)?;
        Ok(Self { folder, locked: RefCell::default() })
    }

    /// Locks a folder, if it exists.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Rc<StagingDir>>, Error> {
        match self.walk(Path::new(path), false) {
            Ok(folder) => self.lock(&folder, path).map(Some),
            Err(Error { cause: Cause::Folder(Errno::ENOENT), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Locks a folder; makes it and its parents if needed.
    pub(crate) fn make(&self, path: &str) -> Result<Rc<StagingDir>, Error> {
        let make = || self.walk(Path::new(path), true).and_then(|folder| self.lock(&folder, path));
        // ENOENT: another run has removed the empty folder meanwhile.
        let is_gone = |made: &Result<_, Error>| matches!(made, Err(Error { cause: Cause::Folder(Errno::ENOENT), .. }));
        (1..TRIES).map(|_| make()).find(|made| !is_gone(made)).unwrap_or_else(make)
    }

    pub(crate) fn remove_if_empty(&self, path: &str) {
        let Some((parent, name)) = path.rsplit_once('/') else { return };
        if let Ok(parent) = self.walk(Path::new(parent), false) {
            // Fails if it is not empty.
            let _ = fs::remove_dir(path_of(&parent).join(name));
        }
    }

    /// A regular file. Links, of the file too, are followed from this root on.
    ///
    /// # Errors
    /// Another user can change it, or it cannot be opened. No such file is no error.
    pub(crate) fn file(&self, path: &str) -> Result<Option<File>, Error> {
        let mut path = PathBuf::from(path);
        for _ in 0..MOST_LINKS {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { break };
            let folder = match self.walk(parent, false) {
                Err(Error { cause: Cause::Folder(Errno::ENOENT | Errno::ENOTDIR), .. }) => return Ok(None),
                folder => folder?,
            };
            let at = path_of(&folder).join(name);
            match fs::read_link(&at) {
                Ok(link) => path = path.with_file_name("").join(link),
                Err(_) => {
                    let file = match sys::open(&folder, name, OFlags::NOFOLLOW | OFlags::NONBLOCK) {
                        Err(Errno::ENOENT) => return Ok(None),
                        file => file.map_err(|errno| Cause::Read(errno).at(&path))?,
                    };
                    let found = file.metadata().map_err(|error| Cause::Read(errno(&error)).at(&path))?;
                    check(&file, &path)?;
                    return Ok(found.is_file().then_some(file));
                }
            }
        }
        Ok(None)
    }

    /// Names in a folder; none if it cannot be read.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let files = self.walk(Path::new(folder), false).ok().and_then(|folder| fs::read_dir(path_of(&folder)).ok());
        let names = files.into_iter().flatten().filter_map(|file| file.ok()?.file_name().into_string().ok());
        names.collect()
    }

    fn lock(&self, folder: &File, path: &str) -> Result<Rc<StagingDir>, Error> {
        let mut locked = self.locked.borrow_mut();
        if let Some(known) = locked.iter().filter_map(Weak::upgrade).find(|known| known.is(folder)) {
            return Ok(known);
        }
        let folder = sys::open(folder, ".", OFlags::DIRECTORY);
        let folder = folder.map_err(|errno| Cause::Folder(errno).at(path))?;
        let dir = Rc::new(StagingDir::lock(folder, Path::new(path))?);
        locked.push(Rc::downgrade(&dir));
        Ok(dir)
    }

    fn walk(&self, path: &Path, makes: bool) -> Result<File, Error> {
        let failed = |shown: &Path, errno| Cause::Folder(errno).at(shown);
        let start = || self.folder.try_clone().map_err(|error| failed(path, errno(&error)));
        // Folders on the way, from the root on, and what is left of the path, last component first.
        let mut way = vec![(start()?, PathBuf::from("/"))];
        let mut left: Vec<PathBuf> = components(path);
        let mut links = 0;
        while let Some(name) = left.pop() {
            let Some((above, at)) = way.last() else { break };
            if name == Path::new("..") {
                way.truncate((way.len() - 1).max(1));
                continue;
            }
            let (reached, shown) = (path_of(above).join(&name), at.join(&name));
            match sys::open(above, &name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW) {
                Ok(folder) => {
                    check(&folder, &shown)?;
                    way.push((folder, shown));
                }
                Err(Errno::ENOENT) if makes => {
                    // For all users, whatever the caller's umask says.
                    let before = umask(Mode::from_bits_truncate(0o022));
                    let made = mkdir(&reached, Mode::from_bits_truncate(MODE));
                    umask(before);
                    match made {
                        // EEXIST: another run was faster, or it is a link that leads nowhere.
                        Err(Errno::EEXIST) if !reached.is_symlink() => {}
                        made => made.map_err(|errno| failed(&shown, errno))?,
                    }
                    left.push(name);
                }
                Err(Errno::ENOTDIR | Errno::ELOOP) => {
                    let link = fs::read_link(&reached).map_err(|_| failed(&shown, Errno::ENOTDIR))?;
                    let found = fs::symlink_metadata(&reached).map_err(|error| failed(&shown, errno(&error)))?;
                    ownership::check(&reached, &found, &shown)?;
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(failed(&shown, Errno::ELOOP));
                    }
                    if link.is_absolute() {
                        way.truncate(1);
                    }
                    left.extend(components(&link));
                }
                Err(errno) => return Err(failed(&shown, errno)),
            }
        }
        way.pop().map_or_else(start, |(folder, _)| Ok(folder))
    }
}

/// The components of a path without the root, last first.
fn components(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.rev().map(|part| Path::new(&part).to_owned()).collect()
}

fn check(folder: &File, shown: &Path) -> Result<(), Error> {
    let found = folder.metadata().map_err(|error| Cause::Folder(errno(&error)).at(shown))?;
    ownership::check(&path_of(folder), &found, shown)
}
