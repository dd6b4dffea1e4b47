//! A tiny executable of each target, of its [`Program`](crate::targets::Program).
//!
//! Whether it runs tells whether programs of the target run: natively while no handler is in place, or through one.

use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, Writer};

use crate::targets::{Class, Machine, Target};

/// Where the program is loaded: above `vm.mmap_min_addr`, in every target's address space.
const LOAD_ADDRESS: u64 = 0x40_0000;

/// The largest page size of any target, so that every loader accepts the segment.
const ALIGNMENT: u64 = 0x1_0000;

/// A static executable of `target`, with one of its machine numbers: a header, one segment, a few instructions.
///
/// # Errors
/// Only if `object` refuses the header, which a test over all targets rules out.
pub fn executable(target: &Target, machine: Machine) -> object::write::Result<Vec<u8>> {
    let program = target.program.bytes();
    let mut bytes = Vec::new();
    let mut writer = Writer::new(target.endian, target.class == Class::Elf64, &mut bytes);
    writer.reserve_file_header();
    writer.reserve_program_headers(1);
    let code = writer.reserve(program.len() as u64, 4);
    let size = writer.reserved_len();
    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine: elf::Machine(machine.number),
        e_entry: LOAD_ADDRESS + code,
        e_flags: elf::FileFlags(target.e_flags),
    })?;
    writer.write_align_program_headers();
    writer.write_program_header(&ProgramHeader {
        p_type: elf::PT_LOAD,
        p_flags: elf::PF_R | elf::PF_X,
        p_offset: 0,
        p_vaddr: LOAD_ADDRESS,
        p_paddr: LOAD_ADDRESS,
        p_filesz: size,
        p_memsz: size,
        p_align: ALIGNMENT,
    });
    writer.pad_until(code);
    writer.write(&program);
    Ok(bytes)
}
