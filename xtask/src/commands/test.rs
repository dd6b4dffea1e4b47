//! `cargo xtask test`: puts in place what the tests need, then runs them all. The tests themselves are in the crates
//! and in `tests/`.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::build::compile;
use crate::system::host::Host;
use crate::system::kernel::{self, Feature};
use crate::system::{self, Tool};

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Run the container tests instead: they build the image with podman and register it on this machine
    #[arg(long)]
    containers: bool,

    /// Run the tests on other kernels instead: they boot Debian's in an emulated machine
    #[arg(long, conflicts_with = "containers")]
    vm: bool,

    /// Check the files that deploy the image instead, each with the tool or the schema that it is made for
    #[arg(long, conflicts_with_all = ["containers", "vm"])]
    deploy: bool,

    /// Passed on to `cargo test`
    #[arg(last = true)]
    args: Vec<String>,
}

/// What the container tests need.
const CONTAINER_TOOLS: &[Tool] = &[
    Tool::PODMAN,
    Tool::BUILDAH,
    Tool::SKOPEO,
    Tool::DOCKER,
    Tool::CONTAINERD,
    Tool::RUNC,
    Tool::UIDMAP,
    Tool::ROOTLESSKIT,
    Tool::USERADD,
    Tool::DEBOOTSTRAP,
    Tool::SYSTEMD_NSPAWN,
    Tool::EMULATORS,
    Tool::DPKG,
    Tool::DEBIAN_KEYS,
    Tool::RPMBUILD,
    Tool::RPMSIGN,
    Tool::CREATEREPO_C,
    Tool::GPG,
    Tool::NGINX,
    Tool::GCC_AARCH64,
    Tool::GCC_PPC64LE,
    Tool::GCC_S390X,
    Tool::DPKG,
    Tool::DEBIAN_KEYS,
    Tool::JQ,
];

/// What the tests on other kernels need.
const VM_TOOLS: &[Tool] = &[Tool::QEMU_SYSTEM_X86, Tool::DPKG, Tool::DEBIAN_KEYS, Tool::EMULATORS, Tool::MUSL_GCC];

/// What the checks of the files that deploy need. Newer tools than the machine may have are fetched by the tests.
const DEPLOY_TOOLS: &[Tool] = &[Tool::DPKG, Tool::DEBIAN_KEYS, Tool::PIP, Tool::SHELLCHECK, Tool::SYSTEMD];

/// What the workspace's tests need.
pub const TOOLS: &[Tool] = &[
    Tool::CC,
    Tool::RPM,
    Tool::RPMBUILD,
    Tool::RPMSIGN,
    Tool::CREATEREPO_C,
    Tool::GPG,
    Tool::NGINX,
    Tool::OPENSSL,
    Tool::GIT,
    Tool::EMULATORS,
    Tool::MUSL_GCC,
    Tool::STRACE,
    Tool::BSDTAR,
    Tool::SCRIPT,
    Tool::SYSTEMD,
    Tool::DPKG,
    Tool::DEBIAN_KEYS,
    Tool::AS_AARCH64,
    Tool::AS_PPC64LE,
    Tool::AS_S390X,
];

/// Cross compilers with their assemblers and C libraries: tests use those that the distribution has. One that finds none
/// fails.
const CROSS_COMPILERS: &[Tool] = &[
    Tool::GCC_AARCH64,
    Tool::GCC_ARM,
    Tool::GCC_M68K,
    Tool::GCC_MIPS64EL,
    Tool::GCC_PPC64LE,
    Tool::GCC_RISCV64,
    Tool::GCC_S390X,
    Tool::GCC_SPARC64,
];

/// What the kernel tests need of the kernel.
pub const KERNEL_FEATURES: &[Feature] = &[Feature::UserNamespaces, Feature::BinfmtMiscInUserNamespace];

/// Runs the tests; cargo takes this process over, so its exit code is ours.
///
/// # Errors
/// If something that the tests need cannot be put in place.
pub fn run(args: &TestArgs) -> Result<()> {
    let mut tools = Vec::new();
    let (group, selection, features): (_, &[&str], &[Feature]) = if args.containers {
        tools.extend(CONTAINER_TOOLS);
        ("container tests", &["--package", "tests", "--test", "containers"], &[Feature::CapCapable])
    } else if args.vm {
        tools.extend(VM_TOOLS);
        ("tests on other kernels", &["--package", "tests", "--test", "vm"], &[])
    } else if args.deploy {
        tools.extend(DEPLOY_TOOLS);
        ("deployment tests", &["--package", "tests", "--test", "deploy"], &[])
    } else {
        tools.extend(TOOLS);
        tools.extend(system::packaged(CROSS_COMPILERS));
        ("kernel tests", &["--workspace"], KERNEL_FEATURES)
    };
    system::require(&tools)?;
    if let Err(error) = kernel::require(features) {
        eprintln!("warning: {group} will fail: {error:#}");
    }
    compile::prepare(Host::named(None)?, false)?;
    let mut cargo = compile::cargo();
    if args.containers {
        // What the engines say, before and after, is what these tests show.
        cargo.env("RUST_TEST_NOCAPTURE", "1");
    }
    cargo.arg("test").args(selection);
    // What one group lacks, the others may not.
    if !args.args.iter().any(|arg| arg == "--no-fail-fast") {
        cargo.arg("--no-fail-fast");
    }
    let error = cargo.args(&args.args).exec();
    Err(error).context("starting cargo test")
}
