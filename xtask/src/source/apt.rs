//! Debian's or Ubuntu's emulators, downloaded and verified by apt in folders of ours, never installed: without root,
//! for any host.
//!
//! The name `qemu-user-static` leads to all shapes: a package of emulators (Debian 12), one that depends on
//! `qemu-user` (13), a name that `qemu-user-binfmt` provides (13's backports, 14, sid; Ubuntu 26.04).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use super::{Fetched, Request};
use crate::download::Fetcher;
use crate::download::cache::{self, LONGEST_KEPT};
use crate::output::progress;
use crate::system::host::Host;
use crate::verify::Trust;
use crate::verify::digest::{ExpectedDigest, Sha256};
use crate::verify::package::{Package, Stated};
use crate::workspace::target_dir;

/// The package or what stands for it, and how names of packages begin that may hold emulators.
const ROOT: &str = "qemu-user-static";
const PREFIX: &str = "qemu-user";

const LISTS_AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn is_here() -> bool {
    Command::new("apt-get").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The packages of this machine's distribution for a host, not downloaded yet.
pub(crate) struct Plan {
    apt: Apt,
    records: Vec<Record>,
}

/// Finds the package and those that it depends on.
pub(super) fn resolve(request: &Request, fetcher: &Fetcher) -> Result<Plan> {
    let apt = Apt::new(request.host)?;
    apt.update(fetcher)?;
    let mut records: Vec<Record> = Vec::new();
    let mut open = vec![apt.resolve(ROOT, None)?];
    while let Some(record) = open.pop() {
        for (name, version) in record.depends.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            let needed = apt.resolve(name, version.as_deref())?;
            if !records.iter().chain(&open).chain([&record]).any(|known| known.name == needed.name) {
                open.push(needed);
            }
        }
        records.push(record);
    }
    records.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Plan { apt, records })
}

impl Plan {
    pub(super) fn download(self, fetcher: &Fetcher) -> Result<Fetched> {
        let Self { apt, records } = self;
        let indexes = records.iter().flat_map(|record| record.indexes.iter().cloned()).collect();
        let package = |record: Record| {
            let path = apt.download(&record, fetcher.options.offline)?;
            Ok(Package {
                name: record.name,
                nevra: None,
                expected: Some(record.expected),
                path,
                stated: Some(record.stated),
            })
        };
        let packages = records.into_iter().map(package).collect::<Result<_>>()?;
        let origin = apt.origin(&indexes)?;
        apt.remove_old();
        Ok(Fetched { origin, packages, trust: Trust::PackageManager })
    }
}

struct Apt {
    host: Host,
    dir: PathBuf,
}

