//! What is known of each QEMU target: ELF identity, names, family, and a test program.
//!
//! Data only; the test programs' code is in `programs`. Rules are computed from it in [`crate::rule`], executables in
//! [`crate::probe`]; nothing here knows of packages or of the kernel.
//!
//! Sources: `e_machine` and `e_flags` from the processors' ELF supplements and the kernel's `elf.h` files; names from
//! QEMU's target list, the OCI image specification (GOARCH), Debian's and Fedora's ports, `uname -m`, and GNU triples;
//! system call numbers from the kernel's tables.

use object::Endianness::{self, Big, Little};

mod programs;

pub use programs::Program;

/// Word size in the ELF header (`EI_CLASS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `ELFCLASS32`
    Elf32,
    /// `ELFCLASS64`
    Elf64,
}

/// One bit of `e_flags` that tells two targets with the same machine number apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagBit {
    /// The bit that is compared.
    pub mask: u32,
    /// Its value in programs of this target: `mask` or 0.
    pub value: u32,
}

/// A machine number and the name of the entry that serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Entry name after `qemu-`; equal to [`Target::qemu`] for the first one.
    pub name: &'static str,
    /// `e_machine`
    pub number: u16,
}

/// One emulator of QEMU's user mode.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// QEMU's own name: `aarch64` of `qemu-aarch64`.
    pub qemu: &'static str,
    /// ELF class of its programs.
    pub class: Class,
    /// Byte order of its programs.
    pub endian: Endianness,
    /// Machine numbers, each with an entry of its own; the first is the target's proper one.
    pub machines: &'static [Machine],
    /// Where the machine number does not suffice.
    pub flag_bit: Option<FlagBit>,
    /// Targets that one CPU may run: never registered on such a host without a trial.
    pub family: &'static str,
    /// OCI architectures (GOARCH), each with the variants that its platforms may carry.
    pub oci: &'static [(&'static str, &'static [&'static str])],
    /// Other names: Debian's, RPM's and `uname -m`'s where they differ from QEMU's, GNU triples without the vendor field.
    pub aliases: &'static [&'static str],
    /// `e_flags` of an ordinary executable.
    pub e_flags: u32,
    /// Its test program.
    pub program: Program,
}

/// Exit status of every test program. Like the other two below 32: a `moveq` of cris holds no more.
pub const EXIT_STATUS: u8 = 29;

/// Exit status of the child of a test program that could not execute the second program.
pub const NOT_EXECUTED_STATUS: u8 = 30;

/// Exit status of a test program that could not write or fork.
pub const FAILED_STATUS: u8 = 31;

/// How many bytes of its `argv[0]` a test program writes.
pub const SHOWN_BYTES: usize = 8;

