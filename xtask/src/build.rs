//! What is made of the extracted files: the table, `registrar`, the root file system and its SBOM.

pub mod compile;
pub mod rootfs;
pub mod sbom;
pub(crate) mod table;
