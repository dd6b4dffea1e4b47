//! `action.yml`: its steps, run by bash with the environment that a runner gives them, and a docker without a network.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use codegen::rule::Rule;
use codegen::targets;
use serde_json::Value;
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::docker::Docker;
use tests::host::{self, Host};
use tests::yaml;
use xtask::workspace::{target_dir, workspace_root};

use super::{ENTRYPOINT, IMAGE, pack, runs};
use crate::hello;

/// Runs the action; gives its outputs, or what it says.
pub(crate) fn run(docker: &Docker, inputs: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
    let action = yaml::file("action.yml");
    for (name, _) in inputs {
        assert!(action["inputs"][name].is_object(), "no input {name}");
    }
    let input = |name: &str| {
        let given = inputs.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
        given.unwrap_or_else(|| action["inputs"][name]["default"].as_str().unwrap_or_default()).to_owned()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mut of_steps = BTreeMap::new();
    for step in action["runs"]["steps"].as_array().expect("steps") {
        let (script, output) = (folder.path().join("script.sh"), folder.path().join("output"));
        fs::write(&script, step["run"].as_str().expect("a script")).expect("a script");
        fs::write(&output, "").expect("a file");
        // What `shell: bash` means.
        assert_eq!(step["shell"], "bash");
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&script).env("GITHUB_OUTPUT", &output);
        bash.env("GITHUB_ACTION_PATH", workspace_root());
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            bash.env(name, input(expression(value, "inputs.")));
        }
        let ended = bash.env("DOCKER_HOST", docker.host()).output().expect("running bash");
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        println!("{inputs:?}: {}\n{said}", ended.status);
        if !ended.status.success() {
            return Err(said);
        }
        let id = step["id"].as_str().unwrap_or_default();
        for line in fs::read_to_string(&output).expect("outputs").lines() {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("no output: {line}"));
            of_steps.insert(format!("{id}.outputs.{name}"), value.to_owned());
        }
    }
    let outputs = action["outputs"].as_object().expect("outputs").iter();
    Ok(outputs.map(|(name, output)| (name.clone(), of_steps[expression(&output["value"], "steps.")].clone())).collect())
}

/// What stands in `${{ … }}`, which is all of a value here.
fn expression<'a>(value: &'a Value, start: &str) -> &'a str {
    let text = value.as_str().expect("text");
    let inside = text.strip_prefix("${{ ").and_then(|text| text.strip_suffix(" }}"));
    inside.and_then(|text| text.strip_prefix(start)).unwrap_or_else(|| panic!("{text}"))
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
        let said = run(&docker, inputs).expect_err("a failure");
        let cause_told = said.lines().rev().find_map(|line| line.strip_prefix("::error title=registrar::"));
        assert!(cause_told.is_some_and(|told| told.contains(cause)), "{inputs:?}: no {cause:?} in:\n{said}");
    }
}
