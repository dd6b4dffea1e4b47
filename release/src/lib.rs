//! `cargo xtask release VERSION`: the version in the workspace, the changelog's section, the image's digest in `deploy/`, and archives of
//! `registrar` for each host with its man pages and completions. Nothing of the checkout changes: all is made in a worktree of its own,
//! and committed and tagged there with `--write`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use xtask::system::host::Host;
use xtask::verify::digest::Sha256;
use xtask::workspace::{target_dir, workspace_root};
use xtask::{say, system};

mod archive;
pub mod documents;
mod edits;
pub mod interface;

/// The word by which this program runs itself to compile, with a host after it.
pub const COMPILE: &str = "compile";

/// The hosts that images are made for.
const HOSTS: &str = "aarch64,ppc64le,s390x,x86_64";

/// Prepare a release: archives of registrar, and with --write its commits and its tag
#[derive(Debug, Parser)]
#[command(name = "cargo xtask release")]
pub struct Args {
    /// The new version, such as 1.0.0
    version: String,

    /// The image that deploy/ and action.yml take: REPOSITORY@sha256:DIGEST
    #[arg(long, value_name = "IMAGE", value_parser = edits::image)]
    image: Option<String>,

    /// The machines that archives are made for
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1.., default_value = HOSTS)]
    host: Vec<String>,

    /// Where the archives go
    #[arg(long, value_name = "DIR", default_value_os_t = workspace_root().join("dist/release"))]
    out: PathBuf,

    /// Commit and tag; without it, only archives are made, and what would be committed is shown
    #[arg(long, requires = "image")]
    write: bool,
}

/// Runs it.
///
/// # Errors
/// The first thing that is not ready for a release, or what fails.
pub fn run(args: &Args) -> Result<()> {
    let hosts: Vec<_> = args.host.iter().map(|name| Host::named(Some(name))).collect::<Result<_>>()?;
    ensure!(
        git(workspace_root(), &["status", "--porcelain"])?.is_empty(),
        "there are files that are not committed; commit them first"
    );
    let source = Worktree::new(&target_dir().join("release"))?;
    let is_new = edits::version(&source.folder, &args.version)?;
    edits::changelog(&source.folder, &args.version, is_new)?;
    if let Some(image) = &args.image {
        edits::image_env(&source.folder, image)?;
    }
    say!("{}", git(&source.folder, &["diff", "--unified=0", "--no-color"])?);
    let sums = archives(args, &hosts, &source.folder)?;
    say!("{sums}");
    if !args.write {
        say!("nothing is committed; --write --image REPOSITORY@sha256:DIGEST does it");
        return Ok(());
    }
    commit(args, &source.folder)
}

/// Makes the archives and the list of their checksums; gives that.
fn archives(args: &Args, hosts: &[Host], source: &Path) -> Result<String> {
    fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let documents = tempfile::tempdir().context("making a folder")?;
    let interface = interface::Interface::read(source)?;
    documents::write(&interface, &args.version, documents.path())?;
    let mut sums = String::new();
    for host in hosts {
        let registrar = compile(*host, source)?;
        let path = args.out.join(format!("registrar-{}-linux-{}.tar.gz", args.version, host.name));
        archive::write(&path, source, &registrar, documents.path())?;
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sums += &format!("{}  {name}\n", Sha256::of(&bytes));
    }
    let list = args.out.join("SHA256SUMS");
    fs::write(&list, &sums).with_context(|| format!("writing {}", list.display()))?;
    Ok(sums)
}

/// Compiles `registrar` of a worktree, with the committed table. The build tool compiles what lies beside the crate that cargo says it
/// runs, so this program runs once more, as that worktree's.
fn compile(host: Host, source: &Path) -> Result<PathBuf> {
    let mut itself = Command::new(env::current_exe().context("finding this program")?);
    itself.args([COMPILE, host.name]).current_dir(source);
    itself.env("CARGO_PKG_NAME", "xtask").env("CARGO_MANIFEST_DIR", source.join("xtask"));
    itself.env("CARGO_TARGET_DIR", target_dir().join("release-build"));
    let output = system::run(&mut itself)?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// What this program does when [`compile`] runs it: compiles, and prints where the program is.
///
/// # Errors
/// If it does not compile.
pub fn compile_here(host: &str) -> Result<()> {
    let registrar = xtask::build::compile::registrar(Host::named(Some(host))?, None, false)?;
    say!("{}", registrar.display());
    Ok(())
}

/// Two commits on a branch, for `main` to take: the release, which is tagged, and the checkout's own image again.
fn commit(args: &Args, source: &Path) -> Result<()> {
    let (version, branch) = (&args.version, format!("release-{}", args.version));
    let tag = format!("v{version}");
    git(source, &["switch", "--quiet", "--create", &branch])?;
    git(source, &["commit", "--quiet", "--all", "--message", &format!("Release {version}")])?;
    let message = format!("registrar {version}\nimage {}", args.image.as_deref().unwrap_or_default());
    git(source, &["tag", "--annotate", "--message", &message, &tag])?;
    edits::image_env(source, edits::CHECKOUT_IMAGE)?;
    edits::unreleased(source)?;
    git(source, &["commit", "--quiet", "--all", "--message", &format!("Go on after {version}")])?;
    say!("next: git push origin {branch} {tag}, and merge {branch} as it is");
    Ok(())
}

/// A checkout of HEAD beside this one, removed when it is dropped; its branch and tag stay.
struct Worktree {
    folder: PathBuf,
}

impl Worktree {
    fn new(folder: &Path) -> Result<Self> {
        let worktree = Self { folder: folder.to_owned() };
        worktree.remove();
        let path = folder.to_str().context("a path that is no text")?;
        git(workspace_root(), &["worktree", "add", "--quiet", "--detach", path])?;
        Ok(worktree)
    }

    fn remove(&self) {
        // Left by a run that was killed, or not there.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = git(workspace_root(), &["worktree", "prune"]);
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        self.remove();
    }
}

fn git(folder: &Path, words: &[&str]) -> Result<String> {
    let mut git = Command::new("git");
    let output = git.arg("-C").arg(folder).args(words).output().context("running git")?;
    if !output.status.success() {
        bail!("git {}: {}", words[0], String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
