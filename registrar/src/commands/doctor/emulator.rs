//! Checks an emulator's file, and what may keep it from running. With flag `F` the kernel may have another file open.

use std::path::Path;

use nix::errno::Errno;

use super::{Check, CheckStatus};
use crate::binfmt_misc::Entry;
use crate::elf::{self, Unfit};
use crate::request::HOST_EMULATOR_DIR;
use crate::security::SecurityModule;
use crate::sys::{errno_text, text};
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

/// The security module that may forbid an emulator at `path`, which fails and may have said why, and what to do.
pub(super) fn policy_hint(path: &Path, stderr_line: &str) -> Option<String> {
    let module = SecurityModule::current()?;
    if text("/sys/fs/selinux/enforce").trim_end() == "0" && module == SecurityModule::SeLinux {
        return None;
    }
    let fix = match module {
        SecurityModule::AppArmor(profile) => {
            return Some(format!(
                "AppArmor confines this process ({profile}); dmesg shows what it has denied; in a container: --security-opt \
                 apparmor=unconfined"
            ));
        }
        // QEMU's message where it may not have memory that is written and then executed.
        SecurityModule::SeLinux if stderr_line.contains("jit buffer") => {
            "it may not have executable memory: setsebool -P allow_execmem 1".into()
        }
        SecurityModule::SeLinux => {
            let path = path.display();
            format!(
                "{path}, here or in its image, may need the label bin_t: registrar register --copy-to {HOST_EMULATOR_DIR}"
            )
        }
    };
    Some(format!("SELinux is on; see ausearch -m avc -ts recent; {fix}"))
}
