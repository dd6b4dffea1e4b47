//! What went wrong at which file or entry, in words, with what to do.
//!
//! The same errno means different things to mount(2), to opening a file of `binfmt_misc`, and to the rule in a write.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;

use super::userns::{BIND, UserNamespace};
use crate::flags::Flags;
use crate::security::SecurityModule;
use crate::sys::errno_text;
use crate::table::EMULATOR_OF_ANY;

/// An operation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Nothing is mounted, and this command does not mount.
    NotMounted { at: PathBuf },
    /// A bind mount, made while the host had nothing mounted.
    StaleBindMount { at: PathBuf },
    /// A bind mount of proc's empty directory: the container engine's own mount namespace has no `binfmt_misc`.
    BoundProc { at: PathBuf },
    /// A mount would hide what is there.
    MountPointNotEmpty { at: PathBuf },
    /// mount(2) failed.
    Mount { at: PathBuf, errno: Errno },
    /// The lock of all runs cannot be had.
    Lock { path: PathBuf, errno: Errno },
    /// For 30 s something else was in the way of the lock than another run that has it: what `register` was.
    RegisterUnstable { path: PathBuf, seen: &'static str },
    /// The folder or one of its files cannot be read.
    Read { path: PathBuf, errno: Errno },
    /// `register` cannot be opened.
    Register { path: PathBuf, errno: Errno },
    /// The file of an entry cannot be written.
    Remove { path: PathBuf, errno: Errno },
    /// An entry that was ours has become that of `owner` since it was looked at.
    OwnerChanged { path: PathBuf, owner: String },
    /// The kernel refuses a rule.
    Add { name: &'static str, folder: String, interpreter: String, errno: Errno },
}

impl Error {
    /// Whether it would meet every other handler as well, so that none need be tried.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(self, Self::Register { errno: Errno::EACCES | Errno::EPERM | Errno::EROFS, .. })
    }

    /// What in a rule with these flags the kernel may not know, if it refuses the rule as such.
    pub(crate) fn hint(&self, flags: &Flags) -> Option<String> {
        let Self::Add { errno: Errno::EINVAL, .. } = self else { return None };
        let uncommon = flags.uncommon();
        match uncommon.chars().count() {
            0 if flags.fixes_binary() => Some("before Linux 4.8 it takes none with flag F".into()),
            0 => None,
            1 => Some(format!("it may not know flag {uncommon}, or the emulator does not fit it")),
            _ => Some(format!("it may not know flags {uncommon}, or the emulator does not fit them")),
        }
    }

    /// The cause without what is of one handler alone, for several that failed alike.
    pub(crate) fn grouped_text(&self) -> String {
        match self {
            Self::Read { errno, .. } => format!("reading their entries: {}", reading(*errno)),
            Self::Remove { errno, .. } => writing(*errno),
            Self::OwnerChanged { .. } => "the names belong to others since a moment ago; run this again".into(),
            Self::Add { folder, errno, .. } => adding(&[folder, "/", EMULATOR_OF_ANY].concat(), *errno),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMounted { at } => {
                let at = at.display();
                write!(
                    f,
                    "binfmt_misc is not mounted at {at}; `registrar register` as root mounts it, a container needs {BIND}"
                )
            }
            Self::StaleBindMount { at } => {
                let at = at.display();
                write!(
                    f,
                    "{at} is not binfmt_misc; on the host: mount -t binfmt_misc binfmt_misc \
                     /proc/sys/fs/binfmt_misc, or systemctl start proc-sys-fs-binfmt_misc.mount; then run this again"
                )
            }
            Self::BoundProc { at } => {
                let at = at.display();
                write!(
                    f,
                    "{at} is proc's empty directory, not binfmt_misc: in docker-in-docker use --privileged without -v; \
                     else on the host: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc"
                )
            }
            Self::MountPointNotEmpty { at } => {
                let at = at.display();
                write!(f, "{at}: neither binfmt_misc nor an empty folder; a mount would hide what is there")
            }
            Self::Mount { at, errno } => {
                write!(f, "mounting binfmt_misc at {}: {}", at.display(), mounting(at, *errno))
            }
            Self::Lock { path, errno: Errno::EBUSY } => {
                write!(f, "{}: another run has had the lock for 30 s; see /proc/locks for which", path.display())
            }
            Self::Lock { path, errno } => write!(f, "locking {}: {}", path.display(), errno_text(*errno)),
            Self::RegisterUnstable { path, seen } => write!(
                f,
                "{}: {seen}, for 30 s; see what mounts and unmounts binfmt_misc there, then run this again",
                path.display()
            ),
            Self::Read { path, errno } => write!(f, "reading {}: {}", path.display(), reading(*errno)),
            Self::Register { path, errno } | Self::Remove { path, errno } => {
                write!(f, "writing {}: {}", path.display(), writing(*errno))
            }
            Self::OwnerChanged { path, owner } => {
                let path = path.display();
                write!(f, "{path}: belongs to {owner} since a moment ago, so that it is left alone; run this again")
            }
            Self::Add { name, interpreter, errno, .. } => {
                write!(f, "registering {name}: {}", adding(interpreter, *errno))
            }
        }
    }
}

