//! `cargo xtask test`: the groups of tests (`groups`), the system's tools that tests and benches install (`tools`), and
//! what a group needs of the kernel (`kernel`). The tests themselves are in the crates and in `tests/`.

pub mod emulators;
mod groups;
pub mod kernel;
mod services;
pub mod tools;

pub use groups::{TestArgs, run};
