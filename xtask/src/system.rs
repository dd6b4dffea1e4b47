//! Programs and files that commands and tests need from the system, as data: what must be there, and which package of
//! which distribution brings it. [`require`] puts in place what is missing, or names the one line to type.
//!
//! Installing starts no service, and nothing here touches the kernel's `binfmt_misc`: packages that would register
//! handlers with a running system are left to its owner.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

/// One thing that must be there for a tool to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A program on `PATH`, or in a folder of system programs that an ordinary user's `PATH` lacks.
    Program(&'static str),
    /// A file.
    File(&'static str),
    /// A static C library for this GNU triple.
    Libc(&'static str),
}

/// A tool of the system: what it consists of, and the packages that bring it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// All of these must be there.
    pub needs: &'static [Need],
    /// Debian's and Ubuntu's packages.
    pub debian: &'static [&'static str],
    /// Fedora's packages; none where Fedora does not have it.
    pub fedora: &'static [&'static str],
    /// Its installation tells a running system's kernel of foreign architectures.
    pub registers: bool,
}

/// A program with a package of its own in each distribution.
const fn tool(needs: &'static [Need], debian: &'static [&'static str], fedora: &'static [&'static str]) -> Tool {
    Tool { needs, debian, fedora, registers: false }
}

use Need::{File, Libc, Program};

/// The table. Fedora's cross compilers come without a C library, so they are not listed.
impl Tool {
    /// Queries and checks packages.
    pub const RPM: Self = tool(&[Program("rpm"), Program("rpmkeys")], &["rpm"], &["rpm"]);
    /// Builds packages.
    pub const RPMBUILD: Self = tool(&[Program("rpmbuild")], &["rpm"], &["rpm-build"]);
    /// Signs packages.
    pub const RPMSIGN: Self = tool(&[Program("rpmsign")], &["rpm"], &["rpm-sign"]);
    /// Writes a repository's index.
    pub const CREATEREPO_C: Self = tool(&[Program("createrepo_c")], &["createrepo-c"], &["createrepo_c"]);
    /// Makes keys.
    pub const GPG: Self = tool(&[Program("gpg"), Program("gpgconf")], &["gnupg"], &["gnupg2"]);
    /// Serves a mirror.
    pub const NGINX: Self = tool(&[Program("nginx")], &["nginx"], &["nginx-core"]);
    /// Static emulators of QEMU's user mode.
    pub const EMULATORS: Self = Self {
        registers: true,
        ..tool(&[File("/usr/bin/qemu-aarch64-static")], &["qemu-user-static"], &["qemu-user-static"])
    };
    /// Links against musl.
    pub const MUSL_GCC: Self = tool(&[Program("musl-gcc")], &["musl-tools"], &["musl-gcc"]);
    /// A C compiler for the host.
    pub const CC: Self = tool(&[Program("cc")], &["gcc", "libc6-dev"], &["gcc"]);
    /// Counts system calls.
    pub const STRACE: Self = tool(&[Program("strace")], &["strace"], &["strace"]);
    /// Unpacks packages without verifying anything: what extraction is compared with.
    pub const BSDTAR: Self = tool(&[Program("bsdtar")], &["libarchive-tools"], &["bsdtar"]);
    /// Measures commands.
    pub const HYPERFINE: Self = tool(&[Program("hyperfine")], &["hyperfine"], &["hyperfine"]);
    /// Builds and runs images.
    pub const PODMAN: Self = tool(&[Program("podman")], &["podman"], &["podman"]);
    /// Builds images.
    pub const BUILDAH: Self = tool(&[Program("buildah")], &["buildah"], &["buildah"]);
    /// Copies images.
    pub const SKOPEO: Self = tool(&[Program("skopeo")], &["skopeo"], &["skopeo"]);
    /// Runs containers.
    pub const RUNC: Self = tool(&[Program("runc")], &["runc"], &["runc"]);
    /// Gives ordinary users ranges of ids.
    pub const UIDMAP: Self = tool(&[Program("newuidmap"), Program("newgidmap")], &["uidmap"], &["shadow-utils"]);
    /// Network of ordinary users' containers.
    pub const SLIRP4NETNS: Self = tool(&[Program("slirp4netns")], &["slirp4netns"], &["slirp4netns"]);
    /// Makes a base image.
    pub const DEBOOTSTRAP: Self = tool(&[Program("debootstrap")], &["debootstrap"], &["debootstrap"]);

    /// Compiles for aarch64.
    pub const GCC_AARCH64: Self = tool(
        &[Program("aarch64-linux-gnu-gcc"), Libc("aarch64-linux-gnu")],
        &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        &[],
    );
    /// Compiles for 32-bit ARM.
    pub const GCC_ARM: Self = tool(
        &[Program("arm-linux-gnueabihf-gcc"), Libc("arm-linux-gnueabihf")],
        &["gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"],
        &[],
    );
    /// Compiles for m68k.
    pub const GCC_M68K: Self = tool(
        &[Program("m68k-linux-gnu-gcc"), Libc("m68k-linux-gnu")],
        &["gcc-m68k-linux-gnu", "libc6-dev-m68k-cross"],
        &[],
    );
    /// Compiles for 64-bit little-endian MIPS.
    pub const GCC_MIPS64EL: Self = tool(
        &[Program("mips64el-linux-gnuabi64-gcc"), Libc("mips64el-linux-gnuabi64")],
        &["gcc-mips64el-linux-gnuabi64", "libc6-dev-mips64el-cross"],
        &[],
    );
    /// Compiles for ppc64le.
    pub const GCC_PPC64LE: Self = tool(
        &[Program("powerpc64le-linux-gnu-gcc"), Libc("powerpc64le-linux-gnu")],
        &["gcc-powerpc64le-linux-gnu", "libc6-dev-ppc64el-cross"],
        &[],
    );
    /// Compiles for riscv64.
    pub const GCC_RISCV64: Self = tool(
        &[Program("riscv64-linux-gnu-gcc"), Libc("riscv64-linux-gnu")],
        &["gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross"],
        &[],
    );
    /// Compiles for s390x.
    pub const GCC_S390X: Self = tool(
        &[Program("s390x-linux-gnu-gcc"), Libc("s390x-linux-gnu")],
        &["gcc-s390x-linux-gnu", "libc6-dev-s390x-cross"],
        &[],
    );
    /// Compiles for sparc64.
    pub const GCC_SPARC64: Self = tool(
        &[Program("sparc64-linux-gnu-gcc"), Libc("sparc64-linux-gnu")],
        &["gcc-sparc64-linux-gnu", "libc6-dev-sparc64-cross"],
        &[],
    );
}

impl Need {
    fn is_there(self) -> bool {
        match self {
            Self::Program(name) => find(name).is_some(),
            Self::File(path) => Path::new(path).exists(),
            // Debian's cross packages, and where the host itself is of that architecture.
            Self::Libc(triple) => [format!("/usr/{triple}/lib/libc.a"), format!("/usr/lib/{triple}/libc.a")]
                .iter()
                .any(|path| Path::new(path).exists()),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(name) | Self::File(name) => f.write_str(name),
            Self::Libc(triple) => write!(f, "a static C library for {triple}"),
        }
    }
}

/// Folders of system programs that an ordinary user's `PATH` may lack.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Full path of a program.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).chain(std::env::split_paths(SYSTEM_FOLDERS)).collect();
    folders.into_iter().map(|folder| folder.join(program)).find(|candidate| {
        fs::metadata(candidate).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

/// A command of a program, wherever it is.
pub fn command(program: &str) -> Command {
    Command::new(find(program).unwrap_or_else(|| program.into()))
}

/// Runs a command to its end, quietly.
///
/// # Errors
/// If it cannot be started or fails; then with the last lines of what it said.
pub fn run(command: &mut Command) -> Result<Output> {
    let name = Path::new(command.get_program()).file_name().map(OsStr::to_owned).unwrap_or_default();
    let name = name.display();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        bail!("running {name}: {}: {}", output.status, lines[lines.len().saturating_sub(3)..].join("; "));
    }
    Ok(output)
}

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
}

impl Manager {
    fn of_this_machine() -> Option<Self> {
        let managers = [(Self::Apt, "apt-get"), (Self::Dnf, "dnf")];
        managers.into_iter().find(|(_, program)| find(program).is_some()).map(|(manager, _)| manager)
    }

    fn packages(self, tool: &Tool) -> &'static [&'static str] {
        match self {
            Self::Apt => tool.debian,
            Self::Dnf => tool.fedora,
        }
    }

    /// What is typed to install the packages.
    fn line(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["apt-get", "install", "-y", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "-y", "--setopt=install_weak_deps=False"],
        }
    }

    fn install(self, packages: &[&str]) -> Result<()> {
        let (program, arguments) = (self.line()[0], &self.line()[1..]);
        let mut install = command(program);
        install.args(arguments).args(packages);
        match self {
            Self::Dnf => run(&mut install).map(drop),
            Self::Apt => {
                let _services = NoServices::begin()?;
                // Another installation may be under way: wait for it.
                install.args(["-o", "DPkg::Lock::Timeout=600"]).env("DEBIAN_FRONTEND", "noninteractive");
                // Package lists are absent in most container images, and old ones name files that are gone.
                if package_lists_are_there() && run(&mut install).is_ok() {
                    return Ok(());
                }
                run(command(program).args(["update", "-o", "DPkg::Lock::Timeout=600"]))?;
                run(&mut install).map(drop)
            }
        }
    }
}

