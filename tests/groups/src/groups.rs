//! The groups: what each needs, which calls of `cargo test` it is, and the command line that chooses them.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use xtask::build::compile;
use xtask::say;
use xtask::system::host::Host;
use xtask::system::{self, Tool};

use crate::kernel::{self, Feature, KERNEL_TESTS};
use crate::tools::{
    self, AS_AARCH64, AS_PPC64LE, AS_S390X, BSDTAR, BUILDAH, CONTAINERD, CREATEREPO_C, DEBIAN_KEYS, DEBOOTSTRAP,
    DOCKER, DPKG, EMULATORS, FISH, GCC_ARM, GCC_M68K, GCC_MIPS64EL, GCC_RISCV64, GCC_SPARC64, GIT, GPG, JQ, MAN,
    MUSL_GCC, OPENSSL, PIP, PODMAN, QEMU_SYSTEM_ARM, QEMU_SYSTEM_X86, ROOTLESSKIT, RPM, RPMBUILD, RPMSIGN, RUNC,
    SCRIPT, SHELLCHECK, SKOPEO, STRACE, SYSTEMD, SYSTEMD_NSPAWN, UIDMAP, USERADD, ZSH,
};

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    #[command(flatten)]
    selection: Selection,

    /// Passed on to each `cargo test`
    #[arg(last = true)]
    args: Vec<String>,
}

/// Which tests; at most one of these.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Selection {
    /// Leave out the kernel tests and those that kill builds: minutes less
    #[arg(long)]
    fast: bool,

    /// Run all groups, one after the other, as CI does
    #[arg(long)]
    all: bool,

    /// Run the container tests instead: they build the image with podman and register it on this machine
    #[arg(long)]
    containers: bool,

    /// Run the tests on other kernels instead: they boot Debian's in emulated machines, of arm64 and under SELinux and
    /// AppArmor too
    #[arg(long)]
    vm: bool,

    /// Check the files that deploy the image instead, each with the tool or the schema that it is made for
    #[arg(long)]
    deploy: bool,
}

/// Tests that are run together, and what they need.
struct Group {
    name: &'static str,
    tools: &'static [Tool],
    /// Whether cross compilers are used, those that the distribution has.
    has_cross_compilers: bool,
    features: &'static [Feature],
    /// Calls of `cargo test`.
    runs: &'static [Run],
}

/// One call of `cargo test`.
struct Run {
    /// Packages and targets.
    selection: &'static [&'static str],
    /// For the tests' own programs.
    filters: &'static [&'static str],
}

const fn run_of(selection: &'static [&'static str]) -> Run {
    Run { selection, filters: &[] }
}

/// A module of the mirror tests has all that kill a build: this name.
const FAST: Group = Group {
    name: "fast tests",
    tools: TOOLS,
    has_cross_compilers: false,
    features: &[Feature::UserNamespaces],
    runs: &[
        run_of(&["--workspace", "--exclude", "tests"]),
        Run {
            selection: &["--package", "tests", "--test", "image", "--test", "mirror"],
            filters: &["--skip", "sigkill::"],
        },
    ],
};

const DEFAULT: Group = Group {
    name: "workspace and kernel tests",
    has_cross_compilers: true,
    features: KERNEL_TESTS,
    runs: &[run_of(&["--workspace"])],
    ..FAST
};

const DEPLOY: Group = Group {
    name: "deployment tests",
    tools: DEPLOY_TOOLS,
    has_cross_compilers: false,
    features: &[],
    runs: &[run_of(&["--package", "tests", "--test", "deploy"])],
};

const CONTAINERS: Group = Group {
    name: "container tests",
    tools: CONTAINER_TOOLS,
    has_cross_compilers: false,
    features: &[Feature::CapCapable],
    runs: &[Run { selection: &["--package", "tests", "--test", "containers"], filters: &["--nocapture"] }],
};

const VM: Group = Group {
    name: "tests on other kernels",
    tools: VM_TOOLS,
    has_cross_compilers: false,
    features: &[],
    runs: &[run_of(&["--package", "tests", "--test", "vm"])],
};

impl Selection {
    fn groups(&self) -> &'static [Group] {
        match self {
            Self { fast: true, .. } => &[FAST],
            Self { all: true, .. } => &[DEFAULT, DEPLOY, CONTAINERS, VM],
            Self { containers: true, .. } => &[CONTAINERS],
            Self { vm: true, .. } => &[VM],
            Self { deploy: true, .. } => &[DEPLOY],
            _ => &[DEFAULT],
        }
    }
}

