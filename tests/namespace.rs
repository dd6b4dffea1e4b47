//! A private user and mount namespace, where `binfmt_misc` has an instance of its own (Linux 6.7 or later) and nobody
//! needs to be root on the host.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use crate::binfmt_misc::DEFAULT_MOUNT_POINT;

/// Whom a namespace has.
#[derive(Clone, Copy, Debug)]
pub enum Users {
    /// The caller alone, under this id.
    One(u32),
    /// The caller as root, and one more, 1. Takes root, or newuidmap and a line for the caller in `/etc/subuid` and
    /// `/etc/subgid`.
    Two,
}

/// Enters new namespaces with all capabilities until the next exec by a user other than 0.
///
/// # Errors
/// What the kernel refuses; with several threads running, it refuses all.
pub fn enter(users: Users) -> io::Result<()> {
    let (outer_uid, outer_gid) = (geteuid(), getegid());
    let mapper = match users {
        Users::One(_) => None,
        Users::Two => Some(mapper()?),
    };
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    match (users, mapper) {
        (Users::One(uid), _) => {
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{uid} {outer_uid} 1"))?;
            fs::write("/proc/self/gid_map", format!("{uid} {outer_gid} 1"))?;
        }
        (Users::Two, mapper) => {
            let output = mapper.map(Child::wait_with_output).transpose()?;
            if let Some(output) = output.filter(|output| !output.status.success()) {
                let printed = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(io::Error::other(format!("mapping a second user: {printed}")));
            }
        }
    }
    // Nothing that is mounted from here on shows anywhere else.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    Ok(())
}

/// As [`enter`], with nothing mounted at the kernel's usual place: there this machine's own instance would show.
///
/// # Errors
/// As [`enter`].
pub fn enter_unmounted(users: Users) -> io::Result<()> {
    // Inside of the namespace, a mount that came with it cannot be taken away, only covered.
    if geteuid().is_root() {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        while is_mounted()? {
            umount2(DEFAULT_MOUNT_POINT, MntFlags::MNT_DETACH)?;
        }
    }
    enter(users)?;
    if is_mounted()? {
        cover(Path::new(DEFAULT_MOUNT_POINT))?;
    }
    Ok(())
}

/// Whether anything is mounted at the usual place, systemd's automount too. To ask the place itself would trigger that.
fn is_mounted() -> io::Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mounts.lines().any(|line| line.split(' ').nth(4) == Some(DEFAULT_MOUNT_POINT)))
}

/// A process outside that, once its standard input ends, gives this one two users: only from there may more than one
/// be mapped.
fn mapper() -> io::Result<Child> {
    let script = "read end
        user=$(id -un)
        first() { awk -F: -v user=\"$user\" '$1 == user { print $2; exit }' $1; }
        if [ $(id -u) = 0 ]; then
            printf '0 0 1\\n1 1 1\\n' >/proc/$1/uid_map && printf '0 0 1\\n1 1 1\\n' >/proc/$1/gid_map
        else
            newuidmap $1 0 $(id -u) 1 1 $(first /etc/subuid) 1 && newgidmap $1 0 $(id -g) 1 1 $(first /etc/subgid) 1
        fi";
    let mut mapper = Command::new("sh");
    mapper.args(["-c", script, "mapper", &std::process::id().to_string()]);
    mapper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
}

/// Mounts a new, empty file system at a folder, so that what the machine has there is out of sight.
///
/// # Errors
/// What the kernel refuses.
pub fn cover(folder: &Path) -> io::Result<()> {
    Ok(mount(Some("none"), folder, Some("tmpfs"), MsFlags::empty(), None::<&str>)?)
}

/// Mounts this namespace's instance.
///
/// # Errors
/// What the kernel refuses, or an instance with entries: then it is somebody else's.
pub fn mount_binfmt_misc(at: &Path) -> io::Result<()> {
    mount(Some("binfmt_misc"), at, Some("binfmt_misc"), MsFlags::empty(), None::<&str>)?;
    let mut files: Vec<_> = fs::read_dir(at)?.map(|file| Ok(file?.file_name())).collect::<io::Result<_>>()?;
    files.sort();
    if files != ["register", "status"] {
        return Err(io::Error::other(format!("{} is not a new instance: {files:?}", at.display())));
    }
    Ok(())
}
