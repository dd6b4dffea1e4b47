//! Programs and files that commands and tests need from the system, as data: what must be there, and which package of
//! which distribution brings it. [`require`] puts in place what is missing, or names the one line to type.
//!
//! Which package manager does that, and how, is in `install`.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use codegen::elf;
use object::read::ReadCache;

pub mod host;
mod install;
pub mod kernel;
pub mod parallel;
pub(crate) mod peak_rss;

pub use install::{packaged, require};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// A program on `PATH`, or in a folder of system programs that an ordinary user's `PATH` lacks.
    Program(&'static str),
    File(&'static str),
    /// QEMU's static emulator of this target.
    Emulator(&'static str),
    /// A C library for this GNU triple.
    Libc(&'static str),
    /// A static C library of the machine itself.
    OwnLibc,
}

/// A tool of the system: what it consists of, and the packages that bring it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    pub(crate) requires: &'static [Requirement],
    /// Debian's and Ubuntu's packages. Where a release has another name, both, in the words of Debian's control files:
    /// the first of `old | new` that is there is installed.
    pub(crate) debian: &'static [&'static str],
    /// Fedora's packages; none where Fedora does not have it.
    pub(crate) fedora: &'static [&'static str],
    /// Installing it may register handlers in a running system's `binfmt_misc`.
    pub(crate) registers_binfmt: bool,
}

const fn tool(
    requires: &'static [Requirement],
    debian: &'static [&'static str],
    fedora: &'static [&'static str],
) -> Tool {
    Tool { requires, debian, fedora, registers_binfmt: false }
}

