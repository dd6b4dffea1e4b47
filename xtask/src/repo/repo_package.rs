//! A package as `primary.xml` lists it.

use rpm_version::Evr;

use super::dependency::Range;
use crate::download::Location;
use crate::verify::digest::ExpectedDigest;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepoPackage {
    pub(crate) name: String,
    pub(crate) arch: String,
    pub(crate) epoch: String,
    pub(crate) version: String,
    pub(crate) release: String,
    /// File name of the source package that it was built from; may be empty.
    pub(crate) source_rpm: String,
    /// Which of several repositories it comes from: for whoever reads several to set, and to find it again.
    pub(crate) repository: usize,
    /// Path below the repository's root, or below [`RepoPackage::base`].
    pub href: String,
    /// Where it is, if not in the repository.
    pub(crate) base: Option<Location>,
    /// What the file must be; absent while the entry is read.
    pub expected: Option<ExpectedDigest>,
    pub(crate) requires: Vec<String>,
    pub(crate) provides: Vec<String>,
    pub(crate) obsoletes: Vec<Range>,
    /// Paths that the metadata list: programs in `/usr/bin` among them.
    pub(crate) files: Vec<String>,
}

impl RepoPackage {
    pub(crate) fn evr(&self) -> Evr<'_> {
        Evr::new(self.epoch.as_str(), self.version.as_str(), self.release.as_str())
    }
}

/// Whether a package may matter: it has, provides or obsoletes a name that begins with `prefix`.
pub(crate) fn is_candidate(entry: &RepoPackage, prefix: &str) -> bool {
    let mut obsoletes = entry.obsoletes.iter().map(|range| &range.name);
    entry.name.starts_with(prefix)
        || entry.provides.iter().any(|name| name.starts_with(prefix))
        || obsoletes.any(|name| name.starts_with(prefix))
}