/// All targets, sorted by QEMU's name.
pub static TARGETS: &[Target] = &[
    Target {
        oci: &[("arm64", &["v8"])],
        aliases: &["arm64", "aarch64-linux-gnu"],
        ..target("aarch64", Class::Elf64, Little, &[machine("aarch64", 0xb7)], "arm", 0, programs::AARCH64)
    },
    Target {
        oci: &[("arm64be", &[])],
        aliases: &["aarch64_be-linux-gnu"],
        ..target("aarch64_be", Class::Elf64, Big, &[machine("aarch64_be", 0xb7)], "armeb", 0, programs::AARCH64)
    },
    Target {
        aliases: &["alpha-linux-gnu"],
        ..target("alpha", Class::Elf64, Little, &[machine("alpha", 0x9026)], "alpha", 0, programs::ALPHA)
    },
    Target {
        oci: &[("arm", &["v5", "v6", "v7", "v8"])],
        aliases: &[
            "armhf",
            "armel",
            "armv5tel",
            "armv6l",
            "armv6hl",
            "armv7l",
            "armv7hl",
            "armv7hnl",
            "armv8l",
            "arm-linux-gnueabihf",
            "arm-linux-gnueabi",
        ],
        // EABI version 5.
        ..target("arm", Class::Elf32, Little, &[machine("arm", 0x28)], "arm", 0x0500_0000, programs::ARM)
    },
    Target {
        oci: &[("armbe", &[])],
        aliases: &["armv7b", "armeb-linux-gnueabi", "armeb-linux-gnueabihf"],
        // EABI version 5 with EF_ARM_BE8: data are big-endian, instructions little-endian.
        ..target("armeb", Class::Elf32, Big, &[machine("armeb", 0x28)], "armeb", 0x0580_0000, programs::ARM)
    },
    Target {
        aliases: &["crisv32", "cris-linux-gnu"],
        ..target("cris", Class::Elf32, Little, &[machine("cris", 0x4c)], "cris", 0, programs::CRIS)
    },
    Target {
        aliases: &["hexagon-linux-musl"],
        // Flags: V60.
        ..target("hexagon", Class::Elf32, Little, &[machine("hexagon", 0xa4)], "hexagon", 0x60, programs::HEXAGON)
    },
    Target {
        aliases: &["parisc", "parisc64", "hppa-linux-gnu"],
        // Flags: PA-RISC 1.1.
        ..target("hppa", Class::Elf32, Big, &[machine("hppa", 0x0f)], "hppa", 0x210, programs::HPPA)
    },
    Target {
        oci: &[("386", &[])],
        aliases: &[
            "i486",
            "i586",
            "i686",
            "x86",
            "i386-linux-gnu",
            "i486-linux-gnu",
            "i586-linux-gnu",
            "i686-linux-gnu",
        ],
        ..target(
            "i386",
            Class::Elf32,
            Little,
            &[machine("i386", 0x03), machine("i486", 0x06)],
            "x86",
            0,
            programs::I386,
        )
    },
    Target {
        oci: &[("loong64", &[])],
        aliases: &["loongarch64-linux-gnu"],
        // Flags: double float, object ABI v1.
        ..target(
            "loongarch64",
            Class::Elf64,
            Little,
            &[machine("loongarch64", 0x102)],
            "loongarch64",
            0x43,
            programs::LOONGARCH64,
        )
    },
    Target {
        aliases: &["m68k-linux-gnu"],
        ..target("m68k", Class::Elf32, Big, &[machine("m68k", 0x04)], "m68k", 0, programs::M68K)
    },
    Target {
        aliases: &["microblaze-linux-gnu"],
        ..target(
            "microblaze",
            Class::Elf32,
            Big,
            &[machine("microblaze", 0xbaab)],
            "microblaze",
            0,
            programs::MICROBLAZE,
        )
    },
    Target {
        aliases: &["microblazeel-linux-gnu"],
        ..target(
            "microblazeel",
            Class::Elf32,
            Little,
            &[machine("microblazeel", 0xbaab)],
            "microblazeel",
            0,
            programs::MICROBLAZE.swapped(),
        )
    },
    Target {
        oci: &[("mips", &[])],
        aliases: &["mips-linux-gnu"],
        flag_bit: Some(FlagBit { mask: EF_MIPS_ABI2, value: 0 }),
        // Flags: o32, MIPS32r2.
        ..target("mips", Class::Elf32, Big, &[machine("mips", 0x08)], "mips", 0x7000_1000, programs::MIPS)
    },
    Target {
        oci: &[("mips64", &[])],
        aliases: &["mips64-linux-gnuabi64"],
        // Flags: MIPS64r2.
        ..target("mips64", Class::Elf64, Big, &[machine("mips64", 0x08)], "mips", 0x8000_0000, programs::MIPS64)
    },
    Target {
        oci: &[("mips64le", &[])],
        aliases: &["mips64el-linux-gnuabi64"],
        // Flags: MIPS64r2.
        ..target(
            "mips64el",
            Class::Elf64,
            Little,
            &[machine("mips64el", 0x08)],
            "mipsel",
            0x8000_0000,
            programs::MIPS64.swapped(),
        )
    },
    Target {
        oci: &[("mipsle", &[])],
        aliases: &["mipsel-linux-gnu"],
        flag_bit: Some(FlagBit { mask: EF_MIPS_ABI2, value: 0 }),
        // Flags: o32, MIPS32r2.
        ..target(
            "mipsel",
            Class::Elf32,
            Little,
            &[machine("mipsel", 0x08)],
            "mipsel",
            0x7000_1000,
            programs::MIPS.swapped(),
        )
    },
    Target {
        oci: &[("mips64p32", &[])],
        aliases: &["mips64-linux-gnuabin32"],
        flag_bit: Some(FlagBit { mask: EF_MIPS_ABI2, value: EF_MIPS_ABI2 }),
        // Flags: n32, MIPS64r2.
        ..target("mipsn32", Class::Elf32, Big, &[machine("mipsn32", 0x08)], "mips", 0x8000_0020, programs::MIPSN32)
    },
    Target {
        oci: &[("mips64p32le", &[])],
        aliases: &["mips64el-linux-gnuabin32"],
        flag_bit: Some(FlagBit { mask: EF_MIPS_ABI2, value: EF_MIPS_ABI2 }),
        // Flags: n32, MIPS64r2.
        ..target(
            "mipsn32el",
            Class::Elf32,
            Little,
            &[machine("mipsn32el", 0x08)],
            "mipsel",
            0x8000_0020,
            programs::MIPSN32.swapped(),
        )
    },
    Target {
        aliases: &["nios2-linux-gnu"],
        ..target("nios2", Class::Elf32, Little, &[machine("nios2", 0x71)], "nios2", 0, programs::NIOS2)
    },
    Target {
        aliases: &["openrisc", "or1k-linux-gnu"],
        ..target("or1k", Class::Elf32, Big, &[machine("or1k", 0x5c)], "or1k", 0, programs::OR1K)
    },
    Target {
        aliases: &["powerpc", "powerpc-linux-gnu"],
        ..target("ppc", Class::Elf32, Big, &[machine("ppc", 0x14)], "ppc", 0, programs::PPC)
    },
    Target {
        oci: &[("ppc64", &[])],
        aliases: &["powerpc64-linux-gnu"],
        // Flags: ELFv2, whose entry point is code and not a function descriptor.
        ..target("ppc64", Class::Elf64, Big, &[machine("ppc64", 0x15)], "ppc", 2, programs::PPC64)
    },
    Target {
        oci: &[("ppc64le", &[])],
        aliases: &["ppc64el", "powerpc64le-linux-gnu"],
        // Flags: ELFv2.
        ..target("ppc64le", Class::Elf64, Little, &[machine("ppc64le", 0x15)], "ppcle", 2, programs::PPC64.swapped())
    },
    Target {
        aliases: &["riscv32-linux-gnu"],
        // Flags: double float.
        ..target("riscv32", Class::Elf32, Little, &[machine("riscv32", 0xf3)], "riscv", 4, programs::RISCV32)
    },
    Target {
        oci: &[("riscv64", &[])],
        aliases: &["riscv64-linux-gnu"],
        // Flags: compressed instructions, double float.
        ..target("riscv64", Class::Elf64, Little, &[machine("riscv64", 0xf3)], "riscv", 5, programs::RISCV64)
    },
    Target {
        oci: &[("s390x", &[])],
        aliases: &["s390x-linux-gnu"],
        ..target("s390x", Class::Elf64, Big, &[machine("s390x", 0x16)], "s390x", 0, programs::S390X)
    },
    Target {
        aliases: &["sh4-linux-gnu"],
        // Flags: EF_SH4.
        ..target("sh4", Class::Elf32, Little, &[machine("sh4", 0x2a)], "sh4", 9, programs::SH4)
    },
    Target {
        aliases: &["sh4eb-linux-gnu"],
        // Flags: EF_SH4.
        ..target("sh4eb", Class::Elf32, Big, &[machine("sh4eb", 0x2a)], "sh4eb", 9, programs::SH4.swapped())
    },
    Target {
        oci: &[("sparc", &[])],
        aliases: &["sparc-linux-gnu"],
        ..target("sparc", Class::Elf32, Big, &[machine("sparc", 0x02)], "sparc", 0, programs::SPARC)
    },
    Target {
        aliases: &["sparcv8plus", "sparcv9"],
        // Flags: EF_SPARC_32PLUS.
        ..target("sparc32plus", Class::Elf32, Big, &[machine("sparc32plus", 0x12)], "sparc", 0x100, programs::SPARC)
    },
    Target {
        oci: &[("sparc64", &[])],
        aliases: &["sparc64-linux-gnu"],
        // Flags: relaxed memory order.
        ..target("sparc64", Class::Elf64, Big, &[machine("sparc64", 0x2b)], "sparc", 2, programs::SPARC64)
    },
    Target {
        oci: &[("amd64", &["v1", "v2", "v3", "v4"])],
        aliases: &["x86-64", "x86_64-linux-gnu"],
        ..target("x86_64", Class::Elf64, Little, &[machine("x86_64", 0x3e)], "x86", 0, programs::X86_64)
    },
    Target {
        aliases: &["xtensa-linux-gnu"],
        ..target("xtensa", Class::Elf32, Little, &[machine("xtensa", 0x5e)], "xtensa", 0, programs::XTENSA)
    },
    Target {
        aliases: &["xtensaeb-linux-gnu"],
        ..target("xtensaeb", Class::Elf32, Big, &[machine("xtensaeb", 0x5e)], "xtensaeb", 0, programs::XTENSAEB)
    },
];

