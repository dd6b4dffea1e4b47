//! The host's `binfmt_misc`: one test or measurement at a time, which finds it without our handlers and leaves it as it
//! was.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use crate::binfmt_misc::{self, DEFAULT_MOUNT_POINT};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Locked by who uses the host, also against those of another checkout.
const LOCKED: &str = "/proc/sys/fs";

/// The host's `binfmt_misc`, put back when it is dropped.
pub struct Host {
    is_mounted: bool,
    /// Name and text of every entry that was there.
    pub before: BTreeMap<String, String>,
    _lock: File,
}

impl Host {
    /// With `binfmt_misc` mounted, for the test if it was not.
    pub fn mounted() -> Self {
        let host = Self::new();
        if !is_mounted() {
            mount_it();
        }
        host
    }

    /// With `binfmt_misc` mounted nowhere.
    pub fn not_mounted() -> Self {
        let host = Self::new();
        if host.is_mounted {
            assert!(host.before.is_empty(), "these entries would go with the host's mount: {:?}", host.before.keys());
            umount2(DEFAULT_MOUNT_POINT, MntFlags::empty()).expect("unmounting the host's binfmt_misc, for this test");
        }
        let mounts = binfmt_misc::mounts().expect("mounts can be read");
        assert!(mounts.is_empty(), "this test needs a host where binfmt_misc is not mounted; it is at {mounts:?}");
        host
    }

    fn new() -> Self {
        let lock = File::open(LOCKED).expect("a folder to lock");
        lock.lock().expect("the lock on the host");
        let is_mounted = is_mounted();
        let before = if is_mounted { entries() } else { BTreeMap::new() };
        let names: Vec<_> = before.keys().collect();
        assert!(!names.iter().any(|name| name.starts_with("qemu-")), "the host has handlers already: {names:?}");
        Self { is_mounted, before, _lock: lock }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // After a failed assertion, what the container has registered is still there.
        let now = binfmt_misc::entries(Path::new(DEFAULT_MOUNT_POINT)).unwrap_or_default();
        for name in now.keys().filter(|name| !self.before.contains_key(*name)) {
            let _ = fs::write(Path::new(DEFAULT_MOUNT_POINT).join(name), "-1");
        }
        match (self.is_mounted, is_mounted()) {
            (false, true) => drop(umount2(DEFAULT_MOUNT_POINT, MntFlags::MNT_DETACH)),
            (true, false) => mount_it(),
            _ => {}
        }
    }
}

/// Name and text of every entry.
pub fn entries() -> BTreeMap<String, String> {
    binfmt_misc::entries(Path::new(DEFAULT_MOUNT_POINT)).expect("the host's entries")
}

/// Whether `binfmt_misc` is mounted at the usual place.
pub fn is_mounted() -> bool {
    Path::new(DEFAULT_MOUNT_POINT).join("register").exists()
}

/// Mounts `binfmt_misc` at the usual place.
pub fn mount_it() {
    let kind = Some("binfmt_misc");
    mount(kind, DEFAULT_MOUNT_POINT, kind, MsFlags::empty(), None::<&str>)
        .expect("mounting binfmt_misc; are you root?");
}
