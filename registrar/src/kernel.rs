//! `binfmt_misc` as the kernel shows it: where it is mounted, for how long and for whom, what its entries say, how
//! entries come and go, and what the kernel means by an error. Whose entries they are and what should become of them is
//! [`crate::plan`]'s business.

mod entry;
mod error;
mod find;
mod folder;
mod lasting;
mod own;
mod scope;

pub(crate) use entry::{Entries, Entry, Named};
pub(crate) use error::{Error, plain};
pub(crate) use find::{Mount, find, find_and_lock, hides_nothing};
pub(crate) use folder::{Folder, Register, errno};
pub(crate) use lasting::{Lasting, lasting};
pub(crate) use scope::Namespace;
