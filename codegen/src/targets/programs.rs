//! Machine code of the test programs: a file for each instruction set, bytes beside the assembly that they are of.
//!
//! All do the same. Alone, a program exits with [`EXIT_STATUS`](super::EXIT_STATUS). With an argument it
//!
//! - writes the first [`SHOWN_BYTES`](super::SHOWN_BYTES) of its `argv[0]` to standard output,
//! - forks; the child executes its first argument, with the arguments from there on and no environment, or exits with
//!   [`NOT_EXECUTED_STATUS`](super::NOT_EXECUTED_STATUS),
//! - waits, and exits with the child's exit status (0 if a signal killed it), or with
//!   [`FAILED_STATUS`](super::FAILED_STATUS) if it could not write or fork.
//!
//! So it needs no data and can be loaded anywhere. The child's status is written over argc. Each file's first lines name
//! an assembler that makes its bytes of what stands beside them, labels and directives included; the test `assembly`
//! does so.

mod aarch64;
mod alpha;
mod arm;
mod cris;
mod hexagon;
mod hppa;
mod i386;
mod loongarch64;
mod m68k;
mod microblaze;
mod mips;
mod mips64;
mod mipsn32;
mod nios2;
mod or1k;
mod ppc;
mod ppc64;
mod riscv32;
mod riscv64;
mod s390x;
mod sh4;
mod sparc;
mod sparc64;
mod x86_64;
mod xtensa;
mod xtensaeb;

/// Machine code, instruction by instruction.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    instructions: &'static [&'static [u8]],
    is_swapped: bool,
}

pub(super) const AARCH64: Program = Program::new(aarch64::CODE);
pub(super) const ALPHA: Program = Program::new(alpha::CODE);
pub(super) const ARM: Program = Program::new(arm::CODE);
pub(super) const CRIS: Program = Program::new(cris::CODE);
pub(super) const HEXAGON: Program = Program::new(hexagon::CODE);
pub(super) const HPPA: Program = Program::new(hppa::CODE);
pub(super) const I386: Program = Program::new(i386::CODE);
pub(super) const LOONGARCH64: Program = Program::new(loongarch64::CODE);
pub(super) const M68K: Program = Program::new(m68k::CODE);
pub(super) const MICROBLAZE: Program = Program::new(microblaze::CODE);
pub(super) const MIPS: Program = Program::new(mips::CODE);
pub(super) const MIPS64: Program = Program::new(mips64::CODE);
pub(super) const MIPSN32: Program = Program::new(mipsn32::CODE);
pub(super) const NIOS2: Program = Program::new(nios2::CODE);
pub(super) const OR1K: Program = Program::new(or1k::CODE);
pub(super) const PPC: Program = Program::new(ppc::CODE);
pub(super) const PPC64: Program = Program::new(ppc64::CODE);
pub(super) const RISCV32: Program = Program::new(riscv32::CODE);
pub(super) const RISCV64: Program = Program::new(riscv64::CODE);
pub(super) const S390X: Program = Program::new(s390x::CODE);
pub(super) const SH4: Program = Program::new(sh4::CODE);
pub(super) const SPARC: Program = Program::new(sparc::CODE);
pub(super) const SPARC64: Program = Program::new(sparc64::CODE);
pub(super) const X86_64: Program = Program::new(x86_64::CODE);
pub(super) const XTENSA: Program = Program::new(xtensa::CODE);
pub(super) const XTENSAEB: Program = Program::new(xtensaeb::CODE);

impl Program {
    const fn new(instructions: &'static [&'static [u8]]) -> Self {
        Self { instructions, is_swapped: false }
    }

    /// The same in the other byte order.
    pub(super) const fn swapped(self) -> Self {
        Self { is_swapped: !self.is_swapped, ..self }
    }

    /// As it stands in memory.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for instruction in self.instructions {
            match self.is_swapped {
                false => bytes.extend_from_slice(instruction),
                true => bytes.extend(instruction.iter().rev()),
            }
        }
        bytes
    }
}
