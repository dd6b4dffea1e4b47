//! The machine's own `qemu-user-static` of Debian or Ubuntu: downloaded and verified by apt, never installed.
//!
//! apt works in folders of ours with the machine's sources and keys, so that neither root nor a change to the machine
//! is needed, and another host's packages can be had too.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use super::{Fetched, Request};
use crate::digest::Sha256;
use crate::download::Fetcher;
use crate::forget::{self, LONGEST_KEPT};
use crate::host::Host;
use crate::package::{Format, Package, Stated};
use crate::progress;
use crate::repo::Promise;
use crate::tables::target_dir;
use crate::verify::Trust;

/// The package, and what it needs to hold emulators (Debian 13 keeps them in `qemu-user`).
const ROOT: &str = "qemu-user-static";
const PREFIX: &str = "qemu-user";

/// How old apt's lists may be before they are fetched again.
const LISTS_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether this machine has apt.
pub(super) fn is_here() -> bool {
    Command::new("apt-get").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The packages of the machine's distribution for the wanted host.
pub(super) fn fetch(request: &Request, fetcher: &Fetcher) -> Result<Fetched> {
    let apt = Apt::new(request.host)?;
    if fetcher.is_refreshing() {
        apt.update_now()?
    } else {
        apt.update(fetcher.is_offline())?
    }
    if apt.show(ROOT).is_err() && !fetcher.is_offline() {
        // The machine's sources may have changed since.
        apt.update_now()?;
    }
    let mut packages = Vec::new();
    let mut names = vec![ROOT.to_owned()];
    while let Some(name) = names.pop() {
        let (record, depends) = apt.show(&name)?;
        let path = apt.download(&record, fetcher.is_offline())?;
        for needed in depends.into_iter().filter(|needed| needed.starts_with(PREFIX)) {
            if needed != name
                && !names.contains(&needed)
                && !packages.iter().any(|known: &Package| known.name == needed)
            {
                names.push(needed);
            }
        }
        packages.push(Package {
            name,
            nevra: None,
            promise: Some(record.promise),
            path,
            format: Format::Deb,
            stated: Some(record.stated),
        });
    }
    apt.forget_old();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Fetched { origin: distribution(), packages, trust: Trust::PackageManager })
}

/// `Debian GNU/Linux 12 (bookworm)`, as the machine calls itself.
fn distribution() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "apt".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// apt with folders of its own.
struct Apt {
    host: Host,
    dir: PathBuf,
}

/// One package of apt's lists.
struct Record {
    name: String,
    promise: Promise,
    stated: Stated,
}

