//! What is known of each QEMU target: ELF identity, names, family, and a program that exits.
//!
//! Data only. Rules are computed from it in [`crate::rule`], test programs in [`crate::probe`]; nothing here knows
//! of packages or of the kernel.
//!
//! Sources: `e_machine` and `e_flags` from the processors' ELF supplements and the kernel's `elf.h` files; names from
//! QEMU's target list, the OCI image specification (GOARCH), Debian's and Fedora's ports, `uname -m`, and GNU triples;
//! system call numbers from the kernel's tables; masks of QEMU's own rules from its `scripts/qemu-binfmt-conf.sh`.

use object::Endianness::{self, Big, Little};

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

/// The spellings of one architecture.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// OCI architecture (GOARCH), each with the variants that its platforms may carry.
    pub oci: &'static [(&'static str, &'static [&'static str])],
    /// Debian's architecture names.
    pub debian: &'static [&'static str],
    /// RPM's and `uname -m`'s, where they differ from QEMU's.
    pub machine: &'static [&'static str],
    /// GNU triples without the vendor field.
    pub gnu: &'static [&'static str],
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
    /// Other names.
    pub names: Names,
    /// `e_flags` of an ordinary executable.
    pub e_flags: u32,
    /// Machine code of `exit(EXIT_STATUS)` on Linux.
    pub exit: &'static [u8],
    /// Bytes of the mask that QEMU writes differently from the corrected rule, beside bytes 8 to 15, which it
    /// compares in full.
    pub upstream_mask: &'static [(usize, u8)],
}

/// Exit status of every test program. Below 32: a `moveq` of cris holds no more.
pub const EXIT_STATUS: u8 = 29;

