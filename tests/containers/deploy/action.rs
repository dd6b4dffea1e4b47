//! `action.yml`: its steps, run by bash with the environment that a runner gives them, and a docker without a network.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use codegen::rule::Rule;
use codegen::targets;
use serde_json::Value;
use tests::action;
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::docker::Docker;
use tests::host::{self, Host};
use xtask::workspace::target_dir;

use super::{ENTRYPOINT, IMAGE, pack, runs};
use crate::hello;

/// Runs the action; gives its outputs, or what it says.
pub(crate) fn run(docker: &Docker, inputs: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
    action::run(inputs, |bash| {
        bash.env("DOCKER_HOST", docker.host());
    })
}

#[test]
fn the_action_registers_resets_and_fails_with_the_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    let hello = hello(folder.path());
    let docker = Docker::new(&target_dir().join("containers/docker-action"));
    docker.run(&["import", "--change", ENTRYPOINT, &pack(folder.path()), IMAGE]);
    let image = ("image", IMAGE);

    let _host = Host::mounted();
    let s390x = targets::by_qemu_name("s390x").expect("known");
    let theirs = Rule::for_target(s390x, s390x.machines[0]).line("qemu-s390x", "/bin/false", "F");
    let theirs = theirs.replacen("qemu-s390x", "qemu-theirs", 1);
    fs::write(Path::new(DEFAULT_MOUNT_POINT).join("register"), &theirs).expect("somebody else's handler");

    // By commas and lines, with spaces, and what the machine runs itself among them.
    let outputs = run(&docker, &[image, ("platforms", "linux/amd64, linux/arm64\nriscv64")]).expect("success");
    assert!(runs(&hello));
    let platforms: Vec<_> = outputs["platforms"].split(',').collect();
    assert!(
        ["linux/amd64", "linux/arm64", "linux/riscv64"].iter().all(|name| platforms.contains(name)),
        "{platforms:?}"
    );
    let status: Value = serde_json::from_str(&outputs["status"]).expect("JSON");
    let handlers = status["handlers"].as_array().expect("handlers");
    let states: Vec<_> = handlers.iter().map(|handler| (&handler["target"], &handler["state"])).collect();
    assert!(states.iter().any(|(target, state)| *target == "aarch64" && *state == "registered"), "{states:?}");
    let names: Vec<_> = host::entries().into_keys().collect();
    assert!(
        ["qemu-aarch64", "qemu-riscv64", "qemu-theirs"].iter().all(|name| names.iter().any(|one| one == name)),
        "{names:?}"
    );

    let outputs = run(&docker, &[image, ("reset", "true"), ("platforms", " ,\n")]).expect("success");
    assert!(!host::entries().contains_key("qemu-theirs"), "what others had registered is still there");
    assert!(outputs["platforms"].contains("linux/s390x") && runs(&hello), "{outputs:?}");

    for (inputs, cause) in [
        (&[image, ("platforms", "linux/arm46")][..], "linux/arm46"),
        (&[image, ("platforms", "windows/amd64")], "platforms"),
        (&[image, ("privileged", "yes")], "privileged"),
        (&[image, ("platforms", "--mount=/tmp")], "--mount=/tmp"),
        (&[image, ("reset", "yes")], "reset"),
        // A checkout's image, which was not loaded.
        (&[], "localhost/registrar is not loaded"),
        (&[("image", "--privileged")], "invalid reference format"),
        (&[("image", "127.0.0.1:9/none:1")], "127.0.0.1:9"),
        (&[("image", "$(touch x)`id`")], "invalid reference format"),
    ] {
        let printed = run(&docker, inputs).expect_err("a failure");
        let error_line = printed.lines().rev().find_map(|line| line.strip_prefix("::error title=registrar::"));
        assert!(error_line.is_some_and(|line| line.contains(cause)), "{inputs:?}: no {cause:?} in:\n{printed}");
    }
}