impl Apt {
    fn new(host: Host) -> Result<Self> {
        let dir = target_dir().join("fetch").join(host.name).join("apt");
        for folder in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(dir.join(folder))
                .with_context(|| format!("making folders for apt in {}", dir.display()))?;
        }
        Ok(Self { host, dir })
    }

    fn run(&self, program: &str, arguments: &[&str], folder: &Path) -> Result<String> {
        let option = |key: &str, value: &OsStr| {
            let mut option = std::ffi::OsString::from(format!("{key}="));
            option.push(value);
            option
        };
        let mut command = Command::new(program);
        command.current_dir(folder).env("LC_ALL", "C.UTF-8").arg("-q");
        for option in [
            option("Dir::State::lists", self.dir.join("lists").as_os_str()),
            option("Dir::Cache", self.dir.join("cache").as_os_str()),
            option("APT::Architecture", OsStr::new(self.host.debian)),
            option("APT::Architectures", OsStr::new(self.host.debian)),
            option("APT::Get::AllowUnauthenticated", OsStr::new("false")),
            // Lists that cannot be fetched are a failure, not a warning.
            option("APT::Update::Error-Mode", OsStr::new("any")),
            // The unprivileged user that apt would switch to cannot write into our folder.
            option("APT::Sandbox::User", OsStr::new("")),
        ] {
            command.arg("-o").arg(option);
        }
        let output = command.args(arguments).output().with_context(|| format!("running {program}"))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let cause = stderr.lines().rev().find(|line| line.starts_with("E:")).unwrap_or("no reason given");
            bail!("running {program} {}: {cause}", arguments.join(" "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Fetches the lists, unless they are young or there is no network.
    fn update(&self, offline: bool) -> Result<()> {
        let age = fs::metadata(self.stamp()).and_then(|metadata| metadata.modified()).ok();
        let age = age.and_then(|time| SystemTime::now().duration_since(time).ok());
        if offline || age.is_some_and(|age| age < LISTS_AGE) { Ok(()) } else { self.update_now() }
    }

    fn update_now(&self) -> Result<()> {
        let _spinner = progress::spinner("asking apt for its lists");
        self.run("apt-get", &["update"], &self.dir)?;
        fs::write(self.stamp(), "").with_context(|| format!("writing {}", self.stamp().display()))
    }

    /// The file whose age is the lists'.
    fn stamp(&self) -> PathBuf {
        self.dir.join("updated")
    }

    /// What the lists say of the newest version of a package, and the names that it depends on.
    fn show(&self, name: &str) -> Result<(Record, Vec<String>)> {
        let text = self.run("apt-cache", &["show", "--no-all-versions", name], &self.dir).with_context(|| {
            format!("looking for package {name}; does this machine's apt know Debian's main archive?")
        })?;
        let field = |key: &str| {
            let mut lines = text.lines().map_while(|line| (!line.is_empty()).then_some(line));
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        };
        let need = |key: &str| field(key).with_context(|| format!("apt's lists have no {key} of package {name}"));
        let version = need("Version")?;
        let source = source_package(field("Source").unwrap_or(name), version);
        let record = Record {
            name: name.into(),
            promise: Promise {
                sha256: Sha256::parse(need("SHA256")?)?,
                size: need("Size")?.parse().context("reading a package's size")?,
            },
            stated: Stated {
                nevra: format!("{name}_{version}_{}", self.host.debian),
                version: upstream_version(version).into(),
                source,
            },
        };
        let depends = field("Depends").unwrap_or_default();
        let depends = depends.split(',').filter_map(|one| one.trim().split([' ', ':']).next());
        Ok((record, depends.map(str::to_owned).collect()))
    }

    /// The package's file, from an earlier run or from the archive.
    fn download(&self, record: &Record, offline: bool) -> Result<PathBuf> {
        let path = self.dir.join("packages").join(format!("{}.deb", record.promise.sha256));
        if let Ok(file) = fs::File::open(&path)
            && Sha256::of_reader(&file).is_ok_and(|sha256| sha256 == record.promise.sha256)
        {
            forget::wanted(&file);
            return Ok(path);
        }
        if offline {
            bail!("package {} is not in the cache; run once without --offline", record.stated.nevra);
        }
        let _spinner = progress::spinner(&format!("fetching {}", record.stated.nevra));
        let folder = tempfile::tempdir_in(self.dir.join("cache")).context("making a folder for apt")?;
        self.run("apt-get", &["download", &record.name], folder.path())?;
        let mut files = fs::read_dir(folder.path()).context("reading what apt downloaded")?;
        let file = files.next().context("apt-get download left no file")?.context("reading what apt downloaded")?;
        // apt gives a file the time that it has on the server.
        forget::wanted(&fs::File::open(file.path()).context("reading what apt downloaded")?);
        fs::rename(file.path(), &path).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Removes packages that no run has wanted for long.
    fn forget_old(&self) {
        forget::older_than(&self.dir.join("packages"), LONGEST_KEPT);
    }
}

/// `qemu_1:7.2+dfsg-7` of a field `qemu (1:7.2+dfsg-7)`, where a package was rebuilt alone, or `qemu`.
fn source_package(field: &str, version: &str) -> String {
    match field.split_once(" (") {
        Some((name, other)) => format!("{name}_{}", other.trim_end_matches(')')),
        None => format!("{field}_{version}"),
    }
}

/// `7.2` of `1:7.2+dfsg-7+deb12u18`, `10.0.13` of `1:10.0.13+ds-0+deb13u1`.
fn upstream_version(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.split(['+', '-', '~']).next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_nobody_wants_for_long_are_forgotten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let apt = Apt { host: Host::named(Some("x86_64")).expect("a host"), dir: folder.path().into() };
        fs::create_dir(apt.dir.join("packages")).expect("a folder");
        let package = |text: &str| {
            let promise = Promise { sha256: Sha256::of(text.as_bytes()), size: text.len() as u64 };
            let path = apt.dir.join("packages").join(format!("{}.deb", promise.sha256));
            fs::write(&path, text).expect("a package");
            let long_ago = SystemTime::now() - LONGEST_KEPT * 2;
            fs::File::open(&path).and_then(|file| file.set_modified(long_ago)).expect("its age");
            let stated = Stated { nevra: text.into(), version: String::new(), source: String::new() };
            (Record { name: text.into(), promise, stated }, path)
        };
        let ((_, forgotten), (wanted, kept)) = (package("old"), package("old, and wanted"));
        assert_eq!(apt.download(&wanted, true).expect("it is there"), kept);
        apt.forget_old();
        assert!(kept.exists() && !forgotten.exists());
    }

    #[test]
    fn a_rebuilt_package_is_of_an_older_source() {
        assert_eq!(source_package("qemu (1:7.2+dfsg-7)", "1:7.2+dfsg-7+b3"), "qemu_1:7.2+dfsg-7");
        assert_eq!(source_package("qemu", "1:7.2+dfsg-7"), "qemu_1:7.2+dfsg-7");
    }

    #[test]
    fn versions_lose_epoch_and_revision() {
        for (version, upstream) in [
            ("1:7.2+dfsg-7+deb12u18+b3", "7.2"),
            ("1:10.0.13+ds-0+deb13u1", "10.0.13"),
            ("9.2~rc1-1", "9.2"),
            ("8", "8"),
        ] {
            assert_eq!(upstream_version(version), upstream);
        }
    }
}
