//! What can fail: the system calls of `registrar`, in the order in which it makes them.

/// What is there before.
pub(super) enum Setup {
    NotMounted,
    Nothing,
    /// The handler, with flags other than those that are wanted.
    Different,
    AsWanted,
    /// The same under the second name, with flags other than those that are wanted, and somebody else has the first.
    DifferentBesideOthers,
}

/// One that is made to fail.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) setup: Setup,
    pub(super) arguments: &'static [&'static str],
    /// As strace spells it.
    pub(super) calls: &'static str,
    /// Only calls on this path, if one is given.
    pub(super) path: Option<&'static str>,
    /// Which of them, as strace spells it.
    pub(super) when: &'static str,
}

const FOLDER: &str = "/proc/sys/fs/binfmt_misc";
const REGISTER_FILE: &str = "/proc/sys/fs/binfmt_misc/register";
const STATUS: &str = "/proc/sys/fs/binfmt_misc/status";
const ENTRY: &str = "/proc/sys/fs/binfmt_misc/qemu-s390x";
const SECOND: &str = "/proc/sys/fs/binfmt_misc/qemu-s390x.registrar";
const THIRD: &str = "/proc/sys/fs/binfmt_misc/qemu-s390x.registrar2";

const OPEN: &str = "?open,openat";
const REGISTER: &[&str] = &["register", "s390x"];
const UNREGISTER: &[&str] = &["unregister", "s390x"];
/// Its emulator is not there, so that a mount is taken back.
const IN_VAIN: &[&str] = &["register", "s390x", "--bindir", "/usr/lib"];

/// `register` of one handler, at the first of these calls on a path.
const fn first(name: &'static str, setup: Setup, calls: &'static str, path: Option<&'static str>) -> Operation {
    Operation { name, setup, arguments: REGISTER, calls, path, when: "1" }
}

pub(super) const OPERATIONS: &[Operation] = &[
    first("reading which namespace this is", Setup::Nothing, "?readlink,readlinkat", Some("/proc/self/ns/user")),
    first("asking what is mounted, once", Setup::Nothing, "?statfs,?statfs64", Some(FOLDER)),
    Operation { when: "1+", ..first("asking what is mounted", Setup::Nothing, "?statfs,?statfs64", Some(FOLDER)) },
    first("mounting", Setup::NotMounted, "mount", None),
    first("mounting over what may be another's", Setup::Nothing, "mount", None),
    first("looking who keeps a new mount", Setup::NotMounted, "?readlink,readlinkat", Some("/proc/self/ns/mnt")),
    first("opening register", Setup::Nothing, OPEN, Some(REGISTER_FILE)),
    first("locking", Setup::Nothing, "flock", None),
    first("opening status", Setup::Nothing, OPEN, Some(STATUS)),
    first("reading status", Setup::Nothing, "read", Some(STATUS)),
    first("opening the folder", Setup::AsWanted, OPEN, Some(FOLDER)),
    first("listing the folder", Setup::AsWanted, "?getdents,getdents64", Some(FOLDER)),
    // By the folder's descriptor: its own opening is the first.
    Operation { when: "2+", ..first("opening an entry", Setup::AsWanted, OPEN, Some(FOLDER)) },
    first("reading an entry", Setup::Different, "read", Some(ENTRY)),
    first(
        "reading which file the kernel executes",
        Setup::Nothing,
        "?readlink,readlinkat",
        Some("/proc/thread-self/exe"),
    ),
    first("writing a rule", Setup::Nothing, "write", Some(REGISTER_FILE)),
    first("writing the second rule of an exchange", Setup::Different, "write", Some(REGISTER_FILE)),
    first("opening the old entry, to remove it", Setup::Different, OPEN, Some(ENTRY)),
    Operation { when: "2", ..first("reading the old entry again", Setup::Different, "read", Some(ENTRY)) },
    first("removing the old entry", Setup::Different, "write", Some(ENTRY)),
    Operation { when: "2", ..first("writing the new rule", Setup::Different, "write", Some(REGISTER_FILE)) },
    first("opening the second entry, to remove it", Setup::Different, OPEN, Some(SECOND)),
    first("removing the second entry", Setup::Different, "write", Some(SECOND)),
    first("beside others: writing the third rule", Setup::DifferentBesideOthers, "write", Some(REGISTER_FILE)),
    first("beside others: removing the old entry", Setup::DifferentBesideOthers, "write", Some(SECOND)),
    Operation {
        when: "2",
        ..first("beside others: writing the new rule", Setup::DifferentBesideOthers, "write", Some(REGISTER_FILE))
    },
    first("beside others: removing the third entry", Setup::DifferentBesideOthers, "write", Some(THIRD)),
    Operation { arguments: IN_VAIN, ..first("unmounting", Setup::NotMounted, "umount2", None) },
    Operation {
        arguments: &["register", "s390x", "--stay"],
        ..first("waiting for signals", Setup::Nothing, "signalfd4", None)
    },
    Operation {
        arguments: UNREGISTER,
        ..first("unregister: opening register", Setup::AsWanted, OPEN, Some(REGISTER_FILE))
    },
    Operation { arguments: UNREGISTER, ..first("unregister: locking", Setup::AsWanted, "flock", None) },
    Operation {
        arguments: UNREGISTER,
        ..first("unregister: listing", Setup::AsWanted, "?getdents,getdents64", Some(FOLDER))
    },
    Operation { arguments: UNREGISTER, ..first("unregister: opening an entry", Setup::AsWanted, OPEN, Some(ENTRY)) },
    Operation { arguments: UNREGISTER, ..first("unregister: removing it", Setup::AsWanted, "write", Some(ENTRY)) },
];

/// With a target that may run natively, which the kernel is asked.
const WITH_FAMILY: &[&str] = &["register", "386,s390x"];

/// What only one host does.
pub(super) const ON_X86_64: &[Operation] = &[
    Operation {
        arguments: WITH_FAMILY,
        when: "1+",
        ..first("making a program in memory, to ask what is native", Setup::Nothing, "memfd_create", None)
    },
    Operation {
        arguments: WITH_FAMILY,
        when: "1+",
        ..first("asking what is native", Setup::Nothing, "execveat", None)
    },
];