/// `e_flags` bit of the MIPS n32 ABI.
const EF_MIPS_ABI2: u32 = 0x20;

const fn machine(name: &'static str, number: u16) -> Machine {
    Machine { name, number }
}

/// The fields that every target has; names and exceptions are set beside it.
const fn target(
    qemu: &'static str,
    class: Class,
    endian: Endianness,
    machines: &'static [Machine],
    family: &'static str,
    e_flags: u32,
    program: Program,
) -> Target {
    Target { qemu, class, endian, machines, flag_bit: None, family, oci: &[], aliases: &[], e_flags, program }
}

/// The target with this name of QEMU's.
pub fn by_qemu_name(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.qemu == name)
}

/// The target whose entry has this name (without `qemu-`), with the machine number of that entry.
pub fn by_entry_name(name: &str) -> Option<(&'static Target, Machine)> {
    TARGETS.iter().find_map(|target| {
        target.machines.iter().find(|machine| machine.name == name).map(|machine| (target, *machine))
    })
}

/// The target that a user means by any of its names.
pub fn by_any_name(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.all_names().iter().any(|known| known == name))
}

/// What [`selection`] calls [`COMMON`].
pub const COMMON_NAME: &str = "common";

/// The targets that container platforms are named after, sorted: amd64, 386, arm, arm64, loong64, mips64le, ppc64le, riscv64, s390x.
pub const COMMON: [&str; 9] =
    ["aarch64", "arm", "i386", "loongarch64", "mips64el", "ppc64le", "riscv64", "s390x", "x86_64"];