/// What the container tests need.
const CONTAINER_TOOLS: &[Tool] = &[
    PODMAN,
    BUILDAH,
    SKOPEO,
    DOCKER,
    CONTAINERD,
    RUNC,
    UIDMAP,
    ROOTLESSKIT,
    USERADD,
    DEBOOTSTRAP,
    SYSTEMD_NSPAWN,
    EMULATORS,
    DPKG,
    DEBIAN_KEYS,
    RPMBUILD,
    RPMSIGN,
    CREATEREPO_C,
    GPG,
    Tool::GCC_AARCH64,
    Tool::GCC_PPC64LE,
    Tool::GCC_S390X,
    DPKG,
    DEBIAN_KEYS,
    JQ,
];

/// What the tests on other kernels need.
const VM_TOOLS: &[Tool] = &[QEMU_SYSTEM_X86, QEMU_SYSTEM_ARM, DPKG, DEBIAN_KEYS, DEBOOTSTRAP, EMULATORS, MUSL_GCC];

/// What the checks of the files that deploy need. Newer tools than the machine may have are fetched by the tests.
const DEPLOY_TOOLS: &[Tool] = &[DPKG, DEBIAN_KEYS, PIP, SHELLCHECK, SYSTEMD];

/// What the workspace's tests need.
const TOOLS: &[Tool] = &[
    Tool::CC,
    RPM,
    RPMBUILD,
    RPMSIGN,
    CREATEREPO_C,
    GPG,
    OPENSSL,
    GIT,
    EMULATORS,
    MUSL_GCC,
    STRACE,
    FISH,
    JQ,
    MAN,
    ZSH,
    BSDTAR,
    SCRIPT,
    SYSTEMD,
    DPKG,
    DEBIAN_KEYS,
    AS_AARCH64,
    AS_PPC64LE,
    AS_S390X,
];

/// Cross compilers with their assemblers and C libraries: tests use those that the distribution has. One that finds none
/// fails.
const CROSS_COMPILERS: &[Tool] =
    &[Tool::GCC_AARCH64, GCC_ARM, GCC_M68K, GCC_MIPS64EL, Tool::GCC_PPC64LE, GCC_RISCV64, Tool::GCC_S390X, GCC_SPARC64];

/// Runs the groups one after the other, also where an earlier one has failed; prints the time of each at the end.
///
/// # Errors
/// If a tool cannot be put in place, or tests fail; then with the groups' names.
pub fn run(args: &TestArgs) -> Result<()> {
    let groups = args.selection.groups();
    let (mut failed, mut times, mut result) = (Vec::new(), Vec::new(), Ok(()));
    for group in groups {
        let start = Instant::now();
        let passes = group.passes(&args.args);
        times.push(format!("{}: {} s", group.name, start.elapsed().as_secs()));
        match passes {
            Ok(true) => {}
            Ok(false) => failed.push(group.name),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    say!("{}", times.join("\n"));
    result?;
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

impl Group {
    /// Runs all of it, `more` being what a user adds to each `cargo test`.
    fn passes(&self, more: &[String]) -> Result<bool> {
        let mut tools = self.tools.to_vec();
        if self.has_cross_compilers {
            tools.extend(system::packaged(CROSS_COMPILERS));
        }
        tools::require(&tools)?;
        if let Err(error) = kernel::require(self.features) {
            eprintln!("warning: {} will fail: {error:#}", self.name);
        }
        compile::prepare(Host::named(None)?, false)?;
        let mut passes = true;
        for run in self.runs {
            let arguments = run.arguments(more);
            let status = compile::cargo().arg("test").args(arguments).status().context("starting cargo test")?;
            passes &= status.success();
        }
        Ok(passes)
    }
}

impl Run {
    /// The arguments of `cargo test`; `more` may have some for the tests' programs too, after a `--`.
    fn arguments(&self, more: &[String]) -> Vec<String> {
        let end = more.iter().position(|word| word == "--").unwrap_or(more.len());
        let (for_cargo, for_tests) = (&more[..end], more[end..].iter().skip(1));
        let mut arguments: Vec<String> = self.selection.iter().map(|&word| word.into()).collect();
        // A failure in one program does not keep the others from running.
        if !for_cargo.iter().any(|word| word == "--no-fail-fast") {
            arguments.push("--no-fail-fast".into());
        }
        arguments.extend_from_slice(for_cargo);
        arguments.push("--".into());
        arguments.extend(self.filters.iter().map(|&word| word.into()));
        arguments.extend(for_tests.cloned());
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::{FAST, run_of};

    #[test]
    fn a_users_arguments_go_to_cargo_and_after_a_dash_to_the_tests() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(run_of(&["--workspace"]).arguments(&[]), words("--workspace --no-fail-fast --"));
        let all = run_of(&["--workspace"]).arguments(&words("--release -- one two"));
        assert_eq!(all, words("--workspace --no-fail-fast --release -- one two"));
        let mirror = FAST.runs[1].arguments(&words("-- one"));
        assert!(mirror.ends_with(&words("-- --skip sigkill:: one")), "{mirror:?}");
    }
}
