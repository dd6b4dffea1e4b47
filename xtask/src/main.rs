//! `cargo xtask`: everything that a maintainer or CI runs. The work is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::main()
}
