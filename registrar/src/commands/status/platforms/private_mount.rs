//! Entries of a `binfmt_misc` that is not mounted in this container: mounts it in a private mount namespace, which
//! disappears with this process.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::binfmt_misc::{self, Entries, Error, MountPolicy, UserNamespace};

pub(super) fn entries(at: &Path) -> Result<Entries, Error> {
    // The first mount in a user namespace permanently disables its parent's handlers.
    if UserNamespace::current().is_some() {
        return Err(Error::NotMounted { at: at.into() });
    }
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .and_then(|()| {
            mount(Some(binfmt_misc::FILE_SYSTEM), at, Some(binfmt_misc::FILE_SYSTEM), MsFlags::empty(), none)
        })
        .map_err(|errno| Error::Mount { at: at.into(), errno })?;
    binfmt_misc::find(Some(at), MountPolicy::Lookup)?.entries()
}
