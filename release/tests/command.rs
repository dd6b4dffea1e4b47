//! `cargo xtask release` in a checkout of its own: what it makes, and what it commits and tags with `--write`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::system;
use xtask::system::host::Host;
use xtask::workspace::{target_dir, workspace_root};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn git(folder: &Path, words: &[&str]) -> String {
    let mut git = Command::new("git");
    let output = system::run(identified(git.arg("-C").arg(folder).args(words)));
    let output = output.unwrap_or_else(|error| panic!("git {words:?}: {error:#}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whoever runs the tests need not have told git a name.
fn identified(command: &mut Command) -> &mut Command {
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "test").env(format!("GIT_{role}_EMAIL"), "test@localhost");
    }
    command
}

/// The source as it is here, committed.
fn checkout(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("a folder");
    let list = git(workspace_root(), &["ls-files", "--cached", "--others", "--exclude-standard"]);
    let there = list.lines().filter(|file| workspace_root().join(file).symlink_metadata().is_ok());
    let mut copy = Command::new("cp");
    copy.current_dir(workspace_root()).args(["--parents", "--no-dereference"]).args(there).arg(folder);
    system::run(&mut copy).expect("a copy");
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message=a checkout"]);
}

/// Runs the command there; gives what it says, or how it fails.
fn release(folder: &Path, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_release"));
    // As `cargo xtask` sets them.
    command.env("CARGO_PKG_NAME", "xtask").env("CARGO_MANIFEST_DIR", folder.join("xtask"));
    command.env("CARGO_TARGET_DIR", target_dir().join("tmp/release-target")).current_dir(folder);
    let output = identified(command.args(words)).output().expect("running it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("release {words:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn archive(folder: &Path, words: &[&str]) -> Vec<String> {
    let host = Host::named(None).expect("this machine").name;
    let out: PathBuf = folder.join("dist/release");
    let mut tar = Command::new("tar");
    tar.args(words).arg(format!("registrar-1.0.0-linux-{host}.tar.gz"));
    let output = system::run(tar.current_dir(out)).expect("an archive");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_release_is_archives_and_with_write_two_commits_and_a_tag() {
    let folder = target_dir().join("tmp/release-checkout");
    checkout(&folder);
    let host = Host::named(None).expect("this machine").name;
    let words = ["1.0.0", "--host", host];
    let said = release(&folder, &words).expect("a dry run");
    for line in ["+version = \"1.0.0\"", "-## Unreleased", "+## 1.0.0", "nothing is committed; "] {
        assert!(said.lines().any(|said| said.starts_with(line)), "no {line} in {said}");
    }
    assert_eq!(git(&folder, &["status", "--porcelain"]), "", "the checkout is left as it was");
    assert_eq!(git(&folder, &["tag"]), "");

    let mut sums = Command::new("sha256sum");
    system::run(sums.args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder.join("dist/release")))
        .expect("sums");
    let files = archive(&folder, &["--list", "--file"]);
    let name = format!("registrar-1.0.0-linux-{host}");
    for file in ["registrar", "man1/registrar-verify.1", "completions/_registrar", "LICENSE-MIT", "CHANGELOG.md"] {
        assert!(files.contains(&format!("{name}/{file}")), "no {file} in {files:?}");
    }
    let mut unpack = Command::new("tar");
    unpack.args(["--extract", "--file"]).arg(folder.join(format!("dist/release/{name}.tar.gz")));
    let unpacked = tempfile::tempdir().expect("a folder");
    system::run(unpack.current_dir(unpacked.path())).expect("an archive");
    let registrar = unpacked.path().join(&name).join("registrar");
    let said = system::run(Command::new(registrar).arg("--version")).expect("registrar starts").stdout;
    assert!(String::from_utf8_lossy(&said).starts_with("registrar 1.0.0"), "{}", String::from_utf8_lossy(&said));

    let image = format!("ghcr.io/owner/repository@{DIGEST}");
    let error = release(&folder, &[&words[..], &["--write", "--image", "ghcr.io/owner/repository:1"]].concat());
    assert!(error.expect_err("a tag").contains("a tag can be moved"));
    release(&folder, &[&words[..], &["--write", "--image", &image]].concat()).expect("a release");
    assert_eq!(git(&folder, &["log", "--format=%s", "main..release-1.0.0"]), "Go on after 1.0.0\nRelease 1.0.0");
    assert_eq!(git(&folder, &["cat-file", "-t", "v1.0.0"]), "tag");
    let of_tag = git(&folder, &["show", "v1.0.0:deploy/image/image.env"]);
    assert!(of_tag.ends_with(&format!("IMAGE={image}")), "{of_tag}");
    let next = git(&folder, &["show", "release-1.0.0:deploy/image/image.env"]);
    assert!(next.ends_with("IMAGE=localhost/registrar"), "{next}");
    assert!(git(&folder, &["show", "release-1.0.0:CHANGELOG.md"]).contains("## Unreleased\n\n## 1.0.0\n"));
    assert_eq!(git(&folder, &["status", "--porcelain"]), "", "the checkout is left as it was");

    // Nothing new is written for the next one.
    git(&folder, &["switch", "--quiet", "release-1.0.0"]);
    let error = release(&folder, &["1.1.0", "--host", host]).expect_err("an empty section");
    assert!(error.contains("CHANGELOG.md says nothing under \"## Unreleased\""), "{error}");
    let error = release(&folder, &["0.9.0", "--host", host]).expect_err("an older version");
    assert!(error.contains("0.9.0 does not come after 1.0.0"), "{error}");
}
