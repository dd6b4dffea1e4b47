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

/// Who is who in the first user namespace.
const FIRST: [&str; 3] = ["0", "0", "4294967295"];

/// A user namespace that is not the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// As `/proc` names it: `user:[4026532189]`.
    pub(crate) name: String,
}

impl Namespace {
    /// The one that this process is in, unless it is the first.
    pub(crate) fn current() -> Option<Self> {
        let map = first_line()?;
        if map.split_whitespace().eq(FIRST) {
            return None;
        }
        Some(Self { name: fs::read_link("/proc/self/ns/user").ok()?.display().to_string() })
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
