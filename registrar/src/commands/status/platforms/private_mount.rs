//! Entries of a `binfmt_misc` that is not mounted here: the host may hold what a container does not show. It is mounted
//! in a mount namespace that nobody else sees, and that is gone when this process ends, which has nothing left to do but
//! to look.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::binfmt_misc::{self, Entries, Error, MountPolicy, UserNamespace};

/// Reads the entries.
pub(super) fn entries(at: &Path) -> Result<Entries, Error> {
    // In a user namespace, an instance of its own would hide the handlers of those above, for good.
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
