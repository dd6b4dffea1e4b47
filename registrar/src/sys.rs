//! What several modules need of the system and the standard library does not have: errno texts, a lock with a time
//! limit, programs in memory, namespaces and their id maps.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::utsname::uname;
use rustix::fs::{Mode, OFlags, openat};

/// `/proc/self/ns/user` of the initial user namespace: the kernel's `PROC_USER_INIT_INO`.
pub(crate) const INITIAL_USER_NAMESPACE: &str = "user:[4026531837]";

/// `/proc/self/ns/pid` of the initial PID namespace: the kernel's `PROC_PID_INIT_INO`.
pub(crate) const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The kernel's number of an error.
pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// The same of the other crate for system calls.
pub(crate) fn of_rustix(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

/// Opens a file by the system call alone: musl's open(3) has an fcntl(2) follow.
pub(crate) fn open(folder: impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> Result<File, Errno> {
    open_at(folder.as_fd(), path.as_ref(), flags)
}

/// The same, compiled once.
fn open_at(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<File, Errno> {
    let file = openat(folder, path, flags | OFlags::CLOEXEC, Mode::empty());
    file.map(File::from).map_err(of_rustix)
}

/// The C library's words in this program's style, with advice where it is the same wherever it happens.
pub(crate) fn errno_text(errno: Errno) -> String {
    match errno {
        Errno::EMFILE => "too many open files; raise ulimit -n".into(),
        Errno::ENFILE => "too many open files on this machine; raise sysctl fs.file-max".into(),
        // musl has words of its own for these.
        Errno::EBUSY => "device or resource busy".into(),
        Errno::ELOOP => "too many levels of symbolic links".into(),
        errno => {
            let text = io::Error::from(errno).to_string();
            text.split(" (os error").next().unwrap_or_default().to_ascii_lowercase()
        }
    }
}

/// The text of a file of `/proc` or `/sys`, empty if it cannot be read. Paths and programs' names in it may be any bytes.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// A mask of `/proc/self/status`.
pub(crate) fn status_mask(key: &str) -> Option<u64> {
    let status = text("/proc/self/status");
    u64::from_str_radix(status.lines().find_map(|line| line.strip_prefix(key))?.trim(), 16).ok()
}

/// A limit of time that begins when it is first asked about: most runs never wait, and reading the clock takes two pages
/// of memory more.
pub(crate) struct TimeLimit {
    limit: Duration,
    end: Option<Instant>,
}

impl TimeLimit {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, end: None }
    }

    pub(crate) fn is_over(&mut self) -> bool {
        let now = Instant::now();
        now > *self.end.get_or_insert(now + self.limit)
    }
}

/// Takes the lock of a file, which another process may hold for up to `limit`; asks again after each `delay`.
///
/// # Errors
/// `EBUSY` if the time was not enough.
pub(crate) fn lock(file: &File, limit: Duration, delay: Duration) -> Result<(), Errno> {
    let mut limit = TimeLimit::new(limit);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(errno(&error)),
            Err(TryLockError::WouldBlock) if limit.is_over() => return Err(Errno::EBUSY),
            Err(TryLockError::WouldBlock) => thread::sleep(delay),
        }
    }
}

/// Whether two paths or descriptors lead to one file, if both can be looked at.
pub(crate) fn is_same_file(one: io::Result<Metadata>, other: io::Result<Metadata>) -> Option<bool> {
    let (one, other) = (one.ok()?, other.ok()?);
    Some((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// The path by which this process reaches what it has open.
pub(crate) fn path_of(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// A program in memory, that this process alone can see. It is closed when this process executes another.
pub(crate) fn program(bytes: &[u8]) -> Result<File, Errno> {
    // A machine that wants memory not to be executable (vm.memfd_noexec) must be told; Linux before 6.3 must not.
    let executable = MFdFlags::MFD_CLOEXEC | MFdFlags::from_bits_retain(libc::MFD_EXEC);
    let memory = match memfd_create(c"program", executable) {
        Err(Errno::EINVAL) => memfd_create(c"program", MFdFlags::MFD_CLOEXEC),
        other => other,
    }?;
    let mut memory = File::from(memory);
    memory.write_all(bytes).map_err(|error| errno(&error))?;
    Ok(memory)
}

/// The namespace of a process (`self`, or a number) of one kind (`user`, `mnt`), as `/proc` names it:
/// `user:[4026532189]`.
pub(crate) fn namespace(process: &str, kind: &str) -> Option<String> {
    let path = ["/proc/", process, "/ns/", kind].concat();
    Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())
}

/// A line of `uid_map`: ids of this user namespace, and those of the one above that they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdRange {
    pub(crate) inside: u32,
    pub(crate) outside: u32,
    pub(crate) count: u32,
}

impl IdRange {
    /// The lines of a map that are understood.
    pub(crate) fn parse(map: &str) -> Vec<Self> {
        let range = |line: &str| {
            let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
            Some(Self { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? })
        };
        map.lines().filter_map(range).collect()
    }
}

/// The user ids of this process's user namespace.
pub(crate) fn uid_map() -> Vec<IdRange> {
    IdRange::parse(&text("/proc/self/uid_map"))
}

/// Maps all users and groups of this user namespace, under their own ids, into the one that a process has made: only
/// root of this one may.
///
/// # Errors
/// A file of that process could not be written.
pub(crate) fn map_all_ids(process: u32) -> io::Result<()> {
    for map in ["uid_map", "gid_map"] {
        let ranges = IdRange::parse(&fs::read_to_string(["/proc/self/", map].concat())?);
        let lines = ranges.iter().map(|IdRange { inside, count, .. }| format!("{inside} {inside} {count}\n"));
        fs::write(format!("/proc/{process}/{map}"), lines.collect::<String>())?;
    }
    Ok(())
}

/// Maps one user and one group, each inside and outside, of the user namespace just made.
///
/// # Errors
/// The file that could not be written.
pub(crate) fn map_ids(user: [u32; 2], group: [u32; 2]) -> Result<(), (&'static str, Errno)> {
    let write =
        |file, text: String| fs::write(["/proc/self/", file].concat(), text).map_err(|error| (file, errno(&error)));
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{} {} 1", user[0], user[1]))?;
    write("gid_map", format!("{} {} 1", group[0], group[1]))
}

/// Major and minor version of the kernel, unless its release says neither.
pub(crate) fn linux_version() -> Option<(u32, u32)> {
    static VERSION: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *VERSION.get_or_init(|| version(&uname().ok()?.release().to_string_lossy()))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_of_distribution_kernels() {
        let cases = [
            ("6.6.99-1-amd64", Some((6, 6))),
            ("6.18.44-fc", Some((6, 18))),
            ("10.0", Some((10, 0))),
            ("5.10.0-30-cloud-amd64", Some((5, 10))),
            ("4.18.0-553.el8_10.x86_64", Some((4, 18))),
            ("5.15.167.4-microsoft-standard-WSL2", Some((5, 15))),
            ("linux", None),
        ];
        for (release, expected) in cases {
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
