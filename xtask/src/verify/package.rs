//! A package file on this machine, before it is opened.

use std::path::PathBuf;

use crate::verify::digest::ExpectedDigest;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Rpm,
    Deb,
}

#[derive(Clone, Debug)]
pub struct Package {
    /// Its name, without version.
    pub name: String,
    /// Name, epoch, version, release and architecture that its header must have, where metadata say so.
    pub nevra: Option<String>,
    /// What the file must be, where metadata say so.
    pub expected: Option<ExpectedDigest>,
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
    pub version: String,
    pub source: String,
}
