//! The workflows of `.github/`: GitHub's schemas, what is known to make workflows unsafe, the mistakes that expressions and scripts
//! have, and that nothing of what a commit has to pass is left out. Scripts that need no container engine are run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tests::tools::{passes, python, refuses};
use tests::workflows::{self, FOLDER, Runner};
use tests::yaml;
use xtask::system;
use xtask::workspace::workspace_root;

/// Jobs whose scripts tests run: those of `ci.yml` here, the others in the container tests, with a registry and engines.
const RUN: [(&str, &str); 7] = [
    ("audit.yml", "keys"),
    ("ci.yml", "lints"),
    ("image.yml", "build"),
    ("image.yml", "push"),
    ("image.yml", "smoke"),
    ("image.yml", "tags"),
    ("update.yml", "propose"),
];

fn schema(name: &str, file: &Path) -> Command {
    let mut command = python("check-jsonschema");
    command.args(["--builtin-schema", name]).arg(file);
    command
}

fn audit(path: &Path) -> Command {
    let mut command = python("zizmor");
    command.args(["--offline", "--no-progress", "--persona=auditor"]).arg(path);
    command
}

fn lint(file: &Path) -> Command {
    let mut command = python("actionlint");
    command.args(["-no-color", "-oneline"]).arg(file);
    command
}

fn paths() -> Vec<PathBuf> {
    let paths: Vec<_> = workflows::files().into_iter().map(|file| workspace_root().join(file)).collect();
    assert!(!paths.is_empty(), "no workflows");
    paths
}

fn scripts() -> Vec<PathBuf> {
    let folder = fs::read_dir(workspace_root().join(".github/scripts")).expect("scripts");
    folder.map(|file| file.expect("a file").path()).collect()
}

/// A workflow, changed.
fn changed(name: &str, from: &str, to: &str) -> (TempDir, PathBuf) {
    let text = fs::read_to_string(workspace_root().join(FOLDER).join(name)).expect(name);
    assert!(text.contains(from), "no {from} in {name}");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join(FOLDER).join(name);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(&file, text.replace(from, to)).expect(name);
    (folder, file)
}

#[test]
fn they_are_workflows_without_known_dangers() {
    for file in paths() {
        passes(&mut schema("vendor.github-workflows", &file));
        passes(&mut lint(&file));
    }
    passes(&mut audit(&workspace_root().join(FOLDER)));
}

#[test]
fn their_faults_are_found() {
    let (_folder, file) = changed("ci.yml", "runs-on: ubuntu-24.04\n", "runs-no: ubuntu-24.04\n");
    refuses(&mut schema("vendor.github-workflows", &file), "runs-no");
    let (_folder, file) = changed("ci.yml", "${{ matrix.group }}", "${{ matrix.groups }}");
    refuses(&mut lint(&file), "property \"groups\" is not defined");
    let (_folder, file) = changed("ci.yml", "${GROUP:+\"$GROUP\"}", "$GROUP");
    refuses(&mut lint(&file), "SC2086");
    let (_folder, file) = changed("image.yml", "permissions: {}", "permissions: write-all");
    refuses(&mut audit(&file), "excessive-permissions");
    let (_folder, file) = changed("ci.yml", "-- -D warnings", "-- -D ${{ github.head_ref }}");
    refuses(&mut audit(&file), "template-injection");
}

#[test]
fn their_scripts_have_no_common_mistakes() {
    for script in scripts() {
        passes(system::command("shellcheck").arg("--severity=style").arg(&script));
        let name = format!(".github/scripts/{}", script.file_name().expect("a name").to_string_lossy());
        let text = |path: PathBuf| fs::read_to_string(path).expect("a file");
        assert!(
            paths().into_iter().chain(scripts()).any(|path| path != script && text(path).contains(&name)),
            "{name} is called by nothing"
        );
    }
}

