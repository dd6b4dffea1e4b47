//! The architecture that this program is compiled for.

/// QEMU's name of it.
pub(crate) const HOST: &str = if cfg!(target_arch = "x86_64") {
    "x86_64"
} else if cfg!(target_arch = "aarch64") {
    "aarch64"
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    "ppc64le"
} else if cfg!(target_arch = "s390x") {
    "s390x"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    panic!("add this architecture here, with its family")
};

/// Its [`crate::table::Handler::family`]. Not looked up: the table of an image may hold no handler of its own host.
pub(crate) const FAMILY: &str = if cfg!(target_arch = "x86_64") {
    "x86"
} else if cfg!(target_arch = "aarch64") {
    "arm"
} else if cfg!(target_arch = "powerpc64") {
    "ppcle"
} else if cfg!(target_arch = "s390x") {
    "s390x"
} else {
    "riscv"
};

/// ELF class, byte order and machine number of its programs: `EI_CLASS`, `EI_DATA`, `e_machine`.
pub(crate) const ELF: (u8, u8, u16) = match HOST.as_bytes() {
    b"x86_64" => (2, 1, 62),
    b"aarch64" => (2, 1, 183),
    b"ppc64le" => (2, 1, 21),
    b"s390x" => (2, 2, 22),
    b"riscv64" => (2, 1, 243),
    _ => panic!("add the host's numbers here"),
};