fn package_lists_are_there() -> bool {
    fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")))
}

/// While it lives, Debian's packages start no service when they are installed (nginx's would).
struct NoServices {
    policy: Option<&'static Path>,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> Result<Self> {
        let policy = Path::new(Self::POLICY);
        match OpenOptions::new().write(true).create_new(true).mode(0o755).open(policy) {
            Ok(mut file) => {
                let guard = Self { policy: Some(policy) };
                file.write_all(b"#!/bin/sh\n# Of an installation under way; may be removed when none is.\nexit 101\n")
                    .with_context(|| format!("writing {}", policy.display()))?;
                Ok(guard)
            }
            // The machine's owner has a policy.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { policy: None }),
            Err(error) => Err(error).with_context(|| format!("writing {}", policy.display())),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = self.policy {
            // A policy that stays is said by what it contains.
            let _ = fs::remove_file(policy);
        }
    }
}

/// What is known of the machine when deciding what to install.
#[derive(Clone, Copy, Debug)]
struct Machine {
    manager: Option<Manager>,
    root: bool,
    /// systemd runs: installing emulators would register them.
    live: bool,
}

impl Machine {
    fn this() -> Self {
        Self {
            manager: Manager::of_this_machine(),
            root: nix::unistd::Uid::effective().is_root(),
            live: Path::new("/run/systemd/system").exists(),
        }
    }
}

