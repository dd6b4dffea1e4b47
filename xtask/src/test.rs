//! `cargo xtask test`: puts in place what the tests need, then runs them all. The tests themselves are in the crates
//! and in `tests/`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::system::{self, Tool};
use crate::tables;

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Passed on to `cargo test`
    #[arg(last = true)]
    args: Vec<String>,
}

/// What the workspace's tests need.
pub const TOOLS: &[Tool] = &[
    Tool::CC,
    Tool::RPM,
    Tool::RPMBUILD,
    Tool::RPMSIGN,
    Tool::CREATEREPO_C,
    Tool::GPG,
    Tool::NGINX,
    Tool::EMULATORS,
    Tool::MUSL_GCC,
    Tool::STRACE,
    Tool::BSDTAR,
    Tool::GCC_AARCH64,
    Tool::GCC_ARM,
    Tool::GCC_M68K,
    Tool::GCC_MIPS64EL,
    Tool::GCC_PPC64LE,
    Tool::GCC_RISCV64,
    Tool::GCC_S390X,
    Tool::GCC_SPARC64,
];

/// Runs all tests; cargo takes this process over, so its exit code is ours.
///
/// # Errors
/// If something that the tests need cannot be put in place.
pub fn run(args: &TestArgs) -> Result<()> {
    system::require(TOOLS)?;
    if let Some(target) = musl_target() {
        require_rust_target(&target)?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let error =
        Command::new(cargo).args(["test", "--workspace"]).args(&args.args).current_dir(tables::workspace_root()).exec();
    Err(error).context("starting cargo test")
}

/// The Rust target that `registrar` is compiled for on this host; `None` where that is the host's own, with glibc.
pub fn musl_target() -> Option<String> {
    let arch = std::env::consts::ARCH;
    ["x86_64", "aarch64"].contains(&arch).then(|| format!("{arch}-unknown-linux-musl"))
}

/// Puts a Rust target's standard library in place.
///
/// # Errors
/// If it is missing and rustup is not there or fails.
pub fn require_rust_target(target: &str) -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = system::run(Command::new(rustc).args(["--print", "sysroot"]).current_dir(tables::workspace_root()))?;
    let sysroot = String::from_utf8(printed.stdout).context("reading the path of Rust's system root")?;
    if Path::new(sysroot.trim_end()).join("lib/rustlib").join(target).join("lib").is_dir() {
        return Ok(());
    }
    eprintln!("installing Rust's standard library for {target}");
    system::run(system::command("rustup").args(["target", "add", target]).current_dir(tables::workspace_root()))
        .with_context(|| format!("installing Rust's standard library for {target}"))
        .map(drop)
}
