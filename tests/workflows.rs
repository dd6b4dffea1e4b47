//! GitHub's workflow files, and a runner for their `run:` steps: expressions, environments, outputs, artifacts and contexts are as on
//! GitHub. Actions (`uses:`) are not run: a caller carries out the few that its job depends on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::workspace::workspace_root;

use crate::yaml;

mod expression;

/// Where workflows are.
pub const FOLDER: &str = ".github/workflows";

/// A comment above a step that no test runs; the reason follows.
const NOT_RUN: &str = "# not run by the tests: ";

/// A step that runs a script.
#[derive(Debug)]
pub struct Step {
    /// `JOB`, as the file has it.
    pub job: String,
    /// The step.
    pub value: Value,
    /// Why no test runs it.
    pub reason: Option<String>,
}

/// Paths of all workflow files, from the workspace's root.
///
/// # Panics
/// If they cannot be listed.
pub fn files() -> Vec<String> {
    let folder = fs::read_dir(workspace_root().join(FOLDER)).expect(FOLDER);
    let name = |file: std::io::Result<fs::DirEntry>| file.expect("a file").file_name().to_string_lossy().into_owned();
    let mut files: Vec<_> = folder.map(|file| format!("{FOLDER}/{}", name(file))).collect();
    files.sort();
    files
}

/// The steps of a workflow file that run a script.
///
/// # Panics
/// If the file is no workflow.
pub fn steps(path: &str) -> Vec<Step> {
    let workflow = yaml::file(path);
    let text = fs::read_to_string(workspace_root().join(path)).expect(path);
    let mut reasons = reasons(&text);
    let mut found = Vec::new();
    for (job, value) in workflow["jobs"].as_object().expect("jobs") {
        let steps = value["steps"].as_array().expect("steps").iter().filter(|step| step["run"].is_string());
        let steps: Vec<_> = steps.collect();
        let reasons = reasons.remove(job).unwrap_or_default();
        assert_eq!(steps.len(), reasons.len(), "{path}: {job}");
        for (value, reason) in steps.into_iter().zip(reasons) {
            found.push(Step { job: job.clone(), value: value.clone(), reason });
        }
    }
    found
}

/// For each job, and each of its scripts in order, the comment above its step.
fn reasons(text: &str) -> BTreeMap<String, Vec<Option<String>>> {
    let (_, jobs) = text.split_once("\njobs:\n").expect("jobs");
    let (mut found, mut job, mut above, mut reason) = (BTreeMap::<_, Vec<_>>::new(), "", "", None);
    for line in jobs.lines() {
        let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'));
        job = name.filter(|name| !name.starts_with(' ')).unwrap_or(job);
        let trimmed = line.trim_start();
        if trimmed.starts_with("- ") {
            reason = above.strip_prefix(NOT_RUN).map(str::to_owned);
        }
        if trimmed.strip_prefix("- ").unwrap_or(trimmed).starts_with("run: ") {
            found.entry(job.to_owned()).or_default().push(reason.clone());
        }
        above = trimmed;
    }
    found
}

/// What stands in for GitHub while jobs run.
pub struct Runner {
    /// The checkout, which scripts run in.
    pub folder: PathBuf,
    /// Contexts: `vars.FETCH`, `github.token`, …; what is not named is empty.
    pub contexts: BTreeMap<String, String>,
    /// More of the scripts' environment.
    pub environment: Vec<(String, String)>,
}

/// What a job has left.
#[derive(Debug)]
pub struct Finished {
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// What each script has said, with its standard error.
    pub printed: Vec<String>,
}

impl Runner {
    /// Runs the scripts of a job, but for those that are marked; `matrix` is its place in the matrix, and `action` is called for each
    /// step that uses an action, with the action's name and inputs.
    ///
    /// # Panics
    /// If a script fails.
    pub fn job(
        &self,
        path: &str,
        job: &str,
        matrix: &[(&str, &str)],
        action: &mut dyn FnMut(&str, &BTreeMap<String, String>),
    ) -> Finished {
        let workflow = yaml::file(path);
        let steps: Vec<_> = steps(path).into_iter().filter(|step| step.job == job).collect();
        let mut reasons = steps.into_iter().map(|step| step.reason);
        let mut contexts = self.contexts.clone();
        contexts.extend(matrix.iter().map(|(key, value)| (format!("matrix.{key}"), (*value).to_owned())));
        let job = &workflow["jobs"][job];
        enter(&mut contexts, &workflow["env"]);
        enter(&mut contexts, &job["env"]);
        let mut printed = Vec::new();
        for step in job["steps"].as_array().expect("steps") {
            let skipped = step["run"].is_string() && reasons.next().expect("a reason or none").is_some();
            let wanted = step["if"].as_str().is_none_or(|condition| expression::is_true(condition, &contexts));
            if skipped || !wanted {
                continue;
            }
            let mut contexts_of_step = contexts.clone();
            enter(&mut contexts_of_step, &step["env"]);
            if let Some(name) = step["uses"].as_str() {
                action(name.split('@').next().expect("a name"), &values(&step["with"], &contexts_of_step));
                continue;
            }
            let (text, outputs) = self.script(step["run"].as_str().expect("a script"), &contexts_of_step);
            printed.push(text);
            let id = step["id"].as_str().unwrap_or_default();
            contexts.extend(outputs.into_iter().map(|(name, value)| (format!("steps.{id}.outputs.{name}"), value)));
        }
        Finished { outputs: values(&job["outputs"], &contexts), printed }
    }

    /// Runs one script as `shell: bash` does; gives what it said, and its outputs.
    fn script(&self, script: &str, contexts: &BTreeMap<String, String>) -> (String, BTreeMap<String, String>) {
        assert!(!script.contains("${{"), "an expression in a script: {script}");
        let scratch = tempfile::tempdir().expect("a folder");
        let (file, output) = (scratch.path().join("script.sh"), scratch.path().join("output"));
        fs::write(&file, script).expect("a script");
        fs::write(&output, "").expect("a file");
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&file).current_dir(&self.folder);
        bash.env("GITHUB_OUTPUT", &output);
        for (name, value) in contexts {
            if let Some(name) = name.strip_prefix("env.") {
                bash.env(name, value);
            }
        }
        bash.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let ended = bash.output().expect("running bash");
        let printed = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        println!("$ {}\n{printed}", script.trim_end());
        assert!(ended.status.success(), "{}: {script}\n{printed}", ended.status);
        (printed, outputs(&output))
    }
}

/// The lines NAME=VALUE of a file.
fn outputs(file: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).expect("outputs");
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().map(|line| pair(line).unwrap_or_else(|| panic!("no output: {line}"))).collect()
}

/// The values of a mapping, with their expressions evaluated.
fn values(mapping: &Value, contexts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all = mapping.as_object().into_iter().flatten();
    all.map(|(name, value)| (name.clone(), expression::fill_in(&text(value), contexts))).collect()
}

/// Adds the variables of an `env:` to the contexts.
fn enter(contexts: &mut BTreeMap<String, String>, environment: &Value) {
    let values = values(environment, contexts);
    contexts.extend(values.into_iter().map(|(name, value)| (format!("env.{name}"), value)));
}
