//! `cargo xtask test`: puts in place what a group of tests needs, and runs it. The tests themselves are in the crates and in
//! `tests/`.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::build::compile;
use crate::say;
use crate::system::host::Host;
use crate::system::kernel::{self, Feature};
use crate::system::{self, Tool};

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
    features: KERNEL_FEATURES,
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
    Tool::GCC_AARCH64,
    Tool::GCC_PPC64LE,
    Tool::GCC_S390X,
    Tool::DPKG,
    Tool::DEBIAN_KEYS,
    Tool::JQ,
];

/// What the tests on other kernels need.
const VM_TOOLS: &[Tool] = &[
    Tool::QEMU_SYSTEM_X86,
    Tool::QEMU_SYSTEM_ARM,
    Tool::DPKG,
    Tool::DEBIAN_KEYS,
    Tool::DEBOOTSTRAP,
    Tool::EMULATORS,
    Tool::MUSL_GCC,
];

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
    Tool::OPENSSL,
    Tool::GIT,
    Tool::EMULATORS,
    Tool::MUSL_GCC,
    Tool::STRACE,
    Tool::FISH,
    Tool::JQ,
    Tool::MAN,
    Tool::ZSH,
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

/// Runs the groups one after the other, also where an earlier one has failed.
///
/// # Errors
/// If a tool cannot be put in place, or tests fail; then with the groups' names.
pub fn run(args: &TestArgs) -> Result<()> {
    let groups = args.selection.groups();
    let mut failed = Vec::new();
    for group in groups {
        let start = Instant::now();
        if !group.passes(&args.args)? {
            failed.push(group.name);
        }
        say!("{}: {} s", group.name, start.elapsed().as_secs());
    }
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
        system::require(&tools)?;
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
