//! Security modules that are active and may keep an emulator from running.

use crate::sys::text;

/// A hint for each active module, for an emulator at `path`.
pub(super) fn hints(path: &str) -> Vec<String> {
    let mut hints = Vec::new();
    if text("/sys/fs/selinux/enforce").trim_end() == "1" {
        hints.push(format!(
            "SELinux is enforcing; see ausearch -m avc -ts recent; label the emulator, then register it again: \
             chcon -t bin_t {path}"
        ));
    }
    let profile = text("/proc/self/attr/current");
    let profile = profile.trim_matches(['\0', '\n']);
    // With SELinux this file holds its label.
    let is_confined = !profile.is_empty() && profile != "unconfined";
    if text("/sys/module/apparmor/parameters/enabled").trim_end() == "Y" && is_confined {
        hints.push(format!("AppArmor confines this process ({profile}); dmesg shows what it has denied"));
    }
    hints
}
