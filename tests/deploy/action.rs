//! `action.yml`: GitHub's schema, what is known to make actions unsafe, and the mistakes that scripts have.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tests::tools::{passes, python, refuses};
use tests::yaml;
use xtask::system;
use xtask::workspace::workspace_root;

const FILE: &str = "action.yml";

fn schema(file: &Path) -> Command {
    let mut command = python("check-jsonschema");
    command.args(["--builtin-schema", "vendor.github-actions"]).arg(file);
    command
}

fn audit(file: &Path) -> Command {
    let mut command = python("zizmor");
    command.args(["--offline", "--no-progress", "--persona=auditor"]).arg(file);
    command
}

/// The action, changed.
fn changed(from: &str, to: &str) -> (TempDir, std::path::PathBuf) {
    let text = fs::read_to_string(workspace_root().join(FILE)).expect(FILE);
    assert!(text.contains(from), "no {from}");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join(FILE);
    fs::write(&file, text.replace(from, to)).expect(FILE);
    (folder, file)
}

#[test]
fn it_is_an_action_without_known_dangers() {
    let file = workspace_root().join(FILE);
    passes(&mut schema(&file));
    passes(&mut audit(&file));
    // What is typed becomes a word in the shell's environment, and none of a script's text.
    for step in yaml::file(FILE)["runs"]["steps"].as_array().expect("steps") {
        assert!(!step["run"].as_str().expect("a script").contains("${{"), "{step}");
    }
}

#[test]
fn faults_are_found() {
    let (_folder, file) = changed("using: composite", "using: composites");
    refuses(&mut schema(&file), "composites");
    let (_folder, file) = changed("messages=$(mktemp)", "messages=${{ inputs.image }}");
    refuses(&mut audit(&file), "template-injection");
}

#[test]
fn its_scripts_have_no_common_mistakes() {
    for step in yaml::file(FILE)["runs"]["steps"].as_array().expect("steps") {
        let folder = TempDir::new().expect("a folder");
        let script = folder.path().join("script.sh");
        // As the runner starts it: with the options of `shell: bash`.
        assert_eq!(step["shell"], "bash");
        fs::write(&script, format!("set -eo pipefail\n{}", step["run"].as_str().expect("a script"))).expect("a script");
        passes(system::command("shellcheck").args(["--shell=bash", "--severity=style"]).arg(&script));
    }
}
