//! Whose programs the handlers serve: the host's, or only those of the user namespace that this process is in.
//!
//! From Linux 6.7 on each user namespace may have an instance of `binfmt_misc`, which says nothing to the host's.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process;

use nix::unistd::geteuid;

/// Files by which container engines mark the inside of a container.
const MARKS: [&str; 2] = ["/run/.containerenv", "/.dockerenv"];

/// A user namespace that is not the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// As `/proc` names it: `user:[4026532189]`.
    pub(crate) name: String,
    kind: Kind,
}

/// How one gets into such a namespace, which decides what to advise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `podman unshare`, rootlesskit, unshare(1): no container.
    Entered,
    /// An ordinary user's container.
    Rootless,
    /// A container of a privileged engine that maps a range of users, as with Docker's `userns-remap`.
    Remapped,
}

impl Namespace {
    /// The one that this process is in, unless it is the first.
    pub(crate) fn current() -> Option<Self> {
        let map = fs::read_to_string("/proc/self/uid_map").ok()?;
        let fields: Vec<_> = map.split_whitespace().collect();
        if fields == ["0", "0", "4294967295"] {
            return None;
        }
        let name = fs::read_link("/proc/self/ns/user").ok()?.display().to_string();
        let is_container = process::id() == 1 || MARKS.iter().any(|mark| Path::new(mark).exists());
        // An ordinary user may map nobody but himself without help, and so is the first line of the helped ones.
        let maps_one = fields.get(2) == Some(&"1");
        let kind = match (is_container, maps_one) {
            (false, _) => Kind::Entered,
            (true, true) => Kind::Rootless,
            (true, false) => Kind::Remapped,
        };
        Some(Self { name, kind })
    }

    /// The one whose root this process is: it may be refused what the host's root is not.
    pub(super) fn of_root() -> Option<Self> {
        Self::current().filter(|_| geteuid().is_root())
    }

    /// What to do instead of, or so that, registering here.
    pub(crate) fn advice(&self) -> &'static str {
        match self.kind {
            Kind::Entered => "run as the host's root, or if that is wanted add --scope userns",
            Kind::Rootless => {
                "run the container as the host's root, or: podman unshare registrar register --scope userns"
            }
            Kind::Remapped => "run the container with --userns=host, or if that is wanted add --scope userns",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
