//! Programs as files in memory only.

use std::fs::File;
use std::io::Write;

use nix::errno::Errno;
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::binfmt_misc::errno;

/// A program in memory, that this process alone can see. It is closed when this process executes another.
pub(crate) fn program(bytes: &[u8]) -> Result<File, Errno> {
    // A machine that wants memory not to be executable (vm.memfd_noexec) must be told; Linux before 6.3 must not.
    let executable = MFdFlags::MFD_CLOEXEC | MFdFlags::from_bits_retain(libc::MFD_EXEC);
    let memory = match memfd_create(c"program", executable) {
        Err(Errno::EINVAL) => memfd_create(c"program", MFdFlags::MFD_CLOEXEC),
        other => other,
    }?;
    let mut memory = File::from(memory);
    memory.write_all(bytes).map_err(|error| errno(&error))?;
    Ok(memory)
}
