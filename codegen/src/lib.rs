//! Rules of `binfmt_misc` for QEMU's targets, and the Rust table made of them.
//!
//! Pure: bytes and strings in, values and text out. Files, packages and the kernel are the business of `xtask` and
//! `registrar`. In the order of the data's way:
//!
//! - [`targets`]: what is known of each architecture
//! - [`rule`]: one line of a `binfmt.d` file, read, computed, corrected, written
//! - [`elf`]: facts of an emulator's binary
//! - [`probe`]: a tiny executable of each target
//! - [`table`]: targets, rules and facts become handlers; every cross-check lives here
//! - [`emit`]: handlers become Rust text

pub mod elf;
pub mod emit;
pub mod probe;
pub mod rule;
pub mod table;
pub mod targets;