/// Puts in place those tools that are missing.
///
/// # Errors
/// If that cannot be done; then with what is missing, and the line to type where there is one.
pub fn require(tools: &[Tool]) -> Result<()> {
    let missing: Vec<_> = tools.iter().filter(|tool| !tool.needs.iter().all(|need| need.is_there())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (manager, packages) = plan(&missing, Machine::this())?;
    eprintln!("installing {}", packages.join(" "));
    manager.install(&packages).context("installing what is missing")?;
    let absent = absent(&missing);
    ensure!(absent.is_empty(), "{} installed, but still missing: {absent}", packages.join(" "));
    Ok(())
}

/// What of these tools is not there.
fn absent(tools: &[&Tool]) -> String {
    let needs = tools.iter().flat_map(|tool| tool.needs).filter(|need| !need.is_there());
    needs.map(Need::to_string).collect::<Vec<_>>().join(", ")
}

/// Which packages to install, and through what.
fn plan(missing: &[&Tool], machine: Machine) -> Result<(Manager, Vec<&'static str>)> {
    let Some(manager) = machine.manager else {
        bail!("missing: {}; neither apt-get nor dnf is here to install them", absent(missing));
    };
    let unknown: Vec<_> = missing.iter().copied().filter(|tool| manager.packages(tool).is_empty()).collect();
    ensure!(unknown.is_empty(), "missing, and not packaged by this distribution: {}", absent(&unknown));
    let mut packages: Vec<&str> = Vec::new();
    for &package in missing.iter().flat_map(|tool| manager.packages(tool)) {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    let line = format!("{} {}", manager.line().join(" "), packages.join(" "));
    ensure!(machine.root, "missing: {}; type: sudo {line}", absent(missing));
    ensure!(
        !(machine.live && missing.iter().any(|tool| tool.registers)),
        "missing: {}; their installation may register emulators with this machine's kernel, so it is yours to type: {line}",
        absent(missing)
    );
    Ok((manager, packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Tool = tool(&[Program("no-such-program")], &["one", "two"], &["three"]);
    const ABSENT_TOO: Tool = tool(&[Program("nor-this")], &["two", "four"], &[]);
    const ROOT: Machine = Machine { manager: Some(Manager::Apt), root: true, live: true };

    #[test]
    fn packages_are_named_once() {
        let (manager, packages) = plan(&[&ABSENT, &ABSENT_TOO], ROOT).expect("a plan");
        assert_eq!((manager, packages), (Manager::Apt, vec!["one", "two", "four"]));
    }

    #[test]
    fn what_cannot_be_installed_is_said_in_one_line() {
        let emulators = Tool { registers: true, ..ABSENT };
        let dnf = Machine { manager: Some(Manager::Dnf), ..ROOT };
        for (tools, machine, expected) in [
            (
                [&ABSENT],
                Machine { root: false, ..ROOT },
                "missing: no-such-program; type: sudo apt-get install -y --no-install-recommends one two",
            ),
            (
                [&ABSENT],
                Machine { root: false, ..dnf },
                "missing: no-such-program; type: sudo dnf install -y --setopt=install_weak_deps=False three",
            ),
            (
                [&ABSENT],
                Machine { manager: None, ..ROOT },
                "missing: no-such-program; neither apt-get nor dnf is here to install them",
            ),
            ([&ABSENT_TOO], dnf, "missing, and not packaged by this distribution: nor-this"),
            (
                [&emulators],
                dnf,
                "missing: no-such-program; their installation may register emulators with this machine's kernel, so it \
                 is yours to type: dnf install -y --setopt=install_weak_deps=False three",
            ),
        ] {
            let error = plan(&tools, machine).expect_err(expected).to_string();
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_container_may_get_emulators() {
        let emulators = Tool { registers: true, ..ABSENT };
        plan(&[&emulators], Machine { live: false, ..ROOT }).expect("a plan");
    }

    #[test]
    fn a_failed_command_is_named_with_its_last_words() {
        let error = run(command("sh").args(["-c", "echo first; echo last >&2; exit 3"])).expect_err("a failure");
        assert_eq!(error.to_string(), "running sh: exit status: 3: first; last");
    }
}
