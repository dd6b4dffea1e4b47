//! Checks an emulator's file. With flag `F` the kernel may have another file open.

use nix::errno::Errno;

use super::{Check, CheckStatus};
use crate::binfmt_misc::Entry;
use crate::elf::{self, Unfit};
use crate::sys::errno_text;
use crate::table::Handler;

use CheckStatus::{Broken, Holds, Unknown};

/// Whether the emulator can run in any container.
pub(super) fn emulator(handler: &Handler, entry: &Entry) -> Check {
    let path = entry.path();
    let check = |state, detail: String| Check::of(handler, "emulator", state, detail);
    let is_fixed = entry.flags.contains('F');
    match elf::check_static(&entry.interpreter) {
        Err(Unfit::Dynamic(loader)) => {
            check(Broken, format!("{path} is not static, it needs {loader}; register a static one"))
        }
        Ok(()) if is_fixed => check(Holds, format!("{path} is static")),
        Ok(()) => {
            let fix = format!("registrar register {} sets F", handler.target);
            check(Unknown, format!("no flag F, so {path} must be in each container; {fix}"))
        }
        Err(Unfit::Unreadable(Errno::ENOENT)) if is_fixed => {
            check(Unknown, format!("no {path} here; the kernel keeps the file that it opened"))
        }
        Err(Unfit::Unreadable(Errno::ENOENT)) => {
            check(Broken, format!("no {path}, and no flag F; put it there, or register its folder with --bindir"))
        }
        Err(Unfit::Unreadable(errno)) => check(Unknown, format!("{path}: {}", errno_text(errno))),
        Err(unfit) => check(Broken, format!("{path} is {unfit}; register a static one for this CPU")),
    }
}