/// An assembler, in a package of the same name in both.
const fn assembler(requires: &'static [Requirement], packages: &'static [&'static str]) -> Tool {
    tool(requires, packages, packages)
}

/// A cross compiler with its C library: GNU triple, Debian's packages of both; Fedora has none.
macro_rules! cross {
    ($triple:literal, $compiler:literal, $libc:literal) => {
        tool(&[Program(concat!($triple, "-gcc")), Libc($triple)], &[$compiler, $libc], &[])
    };
}

use Requirement::{Emulator, File, Libc, OwnLibc, Program};

/// The table. A cross compiler of Fedora's has no C library where it looks for it (`sysroot-ARCH-fcNN-glibc` is below
/// `/usr/ARCH-redhat-linux/sys-root`), so that its packages do not make such a tool. dnf is told to leave out weak
/// dependencies: what a package only recommends is named.
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
    /// Fedora 43 has taken GnuPG apart (`gnupg2-gpgconf`, `gnupg2-gpg-agent`); dnf finds packages by their programs too.
    pub const GPG: Self = tool(
        &[Program("gpg"), Program("gpgconf"), Program("gpg-agent")],
        &["gnupg"],
        &["gnupg2", "/usr/bin/gpgconf", "/usr/bin/gpg-agent"],
    );
    pub(crate) const GIT: Self = tool(&[Program("git")], &["git"], &["git-core"]);
    /// Makes certificates.
    pub const OPENSSL: Self = tool(&[Program("openssl")], &["openssl"], &["openssl"]);
    /// Static emulators of QEMU's user mode. In Debian 14 and Ubuntu 26.04 they are in `qemu-user`, and
    /// `qemu-user-static` is only provided by `qemu-user-binfmt`; before, `qemu-user` is dynamically linked.
    pub const EMULATORS: Self = Self {
        registers_binfmt: true,
        ..tool(&[Emulator("aarch64")], &["qemu-user-static | qemu-user"], &["qemu-user-static"])
    };
    /// Links against musl. By Fedora's musl.spec, `libc.a` is in a package that `musl-devel` only recommends.
    pub const MUSL_GCC: Self = tool(&[Program("musl-gcc")], &["musl-tools"], &["musl-gcc", "musl-libc-static"]);
    pub(crate) const CC: Self = tool(&[Program("cc")], &["gcc", "libc6-dev"], &["gcc"]);
    pub(crate) const STATIC_LIBC: Self = tool(&[OwnLibc], &["libc6-dev"], &["glibc-static"]);
    /// Counts system calls.
    pub const STRACE: Self = tool(&[Program("strace")], &["strace"], &["strace"]);
    /// Gives programs a terminal. Fedora 42 has taken it out of util-linux; dnf finds packages by their programs too.
    pub(crate) const SCRIPT: Self = tool(&[Program("script")], &["bsdutils"], &["/usr/bin/script"]);
    /// Unpacks packages without verifying anything: what extraction is compared with.
    pub const BSDTAR: Self = tool(&[Program("bsdtar")], &["libarchive-tools"], &["bsdtar"]);
    /// Resolves what packages require: what choosing packages is compared with.
    pub const DNF: Self = tool(&[Program("dnf")], &["dnf"], &["dnf5"]);
    /// Builds and runs images.
    pub const PODMAN: Self = tool(&[Program("podman")], &["podman"], &["podman"]);
    pub(crate) const BUILDAH: Self = tool(&[Program("buildah")], &["buildah"], &["buildah"]);
    /// Copies images between registries and folders.
    pub const SKOPEO: Self = tool(&[Program("skopeo")], &["skopeo"], &["skopeo"]);
    /// Runs containers.
    pub const RUNC: Self = tool(&[Program("runc")], &["runc"], &["runc"]);
    /// Loads and runs images in its own way.
    /// Debian 13's `docker.io` only recommends `docker-cli`, which Debian 12 has not.
    pub const DOCKER: Self = tool(
        &[Program("docker"), Program("dockerd")],
        &["docker.io", "docker-cli | docker.io"],
        &["docker-cli", "moby-engine"],
    );
    pub(crate) const CONTAINERD: Self =
        tool(&[Program("containerd"), Program("ctr")], &["containerd"], &["containerd"]);
    pub(crate) const UIDMAP: Self = tool(&[Program("newuidmap"), Program("newgidmap")], &["uidmap"], &["shadow-utils"]);
    pub(crate) const ROOTLESSKIT: Self = tool(&[Program("rootlesskit")], &["rootlesskit"], &[]);
    pub(crate) const USERADD: Self = tool(&[Program("useradd"), Program("userdel")], &["passwd"], &["shadow-utils"]);
    pub(crate) const DEBOOTSTRAP: Self = tool(&[Program("debootstrap")], &["debootstrap"], &["debootstrap"]);
    pub(crate) const SYSTEMD_NSPAWN: Self =
        tool(&[Program("systemd-nspawn")], &["systemd-container"], &["systemd-container"]);
    pub(crate) const QEMU_SYSTEM_X86: Self =
        tool(&[Program("qemu-system-x86_64")], &["qemu-system-x86"], &["qemu-system-x86-core"]);
    /// Boots kernels of arm64.
    pub const QEMU_SYSTEM_ARM: Self =
        tool(&[Program("qemu-system-aarch64")], &["qemu-system-arm"], &["qemu-system-aarch64-core"]);
    /// Fetches and unpacks Debian's packages. Fedora's `apt` is Debian's since Fedora 32.
    pub const DPKG: Self = tool(&[Program("apt-get"), Program("dpkg-deb")], &["apt", "dpkg"], &["apt", "dpkg"]);
    pub(crate) const PIP: Self = tool(&[Program("python3"), Program("pip3")], &["python3-pip"], &["python3-pip"]);
    pub(crate) const SHELLCHECK: Self = tool(&[Program("shellcheck")], &["shellcheck"], &["ShellCheck"]);
    /// Reads units for mistakes, and `binfmt.d` at the start of a machine. dnf finds packages by their files too.
    pub(crate) const SYSTEMD: Self = tool(
        &[Program("systemd-analyze"), File("/usr/lib/systemd/systemd-binfmt")],
        &["systemd"],
        &["systemd", "/usr/lib/systemd/systemd-binfmt"],
    );
    pub(crate) const MAN: Self = tool(&[Program("man")], &["man-db"], &["man-db"]);
    pub(crate) const FISH: Self = tool(&[Program("fish")], &["fish"], &["fish"]);
    pub(crate) const ZSH: Self = tool(&[Program("zsh")], &["zsh"], &["zsh"]);
    pub(crate) const JQ: Self = tool(&[Program("jq")], &["jq"], &["jq"]);
    /// Keys of Debian's archive. Fedora's debian-keyring.spec installs Debian's source package of that name.
    pub const DEBIAN_KEYS: Self = tool(
        &[File("/usr/share/keyrings/debian-archive-keyring.gpg")],
        &["debian-archive-keyring"],
        &["debian-keyring"],
    );

    pub(crate) const AS_AARCH64: Self = assembler(&[Program("aarch64-linux-gnu-as")], &["binutils-aarch64-linux-gnu"]);
    pub(crate) const AS_PPC64LE: Self =
        assembler(&[Program("powerpc64le-linux-gnu-as")], &["binutils-powerpc64le-linux-gnu"]);
    pub(crate) const AS_S390X: Self = assembler(&[Program("s390x-linux-gnu-as")], &["binutils-s390x-linux-gnu"]);

    pub(crate) const GCC_AARCH64: Self = cross!("aarch64-linux-gnu", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross");
    pub(crate) const GCC_ARM: Self = cross!("arm-linux-gnueabihf", "gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross");
    pub(crate) const GCC_M68K: Self = cross!("m68k-linux-gnu", "gcc-m68k-linux-gnu", "libc6-dev-m68k-cross");
    pub(crate) const GCC_MIPS64EL: Self =
        cross!("mips64el-linux-gnuabi64", "gcc-mips64el-linux-gnuabi64", "libc6-dev-mips64el-cross");
    pub(crate) const GCC_PPC64LE: Self =
        cross!("powerpc64le-linux-gnu", "gcc-powerpc64le-linux-gnu", "libc6-dev-ppc64el-cross");
    pub(crate) const GCC_RISCV64: Self =
        cross!("riscv64-linux-gnu", "gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross");
    pub(crate) const GCC_S390X: Self = cross!("s390x-linux-gnu", "gcc-s390x-linux-gnu", "libc6-dev-s390x-cross");
    pub(crate) const GCC_SPARC64: Self =
        cross!("sparc64-linux-gnu", "gcc-sparc64-linux-gnu", "libc6-dev-sparc64-cross");
    pub(crate) const GCC_X86_64: Self = cross!("x86_64-linux-gnu", "gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross");
}

impl Requirement {
    fn is_there(self) -> bool {
        match self {
            Self::Program(name) => find(name).is_some(),
            Self::File(path) => Path::new(path).exists(),
            Self::Emulator(target) => emulator(target).is_some(),
            // Debian's cross packages, and where the host itself is of that architecture.
            Self::Libc(triple) => [format!("/usr/{triple}/lib/libc.a"), format!("/usr/lib/{triple}/libc.a")]
                .iter()
                .any(|path| Path::new(path).exists()),
            // A file that it knows has a folder in its name.
            Self::OwnLibc => command("cc").arg("-print-file-name=libc.a").output().is_ok_and(|output| {
                Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute() && output.status.success()
            }),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(name) | Self::File(name) => f.write_str(name),
            Self::Emulator(target) => write!(f, "a static qemu-{target}"),
            Self::Libc(triple) => write!(f, "a static C library for {triple}"),
            Self::OwnLibc => f.write_str("a static C library"),
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

const EMULATORS: &str = "/usr/bin";

/// This machine's static emulator of a target: `qemu-TARGET-static`, or `qemu-TARGET` where that is static.
pub fn emulator(target: &str) -> Option<PathBuf> {
    emulator_in(Path::new(EMULATORS), target)
}

/// The same in another folder.
pub fn emulator_in(folder: &Path, target: &str) -> Option<PathBuf> {
    // Debian 12 and Fedora have both, and only the first is static; Debian 14 has the second alone.
    let names = [format!("qemu-{target}-static"), format!("qemu-{target}")];
    names.map(|name| folder.join(name)).into_iter().find(|path| is_static(path))
}

/// Whether a program needs neither a dynamic loader nor a shared library.
pub(crate) fn is_static(program: &Path) -> bool {
    let facts = fs::File::open(program).ok().and_then(|file| elf::facts(&ReadCache::new(file)).ok());
    facts.is_some_and(|facts| facts.interpreter.is_none() && facts.needed == 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_its_last_words() {
        let error = run(command("sh").args(["-c", "echo first; echo last >&2; exit 3"])).expect_err("a failure");
        assert_eq!(error.to_string(), "running sh: exit status: 3: first; last");
    }
}
