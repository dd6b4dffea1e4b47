//! The record beside a compiled program: commit, compiler, linker. Later steps read it, since the sources may have
//! changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::atomic_dir;

/// git sets these for its hooks; they would name another repository than the one of `root`.
const GIT_LOCAL: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInfo {
    /// Commit of the sources; none without git, or if a file was not as committed.
    pub revision: Option<String>,
    /// `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub rustc: String,
    pub linker: String,
}

impl BuildInfo {
    pub(crate) fn of(program: &Path) -> Result<Self> {
        let path = path(program);
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}: damaged; build again", path.display()))
    }

    pub(super) fn write(&self, program: &Path) -> Result<()> {
        atomic_dir::write(&path(program), &serde_json::to_vec(self).context("writing what was compiled")?)
    }
}

fn path(program: &Path) -> PathBuf {
    program.with_extension("buildinfo.json")
}

/// The commit of a working tree without changes. An untracked file counts as a change: it may be compiled.
pub(crate) fn revision(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        for variable in GIT_LOCAL {
            git.env_remove(variable);
        }
        // An index that is only out of date is not written anew: a build changes nothing.
        let output = git.arg("--no-optional-locks").current_dir(root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // Sources in a folder of another repository have no revision of their own.
    if !git(&["rev-parse", "--show-cdup"])?.is_empty() {
        return None;
    }
    let status = ["status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--ignore-submodules=none"];
    of_status(&git(&status)?)
}

fn of_status(status: &str) -> Option<String> {
    let is_clean = status.lines().all(|line| line.starts_with("# "));
    let commit = status.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    let is_commit = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_clean && is_commit).then(|| commit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system;

    /// A repository with one commit of `file`, and `*.log` ignored.
    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("file"), "text").expect("a file");
        fs::write(folder.path().join(".gitignore"), "*.log\n").expect("a file");
        for arguments in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message", "one"]] {
            git(folder.path(), arguments);
        }
        folder
    }

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=tester", "-c", "user.email=tester@localhost", "-c", "commit.gpgsign=false"]);
        let output = system::run(git.current_dir(folder).args(arguments)).expect("git");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    #[test]
    fn only_a_tree_as_committed_has_a_revision() {
        type Change = fn(&Path) -> std::io::Result<()>;
        let changes: &[(&str, bool, Change)] = &[
            ("nothing", true, |_| Ok(())),
            ("a new time of change", true, |root| {
                fs::File::options().write(true).open(root.join("file"))?.set_modified(std::time::UNIX_EPOCH)
            }),
            ("an ignored file", true, |root| fs::write(root.join("build.log"), "")),
            ("a changed file", false, |root| fs::write(root.join("file"), "other")),
            ("a removed file", false, |root| fs::remove_file(root.join("file"))),
            ("a new file", false, |root| fs::write(root.join("new.rs"), "")),
            ("a new file in a new folder", false, |root| {
                fs::create_dir(root.join("new"))?;
                fs::write(root.join("new/new.rs"), "")
            }),
            ("a new file, and a user who wants to see none", false, |root| {
                git(root, &["config", "status.showUntrackedFiles", "no"]);
                fs::write(root.join("new.rs"), "")
            }),
            ("a new file that is not committed yet", false, |root| {
                fs::write(root.join("new.rs"), "")?;
                git(root, &["add", "."]);
                Ok(())
            }),
            ("no repository", false, |root| fs::remove_dir_all(root.join(".git"))),
        ];
        for (what, is_clean, change) in changes {
            let repository = repository();
            let root = repository.path();
            let commit = git(root, &["rev-parse", "HEAD"]);
            change(root).expect(what);
            assert_eq!(revision(root), is_clean.then_some(commit), "{what}");
        }
    }

    #[test]
    fn a_folder_of_another_repository_and_one_without_commits_have_none() {
        let repository = repository();
        let folder = repository.path().join("vendor");
        fs::create_dir(&folder).expect("a folder");
        assert_eq!(revision(&folder), None);
        git(&folder, &["init", "--quiet"]);
        assert_eq!(revision(&folder), None);
    }
}