struct Record {
    name: String,
    version: String,
    /// What it depends on; with the version, where exactly one will do.
    depends: Vec<(String, Option<String>)>,
    /// Which lists have it: `http://mirror.example/debian sid/main amd64 Packages`.
    indexes: Vec<String>,
    expected: ExpectedDigest,
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
        let path = |key: &str, path: &Path| [OsStr::new(key), path.as_os_str()].join(OsStr::new("="));
        let mut command = Command::new(program);
        command.current_dir(folder).env("LC_ALL", "C.UTF-8").arg("-q");
        command.arg("-o").arg(path("Dir::State::lists", &self.dir.join("lists")));
        command.arg("-o").arg(path("Dir::Cache", &self.dir.join("cache")));
        let debian = self.host.debian;
        for option in [
            // What is installed here, perhaps of another release, cannot be downloaded, and decides nothing.
            "Dir::State::status=/dev/null",
            // Debian's container images disable these, and each call would read all lists anew.
            "Dir::Cache::pkgcache=pkgcache.bin",
            "Dir::Cache::srcpkgcache=srcpkgcache.bin",
            &format!("APT::Architecture={debian}"),
            &format!("APT::Architectures={debian}"),
            "APT::Get::AllowUnauthenticated=false",
            // Lists that cannot be fetched are a failure, not a warning.
            "APT::Update::Error-Mode=any",
            // The unprivileged user that apt would switch to cannot write into our folder.
            "APT::Sandbox::User=",
        ] {
            command.args(["-o", option]);
        }
        let output = command.args(arguments).output().with_context(|| format!("running {program}"))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let cause = stderr.lines().rev().find(|line| line.starts_with("E:")).unwrap_or("no reason given");
            bail!("running {program} {}: {cause}", arguments.join(" "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Fetches the lists, unless those of the same sources are young or there is no network.
    fn update(&self, fetcher: &Fetcher) -> Result<()> {
        if fetcher.options.offline {
            return Ok(());
        }
        // APT_CONFIG, or the machine's sources, may be others than last time.
        let sources = self.run("apt-get", &["indextargets", "--format", "$(METAKEY) $(URI)"], &self.dir)?;
        let stamp = self.dir.join("updated");
        let age = fs::metadata(&stamp).and_then(|metadata| metadata.modified()).ok();
        let age = age.and_then(|time| SystemTime::now().duration_since(time).ok());
        let is_young = age.is_some_and(|age| age < LISTS_AGE);
        if is_young && !fetcher.options.refresh && fs::read_to_string(&stamp).is_ok_and(|known| known == sources) {
            return Ok(());
        }
        let _spinner = progress::spinner("asking apt for its lists");
        self.run("apt-get", &["update"], &self.dir)?;
        fs::write(&stamp, sources).with_context(|| format!("writing {}", stamp.display()))
    }

    /// The package of that name, or a newer one that provides it. Of several providers the shortest name: Ubuntu's
    /// others are variants.
    fn resolve(&self, name: &str, version: Option<&str>) -> Result<Record> {
        let policy = self.policy(name)?;
        let own = match version {
            Some(version) if policy.indexes(version).next().is_some() => Some(version.to_owned()),
            _ => policy.candidate(),
        };
        if let (Some(own), true) = (&own, version.is_some()) {
            return self.show(name, own, &policy);
        }
        let text = self.run("apt-cache", &["showpkg", name], &self.dir).unwrap_or_default();
        let mut providers: Vec<_> = providers(&text).filter(|(other, _)| other.starts_with(PREFIX)).collect();
        providers.sort_by_key(|&(name, _)| (name.len(), name));
        for (other, version) in providers {
            let policy = self.policy(other)?;
            let is_newer = match &own {
                Some(own) => is_newer(version, own)?,
                None => true,
            };
            if is_newer && policy.candidate().as_deref() == Some(version) {
                return self.show(other, version, &policy);
            }
        }
        let own = own.with_context(|| {
            format!(
                "apt knows no package {name}, and none that stands for it; name Debian's main archive, or Ubuntu's universe, \
                 in apt's sources"
            )
        })?;
        self.show(name, &own, &policy)
    }

    fn policy(&self, name: &str) -> Result<Policy> {
        self.run("apt-cache", &["policy", name], &self.dir).map(Policy)
    }

    fn show(&self, name: &str, version: &str, policy: &Policy) -> Result<Record> {
        let text = self.run("apt-cache", &["show", &format!("{name}={version}")], &self.dir)?;
        let field = |key: &str| {
            let mut lines = text.lines().map_while(|line| (!line.is_empty()).then_some(line));
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        };
        let need = |key: &str| field(key).with_context(|| format!("apt's lists have no {key} of package {name}"));
        let source = source_package(field("Source").unwrap_or(name), version);
        Ok(Record {
            name: name.into(),
            version: version.into(),
            depends: field("Depends").map(depends).unwrap_or_default(),
            indexes: policy.indexes(version).map(str::to_owned).collect(),
            expected: ExpectedDigest {
                digest: Sha256::parse(need("SHA256")?)?.into(),
                size: need("Size")?.parse().context("reading a package's size")?,
            },
            stated: Stated {
                nevra: format!("{name}_{version}_{}", self.host.debian),
                version: upstream_version(version).into(),
                source,
            },
        })
    }

    /// The distribution that these lists are of, as its signed release files say: `Debian 13.8 (trixie)`.
    fn origin(&self, indexes: &BTreeSet<String>) -> Result<String> {
        let text = self.run("apt-cache", &["policy"], &self.dir)?;
        let origins: BTreeSet<_> = origins(&text, indexes).collect();
        if origins.is_empty() {
            // A source of one's own, without such a file.
            return Ok("apt".to_owned());
        }
        Ok(origins.into_iter().collect::<Vec<_>>().join(" and "))
    }

    /// The package's file, from an earlier run or from the archive.
    fn download(&self, record: &Record, offline: bool) -> Result<PathBuf> {
        let path = self.dir.join("packages").join(format!("{}.deb", record.expected.digest.hex()));
        if let Ok(file) = fs::File::open(&path)
            && record.expected.digest.algorithm.of_reader(&file).is_ok_and(|digest| digest == record.expected.digest)
        {
            cache::touch(&file);
            return Ok(path);
        }
        if offline {
            bail!("package {} is not in the cache; run once without --offline", record.stated.nevra);
        }
        let _spinner = progress::spinner(&format!("fetching {}", record.stated.nevra));
        let folder = tempfile::tempdir_in(self.dir.join("cache")).context("making a folder for apt")?;
        self.run("apt-get", &["download", &format!("{}={}", record.name, record.version)], folder.path())?;
        let mut files = fs::read_dir(folder.path()).context("reading what apt downloaded")?;
        let file = files.next().context("apt-get download left no file")?.context("reading what apt downloaded")?;
        // apt gives a file the time that it has on the server.
        cache::touch(&fs::File::open(file.path()).context("reading what apt downloaded")?);
        fs::rename(file.path(), &path).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    fn remove_old(&self) {
        cache::remove_older_than(&self.dir.join("packages"), LONGEST_KEPT);
    }
}

struct Policy(String);

impl Policy {
    fn candidate(&self) -> Option<String> {
        let version = self.0.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
        (version != "(none)").then(|| version.to_owned())
    }

    fn indexes(&self, version: &str) -> impl Iterator<Item = &str> {
        // A version and its priority, then each list with its own, further to the right.
        let is_it = move |line: &&str| line.trim_start_matches(['*', ' ']).split(' ').next() == Some(version);
        let lines = self.0.lines().skip_while(|line| line.trim() != "Version table:");
        let lines = lines.skip_while(move |line| !is_it(line)).skip(1);
        lines.take_while(|line| line.starts_with("        ")).filter_map(|line| Some(line.trim().split_once(' ')?.1))
    }
}

/// Packages and versions that provide a name, of what `apt-cache showpkg` prints.
fn providers(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().skip_while(|line| line.trim() != "Reverse Provides:").skip(1);
    lines.filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?))
    })
}

