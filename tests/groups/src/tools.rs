//! The system's tools that only tests and benches want. What a build wants, and how a tool is installed, is
//! [`xtask::system`]'s. dnf is told to leave out weak dependencies: what a package only recommends is named.

use std::path::Path;

use anyhow::Result;
use nix::unistd::Uid;
use xtask::cross_compiler;
use xtask::system::Requirement::{File, Other, Program};
use xtask::system::{self, Requirement, Tool, tool};

use crate::emulators::emulator;
use crate::services::{POLICY, PolicyRcGuard};

/// Installs those tools that are missing.
///
/// # Errors
/// If that cannot be done; then with what is missing, and the line to type where there is one.
pub fn require(tools: &[Tool]) -> Result<()> {
    let installs = Uid::effective().is_root() && !system::missing(tools).is_empty();
    let guard = (installs && system::find("apt-get").is_some()).then(|| PolicyRcGuard::begin(Path::new(POLICY)));
    let _services = guard.transpose()?;
    system::require(tools)
}

/// A tool whose packages have the same names in both distributions.
const fn same(requires: &'static [Requirement], packages: &'static [&'static str]) -> Tool {
    tool(requires, packages, packages)
}

/// Queries and checks packages.
pub const RPM: Tool = tool(&[Program("rpm"), Program("rpmkeys")], &["rpm"], &["rpm"]);
/// Builds packages.
pub const RPMBUILD: Tool = tool(&[Program("rpmbuild")], &["rpm"], &["rpm-build"]);
/// Signs packages.
pub const RPMSIGN: Tool = tool(&[Program("rpmsign")], &["rpm"], &["rpm-sign"]);
/// Writes a repository's index.
pub const CREATEREPO_C: Tool = tool(&[Program("createrepo_c")], &["createrepo-c"], &["createrepo_c"]);
/// Makes keys.
/// Fedora 43 has taken GnuPG apart (`gnupg2-gpgconf`, `gnupg2-gpg-agent`); dnf finds packages by their programs too.
pub const GPG: Tool = tool(
    &[Program("gpg"), Program("gpgconf"), Program("gpg-agent")],
    &["gnupg"],
    &["gnupg2", "/usr/bin/gpgconf", "/usr/bin/gpg-agent"],
);
pub(crate) const GIT: Tool = tool(&[Program("git")], &["git"], &["git-core"]);
/// Makes certificates.
pub const OPENSSL: Tool = tool(&[Program("openssl")], &["openssl"], &["openssl"]);
/// Static emulators of QEMU's user mode. In Debian 14 and Ubuntu 26.04 they are in `qemu-user`, and
/// `qemu-user-static` is only provided by `qemu-user-binfmt`; before, `qemu-user` is dynamically linked.
pub const EMULATORS: Tool = tool(
    &[Other("a static qemu-aarch64", || emulator("aarch64").is_some())],
    &["qemu-user-static | qemu-user"],
    &["qemu-user-static"],
)
.that_registers_binfmt();
/// Links against musl. By Fedora's musl.spec, `libc.a` is in a package that `musl-devel` only recommends.
pub const MUSL_GCC: Tool = tool(&[Program("musl-gcc")], &["musl-tools"], &["musl-gcc", "musl-libc-static"]);
/// Counts system calls.
pub const STRACE: Tool = tool(&[Program("strace")], &["strace"], &["strace"]);
/// Gives programs a terminal. Fedora 42 has taken it out of util-linux; dnf finds packages by their programs too.
pub(crate) const SCRIPT: Tool = tool(&[Program("script")], &["bsdutils"], &["/usr/bin/script"]);
/// Unpacks packages without verifying anything: what extraction is compared with.
pub const BSDTAR: Tool = tool(&[Program("bsdtar")], &["libarchive-tools"], &["bsdtar"]);
/// Resolves what packages require: what choosing packages is compared with.
pub const DNF: Tool = tool(&[Program("dnf")], &["dnf"], &["dnf5"]);
/// Builds and runs images.
pub const PODMAN: Tool = tool(&[Program("podman")], &["podman"], &["podman"]);
pub(crate) const BUILDAH: Tool = tool(&[Program("buildah")], &["buildah"], &["buildah"]);
/// Copies images between registries and folders.
pub const SKOPEO: Tool = tool(&[Program("skopeo")], &["skopeo"], &["skopeo"]);
/// Runs containers.
pub const RUNC: Tool = tool(&[Program("runc")], &["runc"], &["runc"]);
/// Loads and runs images in its own way.
/// Debian 13's `docker.io` only recommends `docker-cli`, which Debian 12 has not.
pub const DOCKER: Tool = tool(
    &[Program("docker"), Program("dockerd")],
    &["docker.io", "docker-cli | docker.io"],
    &["docker-cli", "moby-engine"],
);
pub(crate) const CONTAINERD: Tool = tool(&[Program("containerd"), Program("ctr")], &["containerd"], &["containerd"]);
pub(crate) const UIDMAP: Tool = tool(&[Program("newuidmap"), Program("newgidmap")], &["uidmap"], &["shadow-utils"]);
pub(crate) const ROOTLESSKIT: Tool = tool(&[Program("rootlesskit")], &["rootlesskit"], &[]);
pub(crate) const USERADD: Tool = tool(&[Program("useradd"), Program("userdel")], &["passwd"], &["shadow-utils"]);
pub(crate) const DEBOOTSTRAP: Tool = tool(&[Program("debootstrap")], &["debootstrap"], &["debootstrap"]);
pub(crate) const SYSTEMD_NSPAWN: Tool =
    tool(&[Program("systemd-nspawn")], &["systemd-container"], &["systemd-container"]);
pub(crate) const QEMU_SYSTEM_X86: Tool =
    tool(&[Program("qemu-system-x86_64")], &["qemu-system-x86"], &["qemu-system-x86-core"]);
/// Boots kernels of arm64.
pub const QEMU_SYSTEM_ARM: Tool =
    tool(&[Program("qemu-system-aarch64")], &["qemu-system-arm"], &["qemu-system-aarch64-core"]);
/// Fetches and unpacks Debian's packages. Fedora's `apt` is Debian's since Fedora 32.
pub const DPKG: Tool = tool(&[Program("apt-get"), Program("dpkg-deb")], &["apt", "dpkg"], &["apt", "dpkg"]);
pub(crate) const PIP: Tool = tool(&[Program("python3"), Program("pip3")], &["python3-pip"], &["python3-pip"]);
pub(crate) const SHELLCHECK: Tool = tool(&[Program("shellcheck")], &["shellcheck"], &["ShellCheck"]);
/// Reads units for mistakes, and `binfmt.d` at the start of a machine. dnf finds packages by their files too.
pub(crate) const SYSTEMD: Tool = tool(
    &[Program("systemd-analyze"), File("/usr/lib/systemd/systemd-binfmt")],
    &["systemd"],
    &["systemd", "/usr/lib/systemd/systemd-binfmt"],
);
pub(crate) const MAN: Tool = tool(&[Program("man")], &["man-db"], &["man-db"]);
pub(crate) const FISH: Tool = tool(&[Program("fish")], &["fish"], &["fish"]);
pub(crate) const ZSH: Tool = tool(&[Program("zsh")], &["zsh"], &["zsh"]);
pub(crate) const JQ: Tool = tool(&[Program("jq")], &["jq"], &["jq"]);
/// Keys of Debian's archive. Fedora's debian-keyring.spec installs Debian's source package of that name.
pub const DEBIAN_KEYS: Tool =
    tool(&[File("/usr/share/keyrings/debian-archive-keyring.gpg")], &["debian-archive-keyring"], &["debian-keyring"]);
pub(crate) const AS_AARCH64: Tool = same(&[Program("aarch64-linux-gnu-as")], &["binutils-aarch64-linux-gnu"]);
pub(crate) const AS_PPC64LE: Tool = same(&[Program("powerpc64le-linux-gnu-as")], &["binutils-powerpc64le-linux-gnu"]);
pub(crate) const AS_S390X: Tool = same(&[Program("s390x-linux-gnu-as")], &["binutils-s390x-linux-gnu"]);
pub(crate) const GCC_ARM: Tool =
    cross_compiler!("arm-linux-gnueabihf", "gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross");
pub(crate) const GCC_M68K: Tool = cross_compiler!("m68k-linux-gnu", "gcc-m68k-linux-gnu", "libc6-dev-m68k-cross");
pub(crate) const GCC_MIPS64EL: Tool =
    cross_compiler!("mips64el-linux-gnuabi64", "gcc-mips64el-linux-gnuabi64", "libc6-dev-mips64el-cross");
pub(crate) const GCC_RISCV64: Tool =
    cross_compiler!("riscv64-linux-gnu", "gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross");
pub(crate) const GCC_SPARC64: Tool =
    cross_compiler!("sparc64-linux-gnu", "gcc-sparc64-linux-gnu", "libc6-dev-sparc64-cross");
