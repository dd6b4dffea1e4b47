//! An entry's emulator, as far as its file tells. What the kernel holds of one with flag `F` may be another.

use std::path::Path;

use nix::errno::Errno;

use super::{Check, CheckStatus};
use crate::binfmt_misc::Entry;
use crate::elf::{self, Unfit};
use crate::sys::errno_text;
use crate::table::Handler;

use CheckStatus::{Broken, Holds, Unknown};

/// Whether an entry's emulator can run wherever a program is.
pub(super) fn emulator(handler: &Handler, entry: &Entry) -> Check {
    let path = &entry.interpreter;
    let check = |state, detail: String| Check::of(handler, "emulator", state, detail);
    let is_fixed = entry.flags.contains('F');
    match elf::loader(Path::new(path)) {
        Ok(Some(loader)) => {
            check(Broken, format!("{path} is not static, it needs {loader}; take a static one, and register it"))
        }
        Ok(_) if is_fixed => check(Holds, format!("{path} is static")),
        Ok(_) => {
            let cure = format!("registrar register {} sets F", handler.target);
            check(Unknown, format!("no flag F, so {path} must be wherever a program runs; {cure}"))
        }
        Err(Unfit::Unreadable(Errno::ENOENT)) if is_fixed => {
            check(Unknown, format!("no {path} here; the kernel uses the one that it opened"))
        }
        Err(Unfit::Unreadable(Errno::ENOENT)) => {
            check(Broken, format!("no {path}, and no flag F; put it there, or register it where it is, with --bindir"))
        }
        Err(Unfit::Unreadable(errno)) => check(Unknown, format!("{path}: {}", errno_text(errno))),
        Err(unfit) => check(Broken, format!("{path} is {unfit}; take a static one of this machine, and register it")),
    }
}
