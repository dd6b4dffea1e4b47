//! Where Fedora's servers are, or the one that stands in for all of them.

use crate::download::Location;

pub(super) struct Servers<'a> {
    base_url: Option<&'a str>,
}

impl<'a> Servers<'a> {
    pub(super) fn new(base_url: Option<&'a str>) -> Self {
        Self { base_url }
    }

    fn server(&self, host: &str) -> Location {
        Location::Url(
            self.base_url.map_or_else(|| format!("https://{host}"), |url| url.trim_end_matches('/').to_owned()),
        )
    }

    /// Has the list of releases and the published keys.
    pub(super) fn project(&self) -> Location {
        self.server("fedoraproject.org")
    }

    /// Tells of mirrors.
    pub(super) fn metalinks(&self) -> Location {
        self.server("mirrors.fedoraproject.org")
    }

    /// Has the releases that are maintained, for a host; mirrors have the same.
    pub(super) fn downloads(&self, host: &str) -> Location {
        let tree = if is_secondary(host) { "fedora-secondary" } else { "fedora/linux" };
        self.server("dl.fedoraproject.org").below("pub").below(tree)
    }

    /// Has the releases that have ended, for a host.
    pub(super) fn archive(&self, host: &str) -> Location {
        let tree = if is_secondary(host) { "archive/fedora-secondary" } else { "archive/fedora/linux" };
        self.server("archives.fedoraproject.org").below("pub").below(tree)
    }

    /// Has signed builds, by the signing key, also those that mirrors drop once there is a newer one.
    pub(super) fn koji(&self) -> Location {
        self.server("kojipkgs.fedoraproject.org").below("packages")
    }
}

pub(super) fn metalink(repo: &str, host: &str) -> String {
    format!("metalink?repo={repo}&arch={host}")
}

/// Architectures that Fedora keeps in a tree of their own.
fn is_secondary(host: &str) -> bool {
    matches!(host, "ppc64le" | "s390x")
}
