//! Fetching, proving and extracting: real packages in a real repository, served by a real server, and what becomes of
//! them when somebody or something has been at them.
//!
//! The command is run as a user runs it; what it says and what it leaves behind is what is looked at.

mod bombs;
mod build;
mod command;
mod corpus;
mod faults;
mod fedora;
mod fixture;
mod forge;
mod gpg;
mod hostile;
mod inspect;
mod keys;
mod killed;
mod lock;
mod network;
mod others;
mod server;
mod signatures;
mod sources;
mod stage;
mod swapped;
mod witness;
mod world;
