//! What the tests of the whole share: an instance of `binfmt_misc` that is nobody else's, and the built `registrar`.

pub mod binfmt_misc;
pub mod fleet;
pub mod namespace;
pub mod packages;
pub mod registrar;
