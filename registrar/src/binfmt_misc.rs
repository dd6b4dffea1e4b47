//! `binfmt_misc` as the kernel shows it: where it is mounted, for how long and for whom, what its entries say, how
//! entries come and go, and what the kernel means by an error. Whose entries they are and what should become of them is
//! [`crate::plan`]'s business.

mod entry;
mod error;
mod helper;
mod lifetime;
mod locate;
mod mount;
mod userns;

pub(crate) use entry::{Entries, Entry, Named};
pub(crate) use error::Error;
pub(crate) use lifetime::{Lifetime, lifetime, run_if_helper};
pub(crate) use locate::{MountPolicy, check_mount_point_empty, find, find_and_lock, has_lasting_instance, look};
pub(crate) use mount::{BinfmtMount, DEFAULT_MOUNT, RegisterFile};
pub(crate) use userns::{BIND, UserNamespace};