/// All targets, sorted by QEMU's name.
pub static TARGETS: &[Target] = &[
    Target {
        names: Names { oci: &[("arm64", &["v8"])], debian: &["arm64"], machine: &[], gnu: &["aarch64-linux-gnu"] },
        // movz x0, #29; movz x8, #93; svc #0
        ..target(
            "aarch64",
            Class::Elf64,
            Little,
            &[machine("aarch64", 0xb7)],
            "arm",
            0,
            &[0xa0, 0x03, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4],
        )
    },
    Target {
        names: Names { oci: &[("arm64be", &[])], debian: &[], machine: &[], gnu: &["aarch64_be-linux-gnu"] },
        // As aarch64: instructions are little-endian there too.
        ..target(
            "aarch64_be",
            Class::Elf64,
            Big,
            &[machine("aarch64_be", 0xb7)],
            "armeb",
            0,
            &[0xa0, 0x03, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["alpha-linux-gnu"] },
        upstream_mask: &[(5, 0xfe), (6, 0xfe)],
        // lda $0, 1($31); lda $16, 29($31); callsys
        ..target(
            "alpha",
            Class::Elf64,
            Little,
            &[machine("alpha", 0x9026)],
            "alpha",
            0,
            &[0x01, 0x00, 0x1f, 0x20, 0x1d, 0x00, 0x1f, 0x22, 0x83, 0x00, 0x00, 0x00],
        )
    },
    Target {
        names: Names {
            oci: &[("arm", &["v5", "v6", "v7", "v8"])],
            debian: &["armhf", "armel"],
            machine: &["armv5tel", "armv6l", "armv6hl", "armv7l", "armv7hl", "armv7hnl", "armv8l"],
            gnu: &["arm-linux-gnueabihf", "arm-linux-gnueabi"],
        },
        // mov r0, #29; mov r7, #1; svc #0. EABI version 5.
        ..target(
            "arm",
            Class::Elf32,
            Little,
            &[machine("arm", 0x28)],
            "arm",
            0x0500_0000,
            &[0x1d, 0x00, 0xa0, 0xe3, 0x01, 0x70, 0xa0, 0xe3, 0x00, 0x00, 0x00, 0xef],
        )
    },
    Target {
        names: Names {
            oci: &[("armbe", &[])],
            debian: &[],
            machine: &["armv7b"],
            gnu: &["armeb-linux-gnueabi", "armeb-linux-gnueabihf"],
        },
        // As arm. EABI version 5 with EF_ARM_BE8: data are big-endian, instructions little-endian.
        ..target(
            "armeb",
            Class::Elf32,
            Big,
            &[machine("armeb", 0x28)],
            "armeb",
            0x0580_0000,
            &[0x1d, 0x00, 0xa0, 0xe3, 0x01, 0x70, 0xa0, 0xe3, 0x00, 0x00, 0x00, 0xef],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &["crisv32"], gnu: &["cris-linux-gnu"] },
        // moveq 29, $r10; moveq 1, $r9; break 13
        ..target(
            "cris",
            Class::Elf32,
            Little,
            &[machine("cris", 0x4c)],
            "cris",
            0,
            &[0x5d, 0xa2, 0x41, 0x92, 0x3d, 0xe9],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["hexagon-linux-musl"] },
        // r0 = #29; r6 = #93; trap0(#1). Flags: V60.
        ..target(
            "hexagon",
            Class::Elf32,
            Little,
            &[machine("hexagon", 0xa4)],
            "hexagon",
            0x60,
            &[0xa0, 0xc3, 0x00, 0x78, 0xa6, 0xcb, 0x00, 0x78, 0x04, 0xc0, 0x00, 0x54],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &["parisc", "parisc64"], gnu: &["hppa-linux-gnu"] },
        // ldi 29, %r26; be,l 0x100(%sr2, %r0); ldi 1, %r20. Flags: PA-RISC 1.1.
        ..target(
            "hppa",
            Class::Elf32,
            Big,
            &[machine("hppa", 0x0f)],
            "hppa",
            0x210,
            &[0x34, 0x1a, 0x00, 0x3a, 0xe4, 0x00, 0x82, 0x00, 0x34, 0x14, 0x00, 0x02],
        )
    },
    Target {
        names: Names {
            oci: &[("386", &[])],
            debian: &[],
            machine: &["i486", "i586", "i686", "x86"],
            gnu: &["i386-linux-gnu", "i486-linux-gnu", "i586-linux-gnu", "i686-linux-gnu"],
        },
        upstream_mask: &[(5, 0xfe), (6, 0xfe)],
        // mov ebx, 29; mov eax, 1; int 0x80
        ..target(
            "i386",
            Class::Elf32,
            Little,
            &[machine("i386", 0x03), machine("i486", 0x06)],
            "x86",
            0,
            &[0xbb, 0x1d, 0x00, 0x00, 0x00, 0xb8, 0x01, 0x00, 0x00, 0x00, 0xcd, 0x80],
        )
    },
    Target {
        names: Names { oci: &[("loong64", &[])], debian: &[], machine: &[], gnu: &["loongarch64-linux-gnu"] },
        upstream_mask: &[(7, 0xfc), (8, 0x00)],
        // ori $a0, $zero, 29; ori $a7, $zero, 93; syscall 0. Flags: double float, object ABI v1.
        ..target(
            "loongarch64",
            Class::Elf64,
            Little,
            &[machine("loongarch64", 0x102)],
            "loongarch64",
            0x43,
            &[0x04, 0x74, 0x80, 0x03, 0x0b, 0x74, 0x81, 0x03, 0x00, 0x00, 0x2b, 0x00],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["m68k-linux-gnu"] },
        // moveq #29, %d1; moveq #1, %d0; trap #0
        ..target("m68k", Class::Elf32, Big, &[machine("m68k", 0x04)], "m68k", 0, &[0x72, 0x1d, 0x70, 0x01, 0x4e, 0x40])
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["microblaze-linux-gnu"] },
        upstream_mask: &[(16, 0xfe), (17, 0xff)],
        // addik r5, r0, 29; addik r12, r0, 1; brki r14, 8
        ..target(
            "microblaze",
            Class::Elf32,
            Big,
            &[machine("microblaze", 0xbaab)],
            "microblaze",
            0,
            &[0x30, 0xa0, 0x00, 0x1d, 0x31, 0x80, 0x00, 0x01, 0xb9, 0xcc, 0x00, 0x08],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["microblazeel-linux-gnu"] },
        // As microblaze, in the other byte order.
        ..target(
            "microblazeel",
            Class::Elf32,
            Little,
            &[machine("microblazeel", 0xbaab)],
            "microblazeel",
            0,
            &[0x1d, 0x00, 0xa0, 0x30, 0x01, 0x00, 0x80, 0x31, 0x08, 0x00, 0xcc, 0xb9],
        )
    },
    Target {
        names: Names { oci: &[("mips", &[])], debian: &[], machine: &[], gnu: &["mips-linux-gnu"] },
        flag_bit: Some(FlagBit { mask: EF_MIPS_ABI2, value: 0 }),
        upstream_mask: &[(8, 0x00)],
        // li $a0, 29; li $v0, 4001; syscall. Flags: o32, MIPS32r2.
        ..target(
            "mips",
            Class::Elf32,
            Big,
            &[machine("mips", 0x08)],
            "mips",
            0x7000_1000,
            &[0x24, 0x04, 0x00, 0x1d, 0x24, 0x02, 0x0f, 0xa1, 0x00, 0x00, 0x00, 0x0c],
        )
    },
    Target {
        names: Names { oci: &[("mips64", &[])], debian: &[], machine: &[], gnu: &["mips64-linux-gnuabi64"] },
        upstream_mask: &[(8, 0x00)],
        // li $a0, 29; li $v0, 5058; syscall. Flags: MIPS64r2.
        ..target(
            "mips64",
            Class::Elf64,
            Big,
            &[machine("mips64", 0x08)],
            "mips",
            0x8000_0000,
            &[0x24, 0x04, 0x00, 0x1d, 0x24, 0x02, 0x13, 0xc2, 0x00, 0x00, 0x00, 0x0c],
        )
    },
    Target {
        names: Names { oci: &[("mips64le", &[])], debian: &[], machine: &[], gnu: &["mips64el-linux-gnuabi64"] },
        upstream_mask: &[(8, 0x00)],
        // As mips64, in the other byte order.
        ..target(
            "mips64el",
            Class::Elf64,
            Little,
            &[machine("mips64el", 0x08)],
            "mipsel",
            0x8000_0000,
            &[0x1d, 0x00, 0x04, 0x24, 0xc2, 0x13, 0x02, 0x24, 0x0c, 0x00, 0x00, 0x00],
        )
    },
    Target {
        names: Names { oci: &[("mipsle", &[])], debian: &[], machine: &[], gnu: &["mipsel-linux-gnu"] },
        flag_bit: Some(FlagBit { mask: EF_MIPS_ABI2, value: 0 }),
        upstream_mask: &[(8, 0x00)],
        // As mips, in the other byte order.
        ..target(
            "mipsel",
            Class::Elf32,
            Little,
            &[machine("mipsel", 0x08)],
            "mipsel",
            0x7000_1000,
            &[0x1d, 0x00, 0x04, 0x24, 0xa1, 0x0f, 0x02, 0x24, 0x0c, 0x00, 0x00, 0x00],
        )
    },
    Target {
        names: Names { oci: &[("mips64p32", &[])], debian: &[], machine: &[], gnu: &["mips64-linux-gnuabin32"] },
        flag_bit: Some(FlagBit { mask: EF_MIPS_ABI2, value: EF_MIPS_ABI2 }),
        upstream_mask: &[(8, 0x00)],
        // li $a0, 29; li $v0, 6058; syscall. Flags: n32, MIPS64r2.
        ..target(
            "mipsn32",
            Class::Elf32,
            Big,
            &[machine("mipsn32", 0x08)],
            "mips",
            0x8000_0020,
            &[0x24, 0x04, 0x00, 0x1d, 0x24, 0x02, 0x17, 0xaa, 0x00, 0x00, 0x00, 0x0c],
        )
    },
    Target {
        names: Names { oci: &[("mips64p32le", &[])], debian: &[], machine: &[], gnu: &["mips64el-linux-gnuabin32"] },
        flag_bit: Some(FlagBit { mask: EF_MIPS_ABI2, value: EF_MIPS_ABI2 }),
        upstream_mask: &[(8, 0x00)],
        // As mipsn32, in the other byte order.
        ..target(
            "mipsn32el",
            Class::Elf32,
            Little,
            &[machine("mipsn32el", 0x08)],
            "mipsel",
            0x8000_0020,
            &[0x1d, 0x00, 0x04, 0x24, 0xaa, 0x17, 0x02, 0x24, 0x0c, 0x00, 0x00, 0x00],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["nios2-linux-gnu"] },
        // movi r4, 29; movi r2, 93; trap 0
        ..target(
            "nios2",
            Class::Elf32,
            Little,
            &[machine("nios2", 0x71)],
            "nios2",
            0,
            &[0x44, 0x07, 0x00, 0x01, 0x44, 0x17, 0x80, 0x00, 0x3a, 0x68, 0x3b, 0x00],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &["openrisc"], gnu: &["or1k-linux-gnu"] },
        // l.addi r3, r0, 29; l.addi r11, r0, 93; l.sys 1
        ..target(
            "or1k",
            Class::Elf32,
            Big,
            &[machine("or1k", 0x5c)],
            "or1k",
            0,
            &[0x9c, 0x60, 0x00, 0x1d, 0x9d, 0x60, 0x00, 0x5d, 0x20, 0x00, 0x00, 0x01],
        )
    },
    Target {
        names: Names { oci: &[], debian: &["powerpc"], machine: &[], gnu: &["powerpc-linux-gnu"] },
        upstream_mask: &[(7, 0xfc)],
        // li r3, 29; li r0, 1; sc
        ..target(
            "ppc",
            Class::Elf32,
            Big,
            &[machine("ppc", 0x14)],
            "ppc",
            0,
            &[0x38, 0x60, 0x00, 0x1d, 0x38, 0x00, 0x00, 0x01, 0x44, 0x00, 0x00, 0x02],
        )
    },
    Target {
        names: Names { oci: &[("ppc64", &[])], debian: &[], machine: &[], gnu: &["powerpc64-linux-gnu"] },
        upstream_mask: &[(7, 0xfc)],
        // As ppc. Flags: ELFv2, whose entry point is code and not a function descriptor.
        ..target(
            "ppc64",
            Class::Elf64,
            Big,
            &[machine("ppc64", 0x15)],
            "ppc",
            2,
            &[0x38, 0x60, 0x00, 0x1d, 0x38, 0x00, 0x00, 0x01, 0x44, 0x00, 0x00, 0x02],
        )
    },
    Target {
        names: Names { oci: &[("ppc64le", &[])], debian: &["ppc64el"], machine: &[], gnu: &["powerpc64le-linux-gnu"] },
        upstream_mask: &[(7, 0xfc), (19, 0x00)],
        // As ppc64, in the other byte order.
        ..target(
            "ppc64le",
            Class::Elf64,
            Little,
            &[machine("ppc64le", 0x15)],
            "ppcle",
            2,
            &[0x1d, 0x00, 0x60, 0x38, 0x01, 0x00, 0x00, 0x38, 0x02, 0x00, 0x00, 0x44],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["riscv32-linux-gnu"] },
        // li a0, 29; li a7, 93; ecall. Flags: double float.
        ..target(
            "riscv32",
            Class::Elf32,
            Little,
            &[machine("riscv32", 0xf3)],
            "riscv",
            4,
            &[0x13, 0x05, 0xd0, 0x01, 0x93, 0x08, 0xd0, 0x05, 0x73, 0x00, 0x00, 0x00],
        )
    },
    Target {
        names: Names { oci: &[("riscv64", &[])], debian: &[], machine: &[], gnu: &["riscv64-linux-gnu"] },
        // As riscv32. Flags: compressed instructions, double float.
        ..target(
            "riscv64",
            Class::Elf64,
            Little,
            &[machine("riscv64", 0xf3)],
            "riscv",
            5,
            &[0x13, 0x05, 0xd0, 0x01, 0x93, 0x08, 0xd0, 0x05, 0x73, 0x00, 0x00, 0x00],
        )
    },
    Target {
        names: Names { oci: &[("s390x", &[])], debian: &[], machine: &[], gnu: &["s390x-linux-gnu"] },
        upstream_mask: &[(7, 0xfc)],
        // lghi %r2, 29; svc 1
        ..target(
            "s390x",
            Class::Elf64,
            Big,
            &[machine("s390x", 0x16)],
            "s390x",
            0,
            &[0xa7, 0x29, 0x00, 0x1d, 0x0a, 0x01],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["sh4-linux-gnu"] },
        upstream_mask: &[(7, 0xfc)],
        // mov #29, r4; mov #1, r3; trapa #17. Flags: EF_SH4.
        ..target("sh4", Class::Elf32, Little, &[machine("sh4", 0x2a)], "sh4", 9, &[0x1d, 0xe4, 0x01, 0xe3, 0x11, 0xc3])
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["sh4eb-linux-gnu"] },
        upstream_mask: &[(7, 0xfc)],
        // As sh4, in the other byte order.
        ..target(
            "sh4eb",
            Class::Elf32,
            Big,
            &[machine("sh4eb", 0x2a)],
            "sh4eb",
            9,
            &[0xe4, 0x1d, 0xe3, 0x01, 0xc3, 0x11],
        )
    },
    Target {
        names: Names { oci: &[("sparc", &[])], debian: &[], machine: &[], gnu: &["sparc-linux-gnu"] },
        upstream_mask: &[(7, 0xfc)],
        // mov 29, %o0; mov 1, %g1; ta 0x10
        ..target(
            "sparc",
            Class::Elf32,
            Big,
            &[machine("sparc", 0x02)],
            "sparc",
            0,
            &[0x90, 0x10, 0x20, 0x1d, 0x82, 0x10, 0x20, 0x01, 0x91, 0xd0, 0x20, 0x10],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &["sparcv8plus", "sparcv9"], gnu: &[] },
        upstream_mask: &[(7, 0xfc)],
        // As sparc. Flags: EF_SPARC_32PLUS.
        ..target(
            "sparc32plus",
            Class::Elf32,
            Big,
            &[machine("sparc32plus", 0x12)],
            "sparc",
            0x100,
            &[0x90, 0x10, 0x20, 0x1d, 0x82, 0x10, 0x20, 0x01, 0x91, 0xd0, 0x20, 0x10],
        )
    },
    Target {
        names: Names { oci: &[("sparc64", &[])], debian: &[], machine: &[], gnu: &["sparc64-linux-gnu"] },
        upstream_mask: &[(7, 0xfc)],
        // mov 29, %o0; mov 1, %g1; ta 0x6d. Flags: relaxed memory order.
        ..target(
            "sparc64",
            Class::Elf64,
            Big,
            &[machine("sparc64", 0x2b)],
            "sparc",
            2,
            &[0x90, 0x10, 0x20, 0x1d, 0x82, 0x10, 0x20, 0x01, 0x91, 0xd0, 0x20, 0x6d],
        )
    },
    Target {
        names: Names {
            oci: &[("amd64", &["v1", "v2", "v3", "v4"])],
            debian: &[],
            machine: &["x86-64"],
            gnu: &["x86_64-linux-gnu"],
        },
        upstream_mask: &[(5, 0xfe), (6, 0xfe)],
        // mov edi, 29; mov eax, 60; syscall
        ..target(
            "x86_64",
            Class::Elf64,
            Little,
            &[machine("x86_64", 0x3e)],
            "x86",
            0,
            &[0xbf, 0x1d, 0x00, 0x00, 0x00, 0xb8, 0x3c, 0x00, 0x00, 0x00, 0x0f, 0x05],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["xtensa-linux-gnu"] },
        // movi a6, 29; movi a2, 118; syscall
        ..target(
            "xtensa",
            Class::Elf32,
            Little,
            &[machine("xtensa", 0x5e)],
            "xtensa",
            0,
            &[0x62, 0xa0, 0x1d, 0x22, 0xa0, 0x76, 0x00, 0x50, 0x00],
        )
    },
    Target {
        names: Names { oci: &[], debian: &[], machine: &[], gnu: &["xtensaeb-linux-gnu"] },
        // As xtensa; the big-endian encoding mirrors the fields, not only the bytes.
        ..target(
            "xtensaeb",
            Class::Elf32,
            Big,
            &[machine("xtensaeb", 0x5e)],
            "xtensaeb",
            0,
            &[0x26, 0x0a, 0x1d, 0x22, 0x0a, 0x76, 0x00, 0x05, 0x00],
        )
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
    exit: &'static [u8],
) -> Target {
    let names = Names { oci: &[], debian: &[], machine: &[], gnu: &[] };
    Target { qemu, class, endian, machines, flag_bit: None, family, names, e_flags, exit, upstream_mask: &[] }
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

impl Target {
    /// Every name that a user may call it by, without repetition: QEMU's, entry names, OCI platforms with and without
    /// `linux/` and variant, Debian's, RPM's and the kernel's, GNU triples.
    pub fn all_names(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![self.qemu.into()];
        names.extend(self.machines.iter().map(|machine| format!("qemu-{}", machine.name)));
        for (arch, variants) in self.names.oci {
            for prefix in ["", "linux/"] {
                names.push(format!("{prefix}{arch}"));
                names.extend(variants.iter().map(|variant| format!("{prefix}{arch}/{variant}")));
            }
        }
        for list in [self.names.debian, self.names.machine, self.names.gnu] {
            names.extend(list.iter().map(|&name| name.into()));
        }
        names.extend(self.machines.iter().map(|machine| machine.name.into()));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The platform as container engines write it: `linux/arm64`; `linux/` and QEMU's name where OCI has none.
    pub fn platform(&self) -> String {
        format!("linux/{}", self.names.oci.first().map_or(self.qemu, |(arch, _)| arch))
    }
}
