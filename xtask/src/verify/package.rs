//! A package file on this machine, before it is opened.

use std::path::PathBuf;

use crate::verify::digest::ExpectedDigest;

/// How the file is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RPM
    Rpm,
    /// Debian
    Deb,
}

/// One package.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name, without version.
    pub name: String,
    /// Name, epoch, version, release and architecture that its header must have, where metadata say so.
    pub nevra: Option<String>,
    /// What the file must be, where metadata say so.
    pub expected: Option<ExpectedDigest>,
    /// The file.
    pub path: PathBuf,
    /// How to open it.
    pub format: Format,
    /// What its metadata say of it, where the file is not asked itself.
    pub stated: Option<Stated>,
}

/// What a package manager's lists say of a package.
#[derive(Clone, Debug)]
pub struct Stated {
    /// Name, version and architecture in the distribution's own notation.
    pub nevra: String,
    /// Upstream's version alone.
    pub version: String,
    /// The source package.
    pub source: String,
}
