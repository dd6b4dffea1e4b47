//! An entry's emulator, as far as its file tells. What the kernel holds of one with flag `F` may be another.

use std::path::Path;

use nix::errno::Errno;

use super::{Link, State};
use crate::binfmt_misc::{self, Entry};
use crate::elf::{self, Facts, Unfit};
use crate::table::Handler;

use State::{Broken, Holds, Unknown};

/// Whether an entry's emulator can run wherever a program is.
pub(super) fn emulator(handler: &Handler, entry: &Entry) -> Link {
    let path = &entry.interpreter;
    let link = |state, detail: String| Link::of(handler, "emulator", state, detail);
    let is_fixed = entry.flags.contains('F');
    match elf::read(Path::new(path)) {
        Ok(Facts { loader: Some(loader), .. }) => {
            link(Broken, format!("{path} is not static, it needs {loader}; take a static one, and register it"))
        }
        Ok(_) if is_fixed => link(Holds, format!("{path} is static")),
        Ok(_) => {
            let cure = format!("registrar register {} sets F", handler.target);
            link(Unknown, format!("no flag F, so {path} must be wherever a program runs; {cure}"))
        }
        Err(Unfit::Unreadable(Errno::ENOENT)) if is_fixed => {
            link(Unknown, format!("no {path} here; the kernel uses the one that it opened"))
        }
        Err(Unfit::Unreadable(Errno::ENOENT)) => {
            link(Broken, format!("no {path}, and no flag F; put it there, or register it where it is, with --bindir"))
        }
        Err(Unfit::Unreadable(errno)) => link(Unknown, format!("{path}: {}", binfmt_misc::plain(errno))),
        Err(unfit) => link(Broken, format!("{path} is {unfit}; take a static one of this machine, and register it")),
    }
}
