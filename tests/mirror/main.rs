//! Fetching, proving and extracting: real packages in a real repository, served by a real server, and what becomes of
//! them when somebody or something has been at them.
//!
//! The command is run as a user runs it; what it says and what it leaves behind is what is looked at.

mod build;
mod command;
mod corpus;
mod createrepo;
mod decompression_bombs;
mod fake_fedora;
mod faults;
mod fedora;
mod fixture;
mod gpg;
mod hostile;
mod inspect;
mod keys;
mod lock;
mod network;
mod rpm_forge;
mod sigkill;
mod signatures;
mod sources;
mod stage;
mod swapped;
mod witness;
