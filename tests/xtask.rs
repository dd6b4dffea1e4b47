//! `cargo xtask` once more, as a program of this crate: so cargo builds it with the tests and tells them where it is.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::main()
}
