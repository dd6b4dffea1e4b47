//! `binfmt_misc` as the kernel shows it: where it is mounted, for how long and for whom, what its entries say, how
//! entries come and go, and what the kernel means by an error. Whose entries they are and what should become of them is
//! [`crate::plan`]'s business.

mod entry;
mod error;
mod instance_owner;
mod lifetime;
mod locate;
mod mount;
mod userns;

pub(crate) use entry::{Entries, Entry, Named};
pub(crate) use error::{Error, plain};
pub(crate) use lifetime::{Lasting, lasting};
pub(crate) use locate::{Mount, find, find_and_lock, hides_nothing};
pub(crate) use mount::{Folder, Register, errno};
pub(crate) use userns::Namespace;
