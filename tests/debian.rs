//! Debian's archive, asked by apt in folders of the test's own, whatever the machine's sources are: nothing is installed,
//! and what is downloaded is verified with the keys of Debian's releases.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use xtask::system;

/// Keys of all of Debian's releases.
pub const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where Debian is, for a machine that has another distribution.
const MIRROR: &str = "http://deb.debian.org/debian/";

/// apt with folders of its own, for one release and one kind of machine.
pub struct Apt<'a> {
    architecture: &'a str,
    folder: &'a Path,
}

impl<'a> Apt<'a> {
    /// With its lists, and what it downloads, in `folder`; `architecture` is Debian's name.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn new(suite: &str, architecture: &'a str, folder: &'a Path) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name)).context("making folders for apt")?;
        }
        let sources = format!("deb [signed-by={KEYS} target=Packages] {} {suite} main\n", mirror());
        fs::write(folder.join("sources.list"), sources).context("writing apt's sources")?;
        // None of these packages is installed.
        fs::write(folder.join("status"), "").context("writing what is installed")?;
        Ok(Self { architecture, folder })
    }

    /// Calls one of apt's programs; gives its standard output.
    ///
    /// # Errors
    /// If it fails, with the last lines of what it said.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command.current_dir(self.folder).env("LC_ALL", "C.UTF-8").arg("-q");
        for (key, file) in [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "none"),
            ("Dir::State::lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
        ] {
            let mut option = OsString::from(format!("{key}="));
            option.push(self.folder.join(file));
            command.arg("-o").arg(option);
        }
        for key in ["Architecture", "Architectures"] {
            command.arg("-o").arg(format!("APT::{key}={}", self.architecture));
        }
        for option in [
            "APT::Get::AllowUnauthenticated=false",
            // Lists that cannot be fetched are a failure, not a warning.
            "APT::Update::Error-Mode=any",
            // The unprivileged user that apt would switch to cannot write into our folder.
            "APT::Sandbox::User=",
        ] {
            command.args(["-o", option]);
        }
        let output = system::run(command.args(arguments))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The file of a package that was downloaded.
    ///
    /// # Errors
    /// If there is none.
    pub fn package(&self, name: &str) -> Result<PathBuf> {
        let start = format!("{name}_");
        for file in fs::read_dir(self.folder).context("reading what apt downloaded")? {
            let file = file?;
            if file.file_name().to_string_lossy().starts_with(&start) {
                return Ok(file.path());
            }
        }
        anyhow::bail!("apt-get download left no {name}")
    }
}

/// The place that this machine gets Debian from.
pub fn mirror() -> String {
    let urls = Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]).output();
    let urls = urls.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    urls.lines().find(|url| url.ends_with("/debian/")).unwrap_or(MIRROR).to_owned()
}
