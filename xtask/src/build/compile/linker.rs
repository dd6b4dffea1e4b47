//! Which program links `registrar`.
//!
//! For musl it is the toolchain's own `rust-lld`, with the toolchain's own C library and start-up objects: then no C
//! compiler of the machine has a part in the program's bytes, and another host's takes no cross compiler. glibc is the
//! machine's, and only its C compiler knows where that is.

use std::env;
use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

use anyhow::Result;

use super::libdir;
use crate::system::host::Host;

const RUST_LLD: &str = "rust-lld";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Linker {
    /// Named by the user in `CARGO_TARGET_…_LINKER`.
    Chosen(OsString),
    RustLld,
    Compiler(String),
}

impl Linker {
    /// The one for a Rust target of a host: the user's choice, else the toolchain's if it has one, else a C compiler.
    pub(super) fn of(host: Host, target: &str) -> Result<Self> {
        let chosen = env::var_os(variable(target));
        let bundled = chosen.is_none() && is_musl(target) && is_bundled(libdir(None)?, libdir(Some(target))?);
        Ok(match chosen {
            Some(program) => Self::Chosen(program),
            None if bundled => Self::RustLld,
            None if host.is_this_machine() => Self::Compiler("cc".into()),
            None => Self::Compiler(host.gcc()),
        })
    }

    /// The value for cargo's [`variable`]; cargo itself calls `cc` on the host, and rustc finds `rust-lld` by name.
    pub(super) fn to_set(&self, host: Host) -> Option<&str> {
        match self {
            Self::RustLld => Some(RUST_LLD),
            Self::Compiler(name) if !host.is_this_machine() => Some(name),
            Self::Compiler(_) | Self::Chosen(_) => None,
        }
    }

    /// For musl linked by a C compiler that the user did not name.
    pub(super) fn warning(&self, target: &str) -> Option<String> {
        match self {
            Self::Compiler(name) if is_musl(target) => Some(format!(
                "this Rust toolchain has no {RUST_LLD} for {target}; {name} links registrar, so its bytes are not those \
                 of other machines"
            )),
            _ => None,
        }
    }
}

/// As it is told of in the SBOM: the same on machines where it does the same.
impl Display for Linker {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::RustLld => formatter.write_str(RUST_LLD),
            Self::Compiler(_) => formatter.write_str("a C compiler"),
            Self::Chosen(program) => {
                let name = Path::new(program).file_name().unwrap_or(program);
                write!(formatter, "{}", name.display())
            }
        }
    }
}

pub(super) fn variable(target: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", target.to_ascii_uppercase().replace('-', "_"))
}

fn is_musl(target: &str) -> bool {
    target.ends_with("-musl")
}

/// Whether a toolchain has `rust-lld` and musl's start-up objects. Distributions' packages of Rust have neither.
fn is_bundled(own: Option<impl AsRef<Path>>, target: Option<impl AsRef<Path>>) -> bool {
    let linker = own.and_then(|libdir| Some(libdir.as_ref().parent()?.join("bin").join(RUST_LLD)));
    let objects = target.map(|libdir| libdir.as_ref().join("self-contained/crt1.o"));
    [linker, objects].into_iter().all(|path| path.is_some_and(|path| path.is_file()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_toolchain_links_musl_itself_if_it_has_what_that_takes() {
        let toolchain = tempfile::tempdir().expect("a temporary folder");
        let own = toolchain.path().join("rustlib/x86_64-unknown-linux-gnu/lib");
        let target = toolchain.path().join("rustlib/aarch64-unknown-linux-musl/lib");
        let files = [own.with_file_name("bin").join(RUST_LLD), target.join("self-contained/crt1.o")];
        for (number, file) in files.iter().enumerate() {
            assert!(!is_bundled(Some(&own), Some(&target)), "{number} of its files");
            fs::create_dir_all(file.parent().expect("a folder")).and_then(|()| fs::write(file, "")).expect("a file");
        }
        assert!(is_bundled(Some(&own), Some(&target)));
        assert!(!is_bundled(Some(&own), None::<&Path>), "a target that it does not know");
    }

    #[test]
    fn only_a_fallback_is_warned_of() {
        let musl = "aarch64-unknown-linux-musl";
        let compiler = Linker::Compiler("aarch64-linux-gnu-gcc".into());
        let warning = compiler.warning(musl).expect("a warning");
        assert!(warning.contains("no rust-lld") && warning.contains("aarch64-linux-gnu-gcc links"), "{warning}");
        assert_eq!(compiler.warning("aarch64-unknown-linux-gnu"), None);
        assert_eq!(Linker::RustLld.warning(musl), None);
        let chosen = Linker::Chosen("/opt/bin/mold".into());
        assert_eq!((chosen.warning(musl), chosen.to_string()), (None, "mold".into()));
    }
}
