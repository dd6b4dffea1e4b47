//! Programs of the system: finding and running them, and, as data, which package of which distribution has those that a
//! build needs. [`require`] installs what is missing through `install`.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

pub mod host;
mod install;
pub mod parallel;
pub(crate) mod peak_rss;

pub use install::{missing, packaged, require};

#[derive(Clone, Copy, Debug)]
pub enum Requirement {
    /// A program on `PATH`, or in a folder of system programs that an ordinary user's `PATH` lacks.
    Program(&'static str),
    File(&'static str),
    /// A C library for this GNU triple.
    Libc(&'static str),
    /// A static C library of the machine itself.
    OwnLibc,
    /// Anything else: its name, and whether it is there.
    Other(&'static str, fn() -> bool),
}

/// A tool of the system: what it consists of, and the packages that bring it.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    pub(crate) requires: &'static [Requirement],
    /// Debian's and Ubuntu's packages. Of `old | new` the first that the release has is installed.
    pub(crate) debian: &'static [&'static str],
    /// Fedora's packages; none where Fedora does not have it.
    pub(crate) fedora: &'static [&'static str],
    /// Installing it may register handlers in a running system's `binfmt_misc`.
    pub(crate) registers_binfmt: bool,
}

/// A tool that registers no handlers: what it consists of, Debian's packages, Fedora's packages.
pub const fn tool(
    requires: &'static [Requirement],
    debian: &'static [&'static str],
    fedora: &'static [&'static str],
) -> Tool {
    Tool { requires, debian, fedora, registers_binfmt: false }
}

/// A cross compiler with its C library: GNU triple, Debian's packages of both. Fedora's cross compilers have no C library
/// where they look for it (`sysroot-ARCH-fcNN-glibc` is below `/usr/ARCH-redhat-linux/sys-root`), so it has none.
#[macro_export]
macro_rules! cross_compiler {
    ($triple:literal, $compiler:literal, $libc:literal) => {
        $crate::system::tool(
            &[
                $crate::system::Requirement::Program(concat!($triple, "-gcc")),
                $crate::system::Requirement::Libc($triple),
            ],
            &[$compiler, $libc],
            &[],
        )
    };
}

impl Tool {
    pub const CC: Self = tool(&[Requirement::Program("cc")], &["gcc", "libc6-dev"], &["gcc"]);
    pub const STATIC_LIBC: Self = tool(&[Requirement::OwnLibc], &["libc6-dev"], &["glibc-static"]);

    pub const GCC_AARCH64: Self =
        cross_compiler!("aarch64-linux-gnu", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross");
    pub const GCC_PPC64LE: Self =
        cross_compiler!("powerpc64le-linux-gnu", "gcc-powerpc64le-linux-gnu", "libc6-dev-ppc64el-cross");
    pub const GCC_S390X: Self = cross_compiler!("s390x-linux-gnu", "gcc-s390x-linux-gnu", "libc6-dev-s390x-cross");
    pub const GCC_X86_64: Self = cross_compiler!("x86_64-linux-gnu", "gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross");
}

impl Tool {
    /// The same tool, whose installation may register handlers.
    #[must_use]
    pub const fn that_registers_binfmt(self) -> Self {
        Self { registers_binfmt: true, ..self }
    }
}

impl Requirement {
    fn is_there(self) -> bool {
        match self {
            Self::Program(name) => find(name).is_some(),
            Self::File(path) => Path::new(path).exists(),
            // Debian's cross packages, and where the host itself is of that architecture.
            Self::Libc(triple) => [format!("/usr/{triple}/lib/libc.a"), format!("/usr/lib/{triple}/libc.a")]
                .iter()
                .any(|path| Path::new(path).exists()),
            // A file that it knows has a folder in its name.
            Self::OwnLibc => command("cc").arg("-print-file-name=libc.a").output().is_ok_and(|output| {
                Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute() && output.status.success()
            }),
            Self::Other(_, is_there) => is_there(),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(name) | Self::File(name) | Self::Other(name, _) => f.write_str(name),
            Self::Libc(triple) => write!(f, "a static C library for {triple}"),
            Self::OwnLibc => f.write_str("a static C library"),
        }
    }
}

/// Folders of system programs that an ordinary user's `PATH` may lack.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).chain(std::env::split_paths(SYSTEM_FOLDERS)).collect();
    folders.into_iter().map(|folder| folder.join(program)).find(|candidate| {
        fs::metadata(candidate).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

pub fn command(program: &str) -> Command {
    Command::new(find(program).unwrap_or_else(|| program.into()))
}

/// Runs a command to its end. The error of one that fails has the last lines of its output.
pub fn run(command: &mut Command) -> Result<Output> {
    let name = Path::new(command.get_program()).file_name().map(OsStr::to_owned).unwrap_or_default();
    let name = name.display();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        let lines: Vec<_> = printed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
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