/// A tag moves, and with it what runs with our permissions. The comment is what Renovate and people read.
#[test]
fn actions_are_pinned_to_commits_that_agree() {
    let mut commits: BTreeMap<String, String> = BTreeMap::new();
    for path in paths() {
        for line in fs::read_to_string(&path).expect("a workflow").lines() {
            let Some((_, used)) = line.split_once("uses: ") else { continue };
            if used.starts_with("./") {
                continue;
            }
            let (name, commit) = used.split_once('@').unwrap_or_else(|| panic!("{line}"));
            let (digest, version) = commit.split_once(" # v").unwrap_or_else(|| panic!("{line}"));
            assert!(digest.len() == 40 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
            assert_eq!(version.split('.').count(), 3, "{line}");
            let known = commits.entry(name.to_owned()).or_insert_with(|| commit.to_owned());
            assert_eq!(known, commit, "{}: {name} in two versions", path.display());
        }
    }
}

/// `.ci/run` is what must hold of a commit, here and there.
#[test]
fn ci_runs_what_the_script_runs() {
    let script = fs::read_to_string(workspace_root().join(".ci/run")).expect(".ci/run");
    let ci = format!("{FOLDER}/ci.yml");
    let steps = workflows::steps(&ci);
    let runs: Vec<_> = steps.iter().map(|step| step.value["run"].as_str().expect("a script")).collect();
    let groups = yaml::file(&ci)["jobs"]["machine"]["strategy"]["matrix"]["group"].clone();
    let groups: BTreeSet<_> = yaml::texts(&groups).into_iter().collect();
    for command in script.lines().filter(|line| line.starts_with("cargo ") && !line.starts_with("cargo xtask test")) {
        assert!(runs.contains(&command), "ci.yml lacks: {command}");
    }
    assert!(script.lines().any(|line| line == "cargo xtask test --all"), "{script}");
    // All groups: the options but for those that are of several.
    let help = system::run(Command::new(env!("CARGO_BIN_EXE_tested-xtask")).args(["test", "--help"])).expect("help");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let options = help.lines().filter_map(|line| line.split_whitespace().next()).filter(|word| word.starts_with("--"));
    let options = options.filter(|option| !["--all", "--fast"].contains(option));
    assert_eq!(groups, options.chain([""]).collect::<BTreeSet<_>>(), "{help}");
}

#[test]
fn what_ci_names_is_what_there_is() {
    let ci = yaml::file(&format!("{FOLDER}/ci.yml"));
    let manifest = fs::read_to_string(workspace_root().join("fuzz/Cargo.toml")).expect("a manifest");
    let targets = manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next());
    assert_eq!(yaml::texts(&ci["jobs"]["fuzz"]["strategy"]["matrix"]["target"]), targets.collect::<Vec<_>>());

    let toolchain = fs::read_to_string(workspace_root().join("rust-toolchain.toml")).expect("a toolchain");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'));
    let channel = channel.expect("a channel");
    let builder = fs::read_to_string(workspace_root().join("Containerfile")).expect("a Containerfile");
    let builder = builder.lines().find_map(|line| line.strip_prefix("ARG BUILDER=")).expect("a builder");
    for image in yaml::texts(&ci["jobs"]["distribution"]["strategy"]["matrix"]["image"]) {
        let rust = image.contains(&format!("/rust:{channel}-"));
        assert!(rust || image == builder, "{image} is neither of Rust {channel} nor {builder}");
    }
}

/// The place of each script that no test runs has a reason, and every other one is of a job that is run.
#[test]
fn scripts_that_no_test_runs_say_why() {
    let mut run = BTreeSet::new();
    for path in workflows::files() {
        let name = path.strip_prefix(&format!("{FOLDER}/")).expect("below the folder").to_owned();
        for step in workflows::steps(&path) {
            match step.reason {
                Some(reason) => println!("{name} {}: {reason}", step.job),
                None => drop(run.insert((name.clone(), step.job))),
            }
        }
    }
    let expected: BTreeSet<_> = RUN.iter().map(|(file, job)| ((*file).to_owned(), (*job).to_owned())).collect();
    assert_eq!(run, expected);
}

#[test]
fn the_lints_pass_as_written_there() {
    let runner = Runner { folder: workspace_root().into(), contexts: BTreeMap::new(), environment: Vec::new() };
    let mut actions = Vec::new();
    let mut action = |name: &str, _: &BTreeMap<String, String>| actions.push(name.to_owned());
    let finished = runner.job(&format!("{FOLDER}/ci.yml"), "lints", &[], &mut action);
    assert_eq!(finished.printed.len(), 3, "{:?}", finished.printed);
    assert_eq!(actions, ["actions/checkout"]);
}

#[test]
fn files_of_the_forge_are_of_their_schemas() {
    let root = workspace_root();
    passes(&mut schema("vendor.renovate", &root.join("renovate.json")));
    let forms = fs::read_dir(root.join(".github/ISSUE_TEMPLATE")).expect("forms");
    let forms: Vec<_> = forms.map(|file| file.expect("a file").path()).collect();
    let config = forms.iter().position(|path| path.ends_with("config.yml")).expect("a configuration");
    for (index, form) in forms.iter().enumerate() {
        let name = if index == config { "vendor.github-issue-config" } else { "vendor.github-issue-forms" };
        passes(&mut schema(name, form));
    }
}
