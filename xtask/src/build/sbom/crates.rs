//! The crates that are compiled into `registrar`, from cargo's messages; `cargo metadata` lists other targets' too,
//! and is slow.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::build::compile;
use crate::verify::digest::Sha256;
use crate::workspace::workspace_root;

pub(crate) const CRATES_IO: &str = "crates.io";

const CRATES_IO_INDEX: &[&str] =
    &["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    pub sha256: Option<Sha256>,
    /// Where cargo found it: [`CRATES_IO`], the host of another registry or repository, or the folder of the sources.
    pub registry: String,
}

pub(crate) fn of(registrar: &Path) -> Result<Vec<Crate>> {
    let path = compile::messages(registrar);
    let messages = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let lock = workspace_root().join("Cargo.lock");
    let lock = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    let folder = registrar.parent().context("a program without a folder")?;
    let artifacts = linked(&messages, folder).with_context(|| format!("reading {}", path.display()))?;
    let with_facts = |artifact: Artifact| {
        let (source, name, version) = artifact.identity();
        let manifest = fs::read_to_string(&artifact.manifest_path).unwrap_or_default();
        Crate {
            license: license(&manifest),
            sha256: checksum(&lock, name, version),
            registry: registry(source).into(),
            name: name.into(),
            version: version.into(),
        }
    };
    let mut crates: Vec<_> = artifacts.into_iter().map(with_facts).collect();
    crates.sort();
    crates.dedup();
    Ok(crates)
}

/// One of cargo's messages, which has all of this if it is of a crate; more fields are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Artifact {
    reason: String,
    package_id: String,
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

/// The libraries that were compiled into a folder. What runs while others are compiled goes elsewhere.
fn linked(messages: &str, folder: &Path) -> Result<Vec<Artifact>> {
    let mut artifacts = Vec::new();
    for line in messages.lines() {
        let artifact: Artifact = serde_json::from_str(line).context("reading what cargo said")?;
        let is_linked = artifact.executable.is_none() && artifact.filenames.iter().any(|name| name.starts_with(folder));
        if artifact.reason == "compiler-artifact" && is_linked {
            artifacts.push(artifact);
        }
    }
    Ok(artifacts)
}

impl Artifact {
    /// Source, name and version, of `registry+https://…#cfg-if@1.0.5` or `path+file:///…/codegen#0.1.0`.
    fn identity(&self) -> (&str, &str, &str) {
        let (source, rest) = self.package_id.rsplit_once('#').unwrap_or(("", &self.package_id));
        let last = source.rsplit('/').next().unwrap_or(source);
        let (name, version) = rest.split_once('@').unwrap_or((last, rest));
        (source, name, version)
    }
}

/// Whose a source is, as cargo writes it: `sparse+https://host/index`, `git+ssh://user@host/repository`, `path+file:///…`.
fn registry(source: &str) -> &str {
    if CRATES_IO_INDEX.contains(&source) {
        return CRATES_IO;
    }
    let address = source.split_once("://").map_or(source, |(_, address)| address);
    let authority = address.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // A folder has no host; what is compiled from one is part of the sources.
    if host.is_empty() { "registrar" } else { host }
}

/// The license in a manifest: cargo writes published ones anew, one key a line.
fn license(manifest: &str) -> Option<String> {
    let package = manifest.lines().skip_while(|line| *line != "[package]").skip(1);
    let mut package = package.take_while(|line| !line.starts_with('['));
    package.find_map(|line| quoted(line, "license")).map(str::to_owned)
}

fn checksum(lock: &str, name: &str, version: &str) -> Option<Sha256> {
    let is_it = |block: &&str| {
        let has = |key, value| block.lines().any(|line| quoted(line, key) == Some(value));
        has("name", name) && has("version", version)
    };
    let block = lock.split("[[package]]").find(is_it)?;
    block.lines().find_map(|line| Sha256::parse(quoted(line, "checksum")?).ok())
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_into_the_folder_of_the_program_is_linked() {
        let index = CRATES_IO_INDEX[0];
        let message = |id: &str, file: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","manifest_path":"/m","filenames":["{file}"],"executable":{executable}}}"#
            )
        };
        let messages = [
            message(&format!("{index}#cfg_aliases@0.2.1"), "/t/dist/deps/libcfg_aliases.rlib", "null"),
            message(&format!("{index}#nix@0.31.3"), "/t/dist/build/nix/build-script-build", "null"),
            message(&format!("{index}#libc@0.2.191"), "/t/musl/dist/deps/liblibc.rlib", "null"),
            message("path+file:///src/ours#0.1.0", "/t/musl/dist/deps/libours.rlib", "null"),
            message("path+file:///src/registrar#0.1.0", "/t/musl/dist/registrar", r#""/t/musl/dist/registrar""#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let found = linked(&messages.join("\n"), Path::new("/t/musl/dist")).expect("messages");
        let found: Vec<_> = found.iter().map(Artifact::identity).collect();
        assert_eq!(found, [(index, "libc", "0.2.191"), ("path+file:///src/ours", "ours", "0.1.0")]);
        assert!(linked("not JSON", Path::new("/t")).is_err());
    }

    #[test]
    fn manifests_and_lock_files_are_read_line_by_line() {
        let manifest = "[package]\nname = \"x\"\nlicense = \"MIT OR Apache-2.0\"\n\n[lib]\nlicense = \"no\"\n";
        assert_eq!(license(manifest).as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(license("[package]\nlicense-file = \"LICENSE\"\n[lib]\nlicense = \"no\"\n"), None);
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let lock = format!(
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"{one}\"\n\n\
             [[package]]\nname = \"a\"\nversion = \"2.0.0\"\nchecksum = \"{two}\"\n\n\
             [[package]]\nname = \"b\"\nversion = \"1.0.0\"\n"
        );
        for (name, version, expected) in [("a", "2.0.0", Some(&two)), ("a", "1.0.0", Some(&one)), ("b", "1.0.0", None)]
        {
            let found = checksum(&lock, name, version).map(|digest| digest.to_string());
            assert_eq!(found.as_ref(), expected, "{name} {version}");
        }
    }

    #[test]
    fn a_crate_is_of_the_registry_that_cargo_found_it_in() {
        for (source, expected) in [
            (CRATES_IO_INDEX[0], "crates.io"),
            (CRATES_IO_INDEX[1], "crates.io"),
            ("sparse+https://crates.example:8443/index/", "crates.example:8443"),
            ("registry+https://user@crates.example/index", "crates.example"),
            ("git+ssh://git@code.example/one/two.git?branch=main", "code.example"),
            ("path+file:///src/ours", "registrar"),
        ] {
            assert_eq!(registry(source), expected, "{source}");
        }
    }
}
