//! The architecture that this program is compiled for.

/// QEMU's name of it; its [`crate::table::Handler::family`], which is not looked up, since the table of an image may hold no
/// handler of its own host; and its [`ELF`].
const MACHINE: (&str, &str, (u8, u8, u16)) = if cfg!(target_arch = "x86_64") {
    ("x86_64", "x86", (2, 1, 62))
} else if cfg!(target_arch = "aarch64") {
    ("aarch64", "arm", (2, 1, 183))
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    ("ppc64le", "ppcle", (2, 1, 21))
} else if cfg!(target_arch = "s390x") {
    ("s390x", "s390x", (2, 2, 22))
} else if cfg!(target_arch = "riscv64") {
    ("riscv64", "riscv", (2, 1, 243))
} else {
    panic!("add this architecture here")
};

pub(crate) const HOST: &str = MACHINE.0;

pub(crate) const FAMILY: &str = MACHINE.1;

/// ELF class, byte order and machine number of its programs: `EI_CLASS`, `EI_DATA`, `e_machine`.
pub(crate) const ELF: (u8, u8, u16) = MACHINE.2;