/// Of a field `qemu-user (= 1:11.1.3+ds-1), native-architecture`. Of alternatives, the first.
fn depends(field: &str) -> Vec<(String, Option<String>)> {
    let one = |text: &str| {
        let text = text.split('|').next().unwrap_or_default().trim();
        let name = text.split([' ', ':', '(']).next().unwrap_or_default();
        let version = text.split_once("(= ").and_then(|(_, rest)| rest.strip_suffix(')'));
        (name.to_owned(), version.map(str::to_owned))
    };
    field.split(',').map(one).collect()
}

/// What the release files of lists say, of what `apt-cache policy` prints: each list, and its file's fields below it.
fn origins(text: &str, indexes: &BTreeSet<String>) -> impl Iterator<Item = String> {
    text.lines().zip(text.lines().skip(1)).filter_map(|(index, release)| {
        indexes.get(index.trim().split_once(' ')?.1)?;
        let fields: Vec<_> = release.trim().strip_prefix("release ")?.split(',').collect();
        let field =
            |key: &str| fields.iter().find_map(|field| field.strip_prefix(key)).filter(|value| !value.is_empty());
        let (name, codename) = (field("o=")?, field("n="));
        let version = field("v=").or_else(|| field("a=")).filter(|version| Some(*version) != codename);
        let version = version.map(|version| format!(" {version}")).unwrap_or_default();
        Some(format!("{name}{version}{}", codename.map(|name| format!(" ({name})")).unwrap_or_default()))
    })
}

