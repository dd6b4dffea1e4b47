//! Security modules that are active and may keep an emulator from running.

use std::path::Path;

use crate::request::HOST_EMULATOR_DIR;
use crate::security::SecurityModule;
use crate::sys::text;

/// The advice for an emulator at `path` that fails, and may have said why.
pub(super) fn hint(path: &Path, said: &str) -> Option<String> {
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
        SecurityModule::SeLinux if said.contains("jit buffer") => {
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
