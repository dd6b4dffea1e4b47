//! Security modules that may keep an emulator from running. That they are there proves nothing.

use crate::sys::text;

/// What to look at, of each that is in force, for an emulator at `path`.
pub(super) fn hints(path: &str) -> Vec<String> {
    let mut hints = Vec::new();
    if text("/sys/fs/selinux/enforce").trim_end() == "1" {
        hints.push(format!(
            "SELinux is enforcing; see ausearch -m avc -ts recent; it may help to label the emulator and register it \
             again: chcon -t bin_t {path}"
        ));
    }
    let profile = text("/proc/self/attr/current");
    let profile = profile.trim_matches(['\0', '\n']);
    // SELinux answers in the same place.
    if text("/sys/module/apparmor/parameters/enabled").trim_end() == "Y" && is_confined(profile) {
        hints.push(format!("AppArmor confines this process ({profile}); dmesg shows what it has denied"));
    }
    hints
}

fn is_confined(profile: &str) -> bool {
    !profile.is_empty() && profile != "unconfined"
}
