//! Where the test programs run: where nothing of the emulators can be seen, so that only flag `F` brings them there, or
//! else from memory.
//!
//! Of the process that is to run them, and of no other: what is changed here is never changed back.

use std::fs::{self, File};
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::get_no_new_privs;
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{UnlinkatFlags, chroot, getegid, geteuid, mkdir, unlinkat};

use crate::native;
use crate::sys::{self, IdRange, errno, errno_text};

/// The one folder that is certain to be there: this process was started through it.
const PROC: &str = "/proc";

/// A process's open files.
const FILES: &str = "/proc/self/fd/";

/// Folders that may be written to, in a container or out of one.
const WRITABLE: [&str; 5] = ["/tmp", "/run", "/var/tmp", "/dev/shm", "/"];

/// In a folder that only the caller can enter, the one that is the root: another user could start a program there that
/// changes its user.
const INNER: &str = "root";

/// Where test programs run, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// A mount namespace, of a user namespace if need be, with a new file system as its root.
    Namespace,
    /// A new folder as the root.
    Folder,
    /// Memory files. All that this process sees, the programs see too.
    Memory,
}

impl Isolation {
    pub(crate) const ALL: [Self; 3] = [Self::Namespace, Self::Folder, Self::Memory];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Folder => "folder",
            Self::Memory => "memory",
        }
    }

    /// The path that a program is started by, or how it begins.
    pub(super) fn path(self, name: &str) -> String {
        match self {
            Self::Namespace | Self::Folder => ["/", name].concat(),
            Self::Memory => FILES.into(),
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|isolation| isolation.word() == word)
    }
}

/// The root that this process has entered.
pub(super) struct Sandbox {
    isolation: Isolation,
    /// The folder that is the root now, and its parent, which is not to be seen from here any more.
    folder: Option<(File, String)>,
    /// Whom programs with a user of their own belong to, or why there is none.
    owner: Result<u32, String>,
}

/// A program that can be run.
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// The user whose it runs as, not the caller, if that was asked for; or why it does not.
    pub(super) owner: Option<Result<u32, String>>,
}

impl Sandbox {
    /// Goes there, or says what was refused.
    pub(super) fn enter(isolation: Isolation) -> Result<Self, String> {
        let sandbox = |folder, owner| Self { isolation, folder, owner };
        Ok(match isolation {
            Isolation::Namespace => sandbox(None, namespace()?),
            Isolation::Folder => {
                let owner = other_user();
                let (folder, is_nosuid) = folder()?;
                let nosuid = || Err("the file system that can be written to is mounted nosuid".into());
                sandbox(Some(folder), if is_nosuid { nosuid() } else { owner })
            }
            Isolation::Memory => {
                let sandbox = sandbox(None, Err("memory files belong to the caller".into()));
                let own = sandbox.install("own", &native::unfinished_own(), false);
                let own = own.map_err(|error| format!("writing a program: {}", errno_text(errno(&error))))?;
                native::exec_refusal(&own.path).map_or(Ok(()), |errno| Err(not_executed(errno)))?;
                sandbox
            }
        })
    }

