//! `action.yml` as a runner runs it: its steps by bash, with the inputs in the environment.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::Value;
use xtask::workspace::workspace_root;

use crate::yaml;

/// Runs all steps, each in a bash that `prepare` has been given. Returns the outputs, or what was said by the step that
/// failed.
///
/// # Errors
/// A step that fails.
///
/// # Panics
/// If the file is not as a runner takes it, or has no such input.
pub fn run(inputs: &[(&str, &str)], prepare: impl Fn(&mut Command)) -> Result<BTreeMap<String, String>, String> {
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
        prepare(&mut bash);
        let ended = bash.output().expect("running bash");
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