/// QEMU's names of the targets that a user means, sorted; of those unknown, what was typed. `common` means [`COMMON`].
pub fn selection(names: &[String]) -> Vec<String> {
    let known = |name: &str| by_any_name(name).map_or(name, |target| target.qemu).to_owned();
    let mut selected = Vec::new();
    for name in names {
        match name.as_str() {
            COMMON_NAME => selected.extend(COMMON.map(str::to_owned)),
            name => selected.push(known(name)),
        }
    }
    selected.sort();
    selected.dedup();
    selected
}

impl Target {
    /// Every name that a user may call it by, without repetition: QEMU's, entry names, OCI platforms with and without
    /// `linux/` and variant, Debian's, RPM's and the kernel's, GNU triples.
    pub fn all_names(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![self.qemu.into()];
        names.extend(self.machines.iter().map(|machine| format!("qemu-{}", machine.name)));
        for (arch, variants) in self.oci {
            for prefix in ["", "linux/"] {
                names.push(format!("{prefix}{arch}"));
                names.extend(variants.iter().map(|variant| format!("{prefix}{arch}/{variant}")));
            }
        }
        names.extend(self.aliases.iter().map(|&name| name.into()));
        names.extend(self.machines.iter().map(|machine| machine.name.into()));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The platform as container engines write it: `linux/arm64`; `linux/` and QEMU's name where OCI has none.
    pub fn platform(&self) -> String {
        format!("linux/{}", self.oci.first().map_or(self.qemu, |(arch, _)| arch))
    }
}