    /// Puts a program there, owned by another user and marked to run as that one if `set_user_id`.
    pub(super) fn install(&self, name: &str, content: &[u8], set_user_id: bool) -> io::Result<Program> {
        if self.isolation == Isolation::Memory {
            let file = sys::program(content)?;
            // Without flag O the emulator opens it by its name.
            fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
            // It stays open as long as this process.
            let path = PathBuf::from(format!("{FILES}{}", file.into_raw_fd()));
            return Ok(Program { path, owner: set_user_id.then(|| self.owner.clone()) });
        }
        let path = PathBuf::from(self.isolation.path(name));
        fs::write(&path, content)?;
        let owner = set_user_id.then(|| self.owner.clone().and_then(|owner| give(&path, owner)));
        let mode = if matches!(owner, Some(Ok(_))) { 0o4755 } else { 0o755 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(Program { path, owner })
    }

    /// Leaves nothing behind. A namespace takes with it what is in there.
    pub(super) fn remove(self, programs: &[Program]) {
        let Some((parent, name)) = self.folder else { return };
        for program in programs {
            // What cannot be removed keeps the folder, and does no harm.
            let _ = fs::remove_file(&program.path);
        }
        let _ = unlinkat(&parent, [name.as_str(), "/", INNER].concat().as_str(), UnlinkatFlags::RemoveDir);
        let _ = unlinkat(&parent, name.as_str(), UnlinkatFlags::RemoveDir);
    }
}

/// Whether the machine's own programs may be executed in this folder: where they may not, no test program says anything
/// of an emulator.
fn try_own(folder: &Path) -> Result<(), Errno> {
    let path = folder.join("own");
    let written = fs::write(&path, native::unfinished_own())
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .map_err(|error| errno(&error));
    let tried = written.and_then(|()| native::exec_refusal(&path).map_or(Ok(()), Err));
    // What cannot be removed keeps the folder, and does no harm.
    let _ = fs::remove_file(&path);
    tried
}

fn not_executed(errno: Errno) -> String {
    format!("a program of this machine's own: {}", errno_text(errno))
}

/// Gives a file to another user.
fn give(path: &Path, owner: u32) -> Result<u32, String> {
    match chown(path, Some(owner), None) {
        Ok(()) => Ok(owner),
        Err(error) => Err(format!("giving a file to another user: {}", errno_text(errno(&error)))),
    }
}

/// Makes a file system the root that holds nothing. Returns another user of this namespace.
fn namespace() -> Result<Result<u32, String>, String> {
    let refused = |what: &'static str| move |errno: Errno| format!("{what}: {}", errno_text(errno));
    let owner = match unshare(CloneFlags::CLONE_NEWNS) {
        Ok(()) => other_user(),
        Err(_) => {
            let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(refused("a namespace"))?;
            sys::map_ids([uid, uid], [gid, gid]).map_err(|(_, errno)| refused("a user namespace")(errno))?;
            // binfmt_misc is looked for in the namespaces above as long as none is mounted in this one.
            other_user()
        }
    };
    let none = None::<&str>;
    // So that the next mount shows in no other namespace.
    mount(none, PROC, none, MsFlags::MS_PRIVATE, none).map_err(refused("a private mount"))?;
    let options = Some("mode=0755,size=1m");
    mount(Some("tmpfs"), PROC, Some("tmpfs"), MsFlags::MS_NODEV, options).map_err(refused("a mount"))?;
    root(Path::new(PROC)).map_err(refused("a new root"))?;
    try_own(Path::new("/")).map_err(not_executed)?;
    Ok(owner)
}

/// Makes a new folder the root. Returns its parent and name, and whether users of files count for nothing there.
fn folder() -> Result<((File, String), bool), String> {
    let name = format!(".registrar-verify-{}", std::process::id());
    let mut refused = String::from("no folder can be written to and executed in");
    for parent in WRITABLE.map(Path::new) {
        let Ok(flags) = statvfs(parent).map(|found| found.flags()) else { continue };
        let outer = parent.join(&name);
        if flags.contains(FsFlags::ST_NOEXEC) || mkdir(&outer, Mode::S_IRWXU).is_err() {
            continue;
        }
        let path = outer.join(INNER);
        let new_root = |errno| format!("a new root: {}", errno_text(errno));
        let entered = mkdir(&path, Mode::from_bits_truncate(0o755)).map_err(new_root);
        let entered = entered.and_then(|()| try_own(&path).map_err(not_executed)).and_then(|()| {
            let opened = File::open(parent).map_err(|error| new_root(errno(&error)))?;
            root(&path).map_err(new_root)?;
            Ok(opened)
        });
        match entered {
            Ok(parent) => return Ok(((parent, name), flags.contains(FsFlags::ST_NOSUID))),
            Err(why) => {
                let _ = fs::remove_dir(&path);
                let _ = fs::remove_dir(&outer);
                refused = why;
            }
        }
    }
    Err(refused)
}

fn root(path: &Path) -> Result<(), Errno> {
    chroot(path)?;
    std::env::set_current_dir("/").map_err(|error| errno(&error))
}

/// A user other than the caller, if a program may become one.
fn other_user() -> Result<u32, String> {
    if get_no_new_privs() == Ok(true) {
        return Err("no_new_privs is set, so that no program changes its user".into());
    }
    another(&sys::uid_map(), geteuid().as_raw()).ok_or("no other user is in this user namespace".into())
}

/// The lowest id but `own` in a namespace's map.
fn another(map: &[IdRange], own: u32) -> Option<u32> {
    let ids = map.iter().filter_map(|IdRange { inside: first, count, .. }| {
        [*first, first.checked_add(1)?].into_iter().find(|id| *id != own && id - first < *count)
    });
    ids.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_user_of_a_map() {
        let cases = [
            ("         0          0 4294967295\n", 0, Some(1)),
            ("0 0 4294967295\n", 1000, Some(0)),
            ("0 1000 1\n", 0, None),
            ("0 1000 1\n1 100000 65536\n", 0, Some(1)),
            ("1000 1000 1\n", 1000, None),
            ("4294967294 0 1\n", 0, Some(4_294_967_294)),
            ("", 0, None),
        ];
        for (map, own, expected) in cases {
            assert_eq!(another(&IdRange::parse(map), own), expected, "{map:?}");
        }
    }

    #[test]
    fn ways_have_words() {
        for isolation in Isolation::ALL {
            assert_eq!(Isolation::of_word(isolation.word()), Some(isolation));
        }
    }
}
