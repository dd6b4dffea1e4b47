//! Names of architectures that the table does not list: platforms of containerd and OCI with any variant, compilers'
//! triples, and emulators' file names. And a few names for many, in messages.

use super::{EMULATOR_OF_ANY, TABLE};

const LINUX: &str = "linux/";

/// Systems of Go's and containerd's platforms other than Linux.
const OTHER_SYSTEMS: &str = "aix android darwin dragonfly freebsd hurd illumos ios js macos nacl netbsd openbsd plan9 \
                             solaris wasi wasip1 wasip2 windows zos";

/// Starts of machine names that compilers extend by versions and extensions (`armv7`, `riscv64gc`), with QEMU's names.
const EXTENDED: [(&str, &str); 10] = [
    ("armv4", "arm"),
    ("armv5", "arm"),
    ("armv6", "arm"),
    ("armv7", "arm"),
    ("thumbv7", "arm"),
    ("armebv7", "armeb"),
    ("riscv32", "riscv32"),
    ("riscv64", "riscv64"),
    ("alphaev", "alpha"),
    ("hppa", "hppa"),
];

/// At most this many names are written out of many.
const NAMED: usize = 3;

/// The first of many names of handlers.
pub(crate) fn first_of(names: &[&str]) -> String {
    names[..names.len().min(NAMED)].join(", ") + if names.len() > NAMED { ", …" } else { "" }
}

/// QEMU's name of the target that a user means.
pub(crate) fn target(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    TABLE.target(&name).or_else(|| emulator(&name)).or_else(|| platform(&name)).or_else(|| triple(&name))
}

/// Whether it is a platform of another system than Linux: `windows/amd64`, `windows(10.0.17763)/amd64`, `wasi/wasm`.
pub(crate) fn is_other_system(name: &str) -> bool {
    let system = name.split(['/', '(']).next().unwrap_or_default().to_ascii_lowercase();
    OTHER_SYSTEMS.split(' ').any(|other| other == system)
}

/// Of `qemu-aarch64-static` and `/usr/bin/qemu-aarch64`.
fn emulator(name: &str) -> Option<&'static str> {
    let (_, suffix) = EMULATOR_OF_ANY.split_once("ARCH")?;
    let file = name.rsplit_once('/').filter(|_| name.starts_with('/')).map_or(name, |(_, file)| file);
    TABLE.target(file.strip_suffix(suffix).unwrap_or(file)).filter(|_| file.starts_with("qemu-"))
}

/// Of `linux/arm64/v9` and `riscv64/rva23u64`: any variant runs by the emulator of its architecture.
fn platform(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix(LINUX).unwrap_or(name);
    let (name, variant) = name.split_once('/').map_or((name, None), |(name, variant)| (name, Some(variant)));
    let is_variant = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    machine(name).filter(|_| variant.is_none_or(is_variant))
}

/// Of `aarch64-unknown-linux-gnu` and `aarch64-linux-musl`: by the first part, but for ABIs of another ELF class.
fn triple(name: &str) -> Option<&'static str> {
    let (first, rest) = name.split_once('-')?;
    let (_, abi) = rest.split_once("linux").filter(|(vendor, _)| vendor.is_empty() || vendor.ends_with('-'))?;
    match abi.strip_prefix('-') {
        Some(abi) if abi.ends_with("abin32") => TABLE.target(&[first, "-linux-gnuabin32"].concat()),
        Some(abi) if abi.ends_with("x32") || abi.ends_with("ilp32") => None,
        Some(_) => machine(first),
        None => machine(first).filter(|_| abi.is_empty()),
    }
}

/// Of a platform's or a triple's machine.
fn machine(name: &str) -> Option<&'static str> {
    let extended = || {
        let (_, target) = EXTENDED.iter().find(|(start, _)| name.starts_with(start))?;
        TABLE.target(target).filter(|_| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'))
    };
    TABLE.target(name).or_else(|| TABLE.target(&[name, "-linux-gnu"].concat())).or_else(extended)
}
