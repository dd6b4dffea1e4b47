//! Whose programs the handlers serve: the host's, or only those of the user namespace that this process is in.
//!
//! From Linux 6.7 on each user namespace may have an instance of `binfmt_misc`, which says nothing to the host's.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process;

use nix::unistd::geteuid;

/// Files by which container engines mark the inside of a container.
const MARKS: [&str; 2] = ["/run/.containerenv", "/.dockerenv"];

/// Three numbers of ten digits.
const LONGEST_LINE: usize = 64;

/// Names the user namespace of this process.
const CURRENT: &str = "/proc/self/ns/user";

/// What that leads to in the first one: the kernel's `PROC_USER_INIT_INO`.
const FIRST: &str = "user:[4026531837]";

/// Who is who in the first one, and in those that are given all users.
const ALL: [&str; 3] = ["0", "0", "4294967295"];

/// Where a namespace's name cannot be read.
const NAMELESS: &str = "this user namespace";

/// A user namespace that is not the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// As `/proc` names it: `user:[4026532189]`.
    pub(crate) name: String,
}

impl Namespace {
    /// The one that this process is in, unless it is the first.
    pub(crate) fn current() -> Option<Self> {
        match fs::read_link(CURRENT) {
            Ok(name) if name == Path::new(FIRST) => None,
            Ok(name) => Some(Self { name: name.display().to_string() }),
            Err(_) => {
                let map = first_line()?;
                (!map.split_whitespace().eq(ALL)).then(|| Self { name: NAMELESS.into() })
            }
        }
    }

    /// Whether this process is certainly in the first one.
    pub(crate) fn is_first() -> bool {
        fs::read_link(CURRENT).is_ok_and(|name| name == Path::new(FIRST))
    }

    /// Who is root here, as the namespace above numbers its users; nothing if that cannot be told, or nobody is.
    pub(super) fn root_seen_from_above() -> Option<u32> {
        let map = first_line()?;
        let mut fields = map.split_whitespace();
        match fields.next()? {
            "0" => fields.next()?.parse().ok(),
            _ => None,
        }
    }

    /// The one whose root this process is: it may be refused what the host's root is not.
    pub(super) fn of_root() -> Option<Self> {
        Self::current().filter(|_| geteuid().is_root())
    }

    /// What to do instead of, or so that, registering here.
    pub(crate) fn advice(&self) -> &'static str {
        let is_container = process::id() == 1 || MARKS.iter().any(|mark| Path::new(mark).exists());
        // An ordinary user may map nobody but himself without help, and so is the first line of the helped ones. A
        // range is mapped by a privileged engine, as with Docker's userns-remap.
        let maps_one = first_line().is_some_and(|map| map.split_whitespace().nth(2) == Some("1"));
        match (is_container, maps_one) {
            // `podman unshare`, rootlesskit, unshare(1).
            (false, _) => "run as the host's root, or if that is wanted add --scope userns",
            (true, true) => {
                "run the container as the host's root, or: podman unshare registrar register --scope userns"
            }
            (true, false) => "run the container with --userns=host, or if that is wanted add --scope userns",
        }
    }
}

/// The first line of what is mapped in this process's user namespace: the first id inside, outside, and how many.
fn first_line() -> Option<String> {
    let mut text = [0; LONGEST_LINE];
    let length = File::open("/proc/self/uid_map").and_then(|mut map| map.read(&mut text)).ok()?;
    let text = String::from_utf8_lossy(&text[..length]);
    text.lines().next().map(str::to_owned)
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
