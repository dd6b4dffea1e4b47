//! The files of `deploy/` and `.github/`, `action.yml` and the SBOM, each held against the tool or the schema that it is made for, in
//! versions that know all that is used. Whether they do what they should is for the container tests. And what the build
//! believes of the world, held against packages that others made.
//!
//! Needs Python's and Debian's packages; changes nothing on this machine. Not part of `cargo test --workspace`:
//! `cargo xtask test --deploy` runs it.

mod action;
mod compose;
mod distributions;
mod documents;
mod fedora_keys;
mod kubernetes;
mod sbom;
mod units;
mod workflows;

/// The image that `deploy/image/image.env` names.
fn image() -> String {
    let path = xtask::workspace::workspace_root().join("deploy/image/image.env");
    let text = std::fs::read_to_string(path).expect("image.env");
    text.lines().find_map(|line| line.strip_prefix("IMAGE=")).expect("a name").to_owned()
}
