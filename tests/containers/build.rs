//! `docker build` and `podman build` of the Containerfile: a second build repeats only the steps whose inputs have changed, and
//! FETCH_DATE has packages fetched anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::docker::Docker;
use tests::podman::Podman;
use xtask::system;
use xtask::workspace::{target_dir, workspace_root};

use crate::base;

/// What the step that fetches begins with, in both engines' lists of steps.
const FETCH: &str = "fetching from";

/// What both engines say of a step that they have.
const CACHED: &str = "Using cache";

/// An engine and its options of `build`.
pub(crate) struct Engine<'a> {
    pub(crate) command: &'a dyn Fn() -> Command,
    pub(crate) options: &'a [&'a str],
}

impl Engine<'_> {
    /// Builds the image `localhost/registrar`; gives what was said.
    pub(crate) fn image(&self, context: &Path) -> String {
        self.build(context, DATE, &["--tag=localhost/registrar"])
    }

    fn build(&self, context: &Path, date: &str, options: &[&str]) -> String {
        let mut build = (self.command)();
        build.arg("build").args(self.options).args(options).args(["--build-arg=BUILDER=localhost/builder"]);
        build.args(["--build-arg=SOURCE=apt", &format!("--build-arg=FETCH_DATE={date}")]).arg(context);
        // BuildKit, where it is the default, prints otherwise.
        let output = build.env("DOCKER_BUILDKIT", "0").stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{build:?}: {error}"));
        let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{printed}");
        printed
    }

    /// Builds to the end of the step that fetches; gives the steps, each with what was said of it.
    fn fetched(&self, context: &Path, date: &str) -> Vec<String> {
        let mut steps: Vec<String> = Vec::new();
        for line in self.build(context, date, &["--target=fetched", "--tag=localhost/fetched"]).lines() {
            // "Step 1/9 : FROM …", "[1/4] STEP 1/9: FROM …"
            if line.starts_with("Step ") || line.contains("] STEP ") {
                steps.push(String::new());
            }
            if let Some(step) = steps.last_mut() {
                *step += &format!("{line}\n");
            }
        }
        steps
    }
}

/// Whether the engine had the result of the step that says so in its first line.
fn is_cached(steps: &[String], what: &str) -> bool {
    let step = steps.iter().find(|step| step.lines().next().is_some_and(|line| line.contains(what)));
    step.unwrap_or_else(|| panic!("no step {what}: {steps:#?}")).contains(CACHED)
}

/// A folder with the source, and beside it what a checkout holds besides.
pub(crate) fn source(folder: &Path) -> PathBuf {
    let context = folder.join("source");
    copy_source(&context);
    write(&context, &BESIDE, "first");
    context
}

/// Copies the source as git has it, with uncommitted changes.
pub(crate) fn copy_source(to: &Path) {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(workspace_root());
    let files = system::run(&mut list).expect("a list of files").stdout;
    for file in files.split(|byte| *byte == 0).filter(|file| !file.is_empty()) {
        let file = PathBuf::from(String::from_utf8_lossy(file).into_owned());
        let from = workspace_root().join(&file);
        // Those that were removed are in the list too.
        if from.symlink_metadata().is_ok() {
            let to = to.join(file);
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            system::run(Command::new("cp").arg("--no-dereference").arg(from).arg(to)).expect("a copy");
        }
    }
}

/// What the build does not read, and no engine's cache may depend on.
const BESIDE: [&str; 5] =
    ["target/debug/large", "dist/x86_64/rootfs/registrar", "mirror/a.rpm", ".git/HEAD", "docs/notes.md"];

fn write(context: &Path, files: &[&str], text: &str) {
    for file in files {
        let path = context.join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

/// The value that builds have before [`check_cache`].
pub(crate) const DATE: &str = "2026-11-23";

/// Builds again, with an engine that has built this source.
pub(crate) fn check_cache(engine: &Engine<'_>, context: &Path) {
    let again = engine.fetched(context, DATE);
    assert!(is_cached(&again, FETCH) && is_cached(&again, "cargo build"), "the same value asks nobody: {again:#?}");

    write(context, &BESIDE, "second");
    write(context, &["README.md"], "second");
    let readme = engine.fetched(context, DATE);
    assert!(is_cached(&readme, FETCH), "nothing that the build reads has changed: {readme:#?}");

    let later = engine.fetched(context, "2026-11-30");
    assert!(is_cached(&later, "cargo build"), "nothing is compiled again: {later:#?}");
    assert!(!is_cached(&later, FETCH) && later.concat().contains("fetching from apt 2026-11-30"), "{later:#?}");
}

#[test]
fn docker_builds_the_image_and_fetches_again_when_it_is_told_to() {
    let scratch = target_dir().join("containers");
    fs::create_dir_all(&scratch).expect("a folder for the engines");
    let podman = Podman::new(&scratch);
    base::import(&podman, &scratch);
    let folder = tempfile::tempdir_in(&scratch).expect("a folder");
    let docker = Docker::new(&folder.path().join("docker"));
    base::copy(&podman, &docker, folder.path());
    // The engine has no bridge here.
    let engine = Engine { command: &|| docker.command(), options: &["--network=host"] };
    let context = source(folder.path());
    engine.image(&context);
    let printed = docker.run(&["run", "--rm", "--network=none", "--cap-drop=ALL", "localhost/registrar", "--version"]);
    assert!(printed.contains("36 handlers of 35 targets"), "{printed}");
    check_cache(&engine, &context);
}