fn mounting(at: &Path, errno: Errno) -> String {
    match errno {
        Errno::EPERM | Errno::EACCES => match UserNamespace::of_root() {
            Some(namespace) => {
                format!("not permitted; {} (this is root of {namespace}), or with {BIND}", namespace.way_out())
            }
            None => format!("not permitted; run as root, or in a container with {BIND}"),
        },
        Errno::ENODEV => "this kernel has none; on the host: modprobe binfmt_misc".into(),
        Errno::ENOENT if at.starts_with("/proc") && !Path::new("/proc/sys").exists() => {
            format!("no /proc here; mount it, or run in a container with {BIND}")
        }
        Errno::ENOENT if at.starts_with("/proc") => "no such directory; on the host: modprobe binfmt_misc".into(),
        Errno::ENOENT => "no such directory; create it".into(),
        Errno::EBUSY => {
            format!("something is mounted there that this run may not look at; {}", SecurityModule::suspicion())
        }
        Errno::ENOSPC => "too many mounts in this mount namespace; raise sysctl fs.mount-max".into(),
        _ => errno_text(errno),
    }
}

/// The folder, its `status` and its entries are readable for all.
fn reading(errno: Errno) -> String {
    match errno {
        Errno::EPERM | Errno::EACCES => format!("permission denied; {}", SecurityModule::suspicion()),
        Errno::ENOENT => "unmounted at this moment; run this again".into(),
        _ => errno_text(errno),
    }
}

fn writing(errno: Errno) -> String {
    match errno {
        Errno::EPERM | Errno::EACCES => match UserNamespace::of_root() {
            Some(namespace) => {
                format!(
                    "permission denied; this is root of {namespace}, the folder is another's: {}",
                    namespace.way_out()
                )
            }
            None if geteuid().is_root() => {
                format!("permission denied, to root as well; {}", SecurityModule::suspicion())
            }
            None => "permission denied; run as root".into(),
        },
        Errno::EROFS => format!("mounted read-only; mount it writable, in a container with {BIND}"),
        _ => errno_text(errno),
    }
}

fn adding(interpreter: &str, errno: Errno) -> String {
    match errno {
        Errno::ENOENT => format!("{interpreter}: no such file; --bindir names the folder of the emulators"),
        Errno::EACCES => format!("{interpreter}: not executable, or on a file system mounted noexec"),
        Errno::ENOTDIR => format!("{interpreter}: part of the path is no directory; check --bindir"),
        Errno::ETXTBSY => format!("{interpreter}: open for writing; try again when it is complete"),
        Errno::EINVAL => "the kernel does not take this rule".into(),
        Errno::EEXIST => "registered by somebody else at this moment; run this again".into(),
        Errno::ELOOP => format!("{interpreter}: symbolic links that lead nowhere; check --bindir"),
        Errno::EPERM | Errno::EROFS => writing(errno),
        Errno::ENOSPC => {
            "the kernel's limit is reached; remove entries, or raise sysctl user.max_binfmt_misc_interpreters".into()
        }
        _ => format!("{interpreter}: {}", errno_text(errno)),
    }
}
