//! `xtask`, run as a user runs it, into a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

/// What a run said and left.
pub(crate) struct CommandResult {
    folder: TempDir,
    pub(crate) good: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl CommandResult {
    /// Runs `xtask extract` in a new folder.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self::again(tempfile::tempdir().expect("a temporary folder"), arguments)
    }

    /// Runs `xtask extract` in the folder of an earlier run.
    pub(crate) fn again(folder: TempDir, arguments: &[&str]) -> Self {
        Self::with_env(folder, arguments, &[])
    }

    /// Runs `xtask extract` in the folder of an earlier run, with more in the environment.
    pub(crate) fn with_env(folder: TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        // The cache and apt's folders are there too: a test that finds what another has fetched proves nothing.
        let target = folder.path().join("target");
        Self::command("extract", folder, &target, arguments, environment)
    }

    /// Runs `xtask fetch-and-build` in the folder of an earlier run.
    pub(crate) fn build(folder: TempDir, arguments: &[&str]) -> Self {
        Builds::alone().build(folder, arguments)
    }

    fn command(
        command: &str,
        folder: TempDir,
        target: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_tested-xtask"))
            .arg(command)
            .args(arguments)
            .arg("--out")
            .arg(folder.path().join("out"))
            .env("CARGO_TARGET_DIR", target)
            .envs(environment.iter().copied())
            .output()
            .expect("running xtask");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { good: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr), folder }
    }

    /// The folder, for a further run.
    pub(crate) fn into_folder(self) -> TempDir {
        self.folder
    }

    /// What the run has made.
    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Asserts that it went well; gives the emulators that came out, by file name.
    #[track_caller]
    pub(crate) fn emulators(&self) -> Vec<String> {
        assert!(self.good, "{}", self.stderr);
        names(&self.out().join("emulators"))
    }

    /// Asserts that it failed with one line that holds all of `words`, and left nothing that it was making.
    #[track_caller]
    pub(crate) fn assert_refused(&self, words: &[&str]) {
        assert!(!self.good, "it went well: {}", self.stdout);
        assert_eq!(self.stdout, "");
        let Some(line) = self.stderr.strip_prefix("error: ").and_then(|line| line.strip_suffix('\n')) else {
            panic!("not one line: {}", self.stderr)
        };
        assert!(!line.contains('\n'), "not one line: {line}");
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {line}");
        }
        let left: Vec<_> = names(self.folder.path()).into_iter().filter(|name| name != "target").collect();
        assert_eq!(left, Vec::<String>::new());
        let parts: Vec<_> =
            files(&self.folder.path().join("target")).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(parts, Vec::<String>::new(), "temporary files are left in the cache");
    }
}

/// Settings of cargo with which `registrar` is compiled in a tenth of the time. What a build does around it is the same.
pub(crate) const QUICKLY_COMPILED: [(&str, &str); 3] = [
    ("CARGO_PROFILE_DIST_LTO", "off"),
    ("CARGO_PROFILE_DIST_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_DIST_CODEGEN_UNITS", "16"),
];

/// Builds in a target folder that is kept, so that what `registrar` depends on is compiled once. Builds of one host share
/// the record of what was built last: while this lives, no other test builds.
pub(crate) struct Builds(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Builds {
    /// Waits until no other test builds.
    pub(crate) fn alone() -> Self {
        static BUILDS: Mutex<()> = Mutex::new(());
        Self(BUILDS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `xtask fetch-and-build` in the folder of an earlier run.
    pub(crate) fn build(&self, folder: TempDir, arguments: &[&str]) -> CommandResult {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("builds");
        CommandResult::command("fetch-and-build", folder, &target, arguments, &QUICKLY_COMPILED)
    }
}

/// Names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("a folder entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Names of all files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    names(folder)
        .into_iter()
        .flat_map(|name| match folder.join(&name) {
            path if path.is_dir() => files(&path),
            _ => vec![name],
        })
        .collect()
}