fn is_newer(version: &str, other: &str) -> Result<bool> {
    let status = Command::new("dpkg").args(["--compare-versions", version, "gt", other]).status();
    Ok(status.context("running dpkg")?.success())
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
            let expected = ExpectedDigest { digest: Sha256::of(text.as_bytes()).into(), size: text.len() as u64 };
            let path = apt.dir.join("packages").join(format!("{}.deb", expected.digest.hex()));
            fs::write(&path, text).expect("a package");
            let long_ago = SystemTime::now() - LONGEST_KEPT * 2;
            fs::File::open(&path).and_then(|file| file.set_modified(long_ago)).expect("its age");
            let stated = Stated { nevra: text.into(), version: String::new(), source: String::new() };
            let record = Record {
                name: text.into(),
                version: String::new(),
                depends: Vec::new(),
                indexes: Vec::new(),
                expected,
                stated,
            };
            (record, path)
        };
        let ((_, forgotten), (wanted, kept)) = (package("old"), package("old, and wanted"));
        assert_eq!(apt.download(&wanted, true).expect("it is there"), kept);
        apt.remove_old();
        assert!(kept.exists() && !forgotten.exists());
    }

    // The texts are what apt 2.6 printed of trixie with trixie-backports, of which a part is left out.
    #[test]
    fn versions_and_lists_of_a_package() {
        let policy = Policy(
            "qemu-user:
  Installed: (none)
  Candidate: 1:10.0.13+ds-0+deb13u1
  Version table:
     1:11.1.3+ds-1~bpo13+1 100
        100 http://mirror.example/debian trixie-backports/main amd64 Packages
     1:10.0.13+ds-0+deb13u1 500
        500 http://mirror.example/debian trixie/main amd64 Packages
"
            .into(),
        );
        assert_eq!(policy.candidate().as_deref(), Some("1:10.0.13+ds-0+deb13u1"));
        let indexes = |version| policy.indexes(version).collect::<Vec<_>>();
        assert_eq!(indexes("1:10.0.13+ds-0+deb13u1"), ["http://mirror.example/debian trixie/main amd64 Packages"]);
        let backports = "http://mirror.example/debian trixie-backports/main amd64 Packages";
        assert_eq!(indexes("1:11.1.3+ds-1~bpo13+1"), [backports]);
        assert_eq!(indexes("1:11.1.3"), [""; 0]);
        // Of a name that is only provided; of one that nobody knows nothing is printed.
        let none = Policy("qemu-user-static:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n".into());
        assert_eq!((none.candidate(), Policy(String::new()).candidate()), (None, None));

        let all = "Package files:
 100 http://mirror.example/debian trixie-backports/main amd64 Packages
     release o=Debian Backports,a=stable-backports,n=trixie-backports,l=Debian Backports,c=main,b=amd64
     origin mirror.example
 500 http://mirror.example/debian sid/main amd64 Packages
     release o=Debian,a=unstable,n=sid,l=Debian,c=main,b=amd64
     origin mirror.example
 500 http://mirror.example/debian trixie/main amd64 Packages
     release v=13.8,o=Debian,a=stable,n=trixie,l=Debian,c=main,b=amd64
     origin mirror.example
Pinned packages:
";
        for (suite, expected) in [
            ("trixie", "Debian 13.8 (trixie)"),
            ("sid", "Debian unstable (sid)"),
            ("trixie-backports", "Debian Backports stable-backports (trixie-backports)"),
        ] {
            let index = format!("http://mirror.example/debian {suite}/main amd64 Packages");
            assert_eq!(origins(all, &[index].into()).collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn who_provides_a_name_and_what_a_package_depends_on() {
        let text = "Package: qemu-user-static\nVersions: \n\nReverse Depends: \n  lxc-templates,qemu-user-static\n\
                    Dependencies: \nProvides: \nReverse Provides: \nqemu-user-binfmt 1:11.1.3+ds-1 (= )\n\
                    qemu-user-binfmt-hwe 1:11.1.3+ds-1 (= )\n";
        let expected = [("qemu-user-binfmt", "1:11.1.3+ds-1"), ("qemu-user-binfmt-hwe", "1:11.1.3+ds-1")];
        assert_eq!(providers(text).collect::<Vec<_>>(), expected);
        let found = depends("qemu-user (= 1:11.1.3+ds-1), native-architecture, a:any (>= 1) | b (= 2)");
        let name = |name: &str, version: Option<&str>| (name.to_owned(), version.map(str::to_owned));
        let expected = [name("qemu-user", Some("1:11.1.3+ds-1")), name("native-architecture", None), name("a", None)];
        assert_eq!(found, expected);
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
