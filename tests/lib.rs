//! What the tests of the whole, and their measurements, share: the host's instance of `binfmt_misc`, one that is nobody
//! else's, engines with a storage of their own, and the built `registrar`.

pub mod action;
pub mod binfmt_misc;
pub mod cpio;
pub mod debian;
pub mod docker;
pub mod documents;
pub mod emulators;
pub mod fleet;
pub mod host;
pub mod namespace;
pub mod packages;
pub mod podman;
pub mod process;
pub mod random;
pub mod registrar;
pub mod registry;
pub mod statistics;
pub mod tools;
pub mod workflows;
pub mod yaml;
