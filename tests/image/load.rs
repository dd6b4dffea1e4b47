//! `--load`: what an engine's client is given, what is said, and that nothing is left behind. A shell script stands for the
//! client; the container tests load into engines.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use xtask::system::host::Host;

use crate::faults::tree;
use crate::layout::Layout;
use crate::{PROGRAM, fixture};

/// A client that takes what it is given.
const TAKES: &str = "[ \"$1\" != load ] || exec /bin/cat >\"$LOADED\"";

/// Runs it for this machine's host, with this client in `PATH` and no other.
fn load(dist: &Path, engine: &str, client: Option<&str>, loaded: &Path, arguments: &[&str]) -> Output {
    let programs = tempfile::tempdir().expect("a temporary folder");
    if let Some(script) = client {
        let program = programs.path().join(engine);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tested-xtask"));
    command.args(["image", "--load", engine, "--dist"]).arg(dist).args(arguments);
    command.env("PATH", programs.path()).env("LOADED", loaded).env_remove("SOURCE_DATE_EPOCH");
    command.output().expect("running xtask")
}

#[test]
fn an_engine_gets_an_archive_that_each_of_its_versions_reads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dist = folder.path().join("dist");
    fixture::make(&dist, Host::named(None).expect("this machine").name, PROGRAM);
    let before = tree(&dist);
    for (engine, compression) in [("docker", "gzip"), ("podman", "zstd")] {
        let loaded = folder.path().join(format!("{engine}.tar"));
        let printed = load(&dist, engine, Some(TAKES), &loaded, &["--name", "example.org/q"]);
        let [out, err] = [&printed.stdout, &printed.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(printed.status.success(), "{engine}: {err}");
        assert!(out.starts_with("loaded example.org/q:11.1.3-rc1-1; next, to register:\n"), "{engine}: {out}");
        let command: String = out.lines().skip(1).collect();
        assert!(command.trim_start().starts_with(engine) && command.contains("example.org/q:11.1.3-rc1-1"), "{out}");
        assert!(command.contains(" register"), "{out}");
        assert!(tree(&dist) == before, "{engine} leaves something");

        let unpacked = Layout(folder.path().join(engine));
        tar::Archive::new(fs::File::open(&loaded).expect("an archive")).unpack(&unpacked.0).expect("unpacked");
        assert_eq!(unpacked.entries().len(), 1, "{engine}");
        let manifest = unpacked.json(&unpacked.index()["manifests"][0]);
        let media_type = manifest["layers"][0]["mediaType"].as_str().expect("a media type");
        assert!(media_type.ends_with(compression), "{engine}: {media_type}");
        let of_docker = fs::read(unpacked.0.join("manifest.json")).expect("what docker load reads");
        let of_docker: Value = serde_json::from_slice(&of_docker).expect("JSON");
        assert_eq!(of_docker[0]["RepoTags"][0], "example.org/q:11.1.3-rc1-1", "{engine}");
    }
}

#[test]
fn an_engine_that_does_not_take_it_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dist = folder.path().join("dist");
    fixture::make(&dist, Host::named(None).expect("this machine").name, PROGRAM);
    let before = tree(&dist);
    let no_daemon = "echo Client: 20.10; echo first >&2; \
                     echo 'Cannot connect to the Docker daemon at unix:///run/d. Is the docker daemon running?' >&2; exit 1";
    let full = "[ \"$1\" != load ] || { echo 'write: no space left on device' >&2; exit 1; }";
    for (engine, client, expected) in [
        ("docker", None, "--load docker: docker is not installed; install it, or leave out --load"),
        (
            "docker",
            Some(no_daemon),
            "--load docker: docker does not answer: Cannot connect to the Docker daemon at unix:///run/d. Is the docker daemon \
             running?; start it, or leave out --load",
        ),
        (
            "podman",
            Some("exit 125"),
            "--load podman: podman does not answer: it says nothing; start it, or leave out --load",
        ),
        ("docker", Some(full), "docker load: exit status: 1: write: no space left on device"),
    ] {
        let printed = load(&dist, engine, client, Path::new("/dev/null"), &[]);
        let err = String::from_utf8_lossy(&printed.stderr).into_owned();
        assert_eq!(printed.status.code(), Some(1), "{expected}: {err}");
        assert_eq!(err.lines().last(), Some(format!("error: {expected}").as_str()), "{err}");
        assert!(tree(&dist) == before && printed.stdout.is_empty(), "{expected}");
    }
}
