//! Programs that are files in memory only.

use std::fs::File;
use std::io::Write;

use nix::errno::Errno;
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file of this content that the kernel will execute. `flags` may make it close-on-exec.
pub(crate) fn program(content: &[u8], flags: MFdFlags) -> Result<File, Errno> {
    // A machine that wants memory not to be executable (vm.memfd_noexec) must be told; Linux before 6.3 must not.
    let executable = flags | MFdFlags::from_bits_retain(libc::MFD_EXEC);
    let memory = match memfd_create(c"probe", executable) {
        Err(Errno::EINVAL) => memfd_create(c"probe", flags),
        other => other,
    }?;
    let mut memory = File::from(memory);
    memory.write_all(content).map_err(|_| Errno::ENOSPC)?;
    Ok(memory)
}
