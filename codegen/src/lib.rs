//! Rules of `binfmt_misc` for QEMU's targets, and the Rust table made of them.
//!
//! Pure: bytes and strings in, values and text out. Files, packages and the kernel are the business of `xtask` and
//! `registrar`. In the order of the data's way:
//!
//! - [`targets`]: what is known of each architecture
//! - [`rule`]: what the kernel compares, computed from a target; conf lines read
//! - [`handler`]: an emulator and the rule that selects its programs
//! - [`witness`]: a package's conf held against the computed rule
//! - [`remark`]: what a maintainer should know of that
//! - [`elf`]: facts of an emulator's binary
//! - [`probe`]: a tiny executable of each target
//! - [`table`]: targets, rules and facts become handlers; what would be fatal is refused
//! - [`emit`]: handlers become Rust text

pub mod elf;
pub mod emit;
pub mod handler;
pub mod probe;
pub mod remark;
pub mod rule;
pub mod table;
pub mod targets;
pub mod witness;
