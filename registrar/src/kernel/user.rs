//! Whose root this process is: one of a user namespace may be refused where the host's is not.

use std::fs;

use nix::unistd::geteuid;

/// The user namespace, as `/proc` names it, whose root this process is, unless it is the first.
pub(super) fn root_of() -> Option<String> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let is_first = map.split_whitespace().eq(["0", "0", "4294967295"]);
    if is_first || !geteuid().is_root() {
        return None;
    }
    Some(fs::read_link("/proc/self/ns/user").ok()?.display().to_string())
}
