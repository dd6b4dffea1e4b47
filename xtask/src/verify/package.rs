//! A package file on this machine, before it is opened.

use std::path::PathBuf;

use crate::verify::digest::ExpectedDigest;

#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    /// Name, epoch, version, release and architecture that its header must have, where metadata say so.
    pub nevra: Option<String>,
    pub expected: Option<ExpectedDigest>,
    pub path: PathBuf,
    /// What apt's lists say of a Debian package; an RPM package says it itself.
    pub stated: Option<Stated>,
}

/// What a package manager's lists say of a package.
#[derive(Clone, Debug)]
pub struct Stated {
    /// Name, version and architecture in the distribution's own notation.
    pub nevra: String,
    pub version: String,
    pub source: String,
}
