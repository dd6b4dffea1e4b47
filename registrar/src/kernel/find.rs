//! Where `binfmt_misc` is: a folder bound into the container, the kernel's usual place, or nowhere yet; and the lock
//! that all runs of this program share, in whatever containers they are.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{FsType, statfs};

use super::lasting::{self, Age, Moment};
use super::{Error, Folder, Namespace, Register, errno};

/// A bind mount of the kernel's folder: container engines refuse one inside the container's own `/proc`.
const BOUND: &str = "/binfmt_misc";

/// The kernel's own mount point.
pub(super) const USUAL: &str = "/proc/sys/fs/binfmt_misc";

pub(super) const BINFMT_MISC: &str = "binfmt_misc";
/// As systemd mounts it.
pub(super) const FLAGS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);
const BINFMTFS_MAGIC: FsType = FsType(0x4249_4e4d);

/// How long another run may take. A run takes milliseconds, one that looks at emulators tens of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked whether the other run is done.
const PAUSE: Duration = Duration::from_millis(2);

/// How long to leave an instance to who made it, before looking whether it is still there.
const WAY: Duration = Duration::from_millis(20);

/// What to do where it is not mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// Mount it.
    Allowed,
    /// Only look.
    Never,
}

/// Finds the folder: `only` if it is given, else the bind mount, else the usual place.
pub(crate) fn find(only: Option<&Path>, missing: Mount) -> Result<Folder, Error> {
    if only.is_none() {
        match file_system(Path::new(BOUND)) {
            Some(BINFMTFS_MAGIC) => return Ok(Folder::found(BOUND)),
            // Somebody meant to bring the host's folder: to mount one in the container instead would help nobody.
            Some(_) => return Err(Error::Hollow { at: BOUND.into() }),
            None => {}
        }
    }
    let at = only.unwrap_or(Path::new(USUAL));
    let is_mounted = || file_system(at) == Some(BINFMTFS_MAGIC);
    // What the host has mounted shows in a new mount namespace too, where it is of no use.
    if is_mounted() && !(missing == Mount::Allowed && is_of_another_namespace(at)) {
        return Ok(Folder::found(at));
    }
    if missing == Mount::Never {
        return Err(Error::NotMounted { at: at.into() });
    }
    hides_nothing(at)?;
    let before = Moment::now();
    match mount(Some(BINFMT_MISC), at, Some(BINFMT_MISC), FLAGS, None::<&str>) {
        Ok(()) => {
            let needs_it = lasting::needs_its_mount(at, Age::of(at, before));
            Ok(Folder::mounted(at, before, needs_it))
        }
        // Another run was faster.
        Err(Errno::EBUSY) if is_mounted() => Ok(Folder::found(at)),
        Err(errno) => Err(Error::Mount { at: at.into(), errno }),
    }
}

/// Finds the folder, mounting it if need be, and keeps all other runs from changing it as long as what is returned
/// lives. Where `register` cannot be opened there is no lock, and nothing that could be changed.
pub(crate) fn find_and_lock(only: Option<&Path>) -> Result<(Folder, Register), Error> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let folder = find(only, Mount::Allowed)?;
        let path = folder.path().join("register");
        let file = match File::options().write(true).open(&path) {
            Ok(file) => file,
            // Unmounted since it was found.
            Err(error) if errno(&error) == Errno::ENOENT => {
                thread::sleep(PAUSE);
                continue;
            }
            Err(error) => return Ok((folder, Register::closed(Error::Register { path, errno: errno(&error) }))),
        };
        let has_waited = lock(&file).map_err(|errno| Error::Lock { path: path.clone(), errno })?;
        if folder.is_of_unknown_future() {
            // Without this run's mount it shows whether there is another.
            folder.unmount();
            drop(file);
            thread::sleep(WAY);
            continue;
        }
        // Who had the lock may have taken the mount back.
        if !has_waited || is_same(&file, &path) {
            return Ok((folder, Register::open(file)));
        }
    }
    Err(Error::Lock { path: only.unwrap_or(Path::new(USUAL)).into(), errno: Errno::EBUSY })
}

/// Takes the lock, and says whether another run had it.
fn lock(file: &File) -> Result<bool, Errno> {
    let start = Instant::now();
    let mut has_waited = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(has_waited),
            Err(TryLockError::Error(error)) => return Err(errno(&error)),
            Err(TryLockError::WouldBlock) if start.elapsed() > PATIENCE => return Err(Errno::EBUSY),
            Err(TryLockError::WouldBlock) => {
                has_waited = true;
                thread::sleep(PAUSE);
            }
        }
    }
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(found)) => (file.dev(), file.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

/// Asks what is mounted, which triggers an automount. What cannot be asked is no place that could be used: mounting
/// there says better why.
fn file_system(path: &Path) -> Option<FsType> {
    statfs(path).ok().map(|found| found.filesystem_type())
}

/// Whether a user namespace sees the folder of another one here: nobody of its own has the id of who owns it.
fn is_of_another_namespace(at: &Path) -> bool {
    Namespace::of_root().is_some() && fs::metadata(at.join("register")).is_ok_and(|file| file.uid() != 0)
}

/// Refuses a place with anything in it, the kernel's own apart.
pub(crate) fn hides_nothing(at: &Path) -> Result<(), Error> {
    if at == Path::new(USUAL) {
        return Ok(());
    }
    match fs::read_dir(at).map(|mut files| files.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Occupied { at: at.into() }),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(Error::Occupied { at: at.into() }),
        Err(error) => Err(Error::Mount { at: at.into(), errno: errno(&error) }),
    }
}
