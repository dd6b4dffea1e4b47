//! Build tool: packages in, a container image's root file system out.
//!
//! `commands` has one file per command; `pipeline` runs the eight steps of a build in their order.

// What is public is so for the tests and benches; a name that says all has no comment.
#![allow(missing_docs)]

pub mod build;
pub mod commands;
pub mod download;
pub mod extract;
pub mod image;
pub mod output;
pub mod pipeline;
pub mod repo;
pub mod source;
pub mod system;
pub mod verify;
pub mod workspace;

pub use commands::main;
