//! Installs packages through apt or dnf. Starts no service, and leaves packages that would register handlers with a
//! running system's kernel to its owner.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{Need, Tool, command, find, run};
use crate::progress;

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
}

impl Manager {
    fn of_this_machine() -> Option<Self> {
        let managers = [(Self::Apt, "apt-get"), (Self::Dnf, "dnf")];
        managers.into_iter().find(|(_, program)| find(program).is_some()).map(|(manager, _)| manager)
    }

    fn packages(self, tool: &Tool) -> &'static [&'static str] {
        match self {
            Self::Apt => tool.debian,
            Self::Dnf => tool.fedora,
        }
    }

    /// What is typed to install the packages.
    fn line(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["apt-get", "install", "-y", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "-y", "--setopt=install_weak_deps=False"],
        }
    }

    fn install(self, packages: &[&str]) -> Result<()> {
        let (program, arguments) = (self.line()[0], &self.line()[1..]);
        let mut install = command(program);
        install.args(arguments).args(packages);
        match self {
            Self::Dnf => run(&mut install).map(drop),
            Self::Apt => {
                let _services = NoServices::begin(Path::new(POLICY))?;
                // Another installation may be under way: wait for it. Nothing is asked: settings that somebody has
                // changed stay as they are.
                install.args(["-qq", "-o", "DPkg::Lock::Timeout=600"]).env("DEBIAN_FRONTEND", "noninteractive");
                install.args(["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]);
                // Package lists are absent in most container images, and old ones name files that are gone.
                if package_lists_are_there() && run(&mut install).is_ok() {
                    return Ok(());
                }
                run(command(program).args(["update", "-o", "DPkg::Lock::Timeout=600"]))?;
                run(&mut install).map(drop)
            }
        }
    }
}

fn package_lists_are_there() -> bool {
    fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")))
}

/// What Debian's packages ask before they start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The answer: none is to be started (nginx's would). By this text ours is known.
const NO_SERVICES: &str =
    "#!/bin/sh\n# Of an installation by cargo xtask; may be removed when none is under way.\nexit 101\n";

/// While it lives, packages start no service when they are installed.
///
/// The file is locked for as long, so that one which a killed process has left, which nobody locks, is taken over.
struct NoServices {
    ours: Option<(PathBuf, File)>,
}

impl NoServices {
    fn begin(policy: &Path) -> Result<Self> {
        let attempt = || -> std::io::Result<Self> {
            loop {
                match Self::make(policy) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    made => return made.map(|file| Self { ours: Some((policy.into(), file)) }),
                }
                let mut found = match File::open(policy) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    found => found?,
                };
                let mut text = Vec::new();
                found.read_to_end(&mut text)?;
                if text != NO_SERVICES.as_bytes() {
                    // The machine's owner has a policy.
                    return Ok(Self { ours: None });
                }
                found.lock()?;
                // Whoever held it has removed the file at the end, unless it was killed.
                if fs::metadata(policy).is_ok_and(|now| found.metadata().is_ok_and(|then| now.ino() == then.ino())) {
                    return Ok(Self { ours: Some((policy.into(), found)) });
                }
            }
        };
        attempt().with_context(|| format!("writing {}", policy.display()))
    }

    /// Puts the file in place, locked and whole from the first moment.
    fn make(policy: &Path) -> std::io::Result<File> {
        let folder = policy.parent().unwrap_or(Path::new("/"));
        let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempfile_in(folder)?;
        file.write_all(NO_SERVICES.as_bytes())?;
        // The umask has been applied.
        file.as_file().set_permissions(Permissions::from_mode(0o755))?;
        file.as_file().lock()?;
        file.persist_noclobber(policy).map_err(|error| error.error)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some((policy, _locked)) = &self.ours {
            // One that stays is said by what it contains, and taken over by the next.
            let _ = fs::remove_file(policy);
        }
    }
}

/// What is known of the machine when deciding what to install.
#[derive(Clone, Copy, Debug)]
struct Machine {
    manager: Option<Manager>,
    root: bool,
    /// systemd runs: installing emulators would register them.
    live: bool,
}

impl Machine {
    fn this() -> Self {
        Self {
            manager: Manager::of_this_machine(),
            root: nix::unistd::Uid::effective().is_root(),
            live: Path::new("/run/systemd/system").exists(),
        }
    }
}

/// Puts in place those tools that are missing.
///
/// # Errors
/// If that cannot be done; then with what is missing, and the line to type where there is one.
pub fn require(tools: &[Tool]) -> Result<()> {
    let missing: Vec<_> = tools.iter().filter(|tool| !tool.needs.iter().all(|need| need.is_there())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (manager, packages) = plan(&missing, Machine::this())?;
    eprintln!("installing {}", packages.join(" "));
    let _spinner = progress::spinner("installing; this may take minutes");
    manager.install(&packages).context("installing what is missing")?;
    let absent = absent(&missing);
    ensure!(absent.is_empty(), "{} installed, but still missing: {absent}", packages.join(" "));
    Ok(())
}

/// What of these tools is not there.
fn absent(tools: &[&Tool]) -> String {
    let needs = tools.iter().flat_map(|tool| tool.needs).filter(|need| !need.is_there());
    needs.map(Need::to_string).collect::<Vec<_>>().join(", ")
}

/// Which packages to install, and through what.
fn plan(missing: &[&Tool], machine: Machine) -> Result<(Manager, Vec<&'static str>)> {
    let Some(manager) = machine.manager else {
        bail!("missing: {}; neither apt-get nor dnf is here to install them", absent(missing));
    };
    let unknown: Vec<_> = missing.iter().copied().filter(|tool| manager.packages(tool).is_empty()).collect();
    ensure!(unknown.is_empty(), "missing, and not packaged by this distribution: {}", absent(&unknown));
    let mut packages: Vec<&str> = Vec::new();
    for &package in missing.iter().flat_map(|tool| manager.packages(tool)) {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    let line = format!("{} {}", manager.line().join(" "), packages.join(" "));
    ensure!(machine.root, "missing: {}; type: sudo {line}", absent(missing));
    ensure!(
        !(machine.live && missing.iter().any(|tool| tool.registers)),
        "missing: {}; their installation may register emulators with this machine's kernel, so it is yours to type: {line}",
        absent(missing)
    );
    Ok((manager, packages))
}

#[cfg(test)]
mod tests {
    use super::super::tool;
    use super::*;

    const ABSENT: Tool = tool(&[Need::Program("no-such-program")], &["one", "two"], &["three"]);
    const ABSENT_TOO: Tool = tool(&[Need::Program("nor-this")], &["two", "four"], &[]);
    const ROOT: Machine = Machine { manager: Some(Manager::Apt), root: true, live: true };

    #[test]
    fn packages_are_named_once() {
        let (manager, packages) = plan(&[&ABSENT, &ABSENT_TOO], ROOT).expect("a plan");
        assert_eq!((manager, packages), (Manager::Apt, vec!["one", "two", "four"]));
    }

    #[test]
    fn what_cannot_be_installed_is_said_in_one_line() {
        let emulators = Tool { registers: true, ..ABSENT };
        let dnf = Machine { manager: Some(Manager::Dnf), ..ROOT };
        for (tools, machine, expected) in [
            (
                [&ABSENT],
                Machine { root: false, ..ROOT },
                "missing: no-such-program; type: sudo apt-get install -y --no-install-recommends one two",
            ),
            (
                [&ABSENT],
                Machine { root: false, ..dnf },
                "missing: no-such-program; type: sudo dnf install -y --setopt=install_weak_deps=False three",
            ),
            (
                [&ABSENT],
                Machine { manager: None, ..ROOT },
                "missing: no-such-program; neither apt-get nor dnf is here to install them",
            ),
            ([&ABSENT_TOO], dnf, "missing, and not packaged by this distribution: nor-this"),
            (
                [&emulators],
                dnf,
                "missing: no-such-program; their installation may register emulators with this machine's kernel, so it \
                 is yours to type: dnf install -y --setopt=install_weak_deps=False three",
            ),
        ] {
            let error = plan(&tools, machine).expect_err(expected).to_string();
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_policy_is_taken_over_only_from_the_dead() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let policy = folder.path().join("policy-rc.d");
        let held = NoServices::begin(&policy).expect("a policy");
        let mode = fs::metadata(&policy).expect("the policy").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);

        let other = std::thread::spawn({
            let policy = policy.clone();
            move || NoServices::begin(&policy).expect("a policy after the first").ours.is_some()
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!other.is_finished(), "two at a time");
        drop(held);
        assert!(other.join().expect("the other"), "none after the first");
        assert!(!policy.exists());

        fs::write(&policy, NO_SERVICES).expect("what a killed process leaves");
        drop(NoServices::begin(&policy).expect("taken over"));
        assert!(!policy.exists());

        fs::write(&policy, "#!/bin/sh\nexit 0\n").expect("the owner's policy");
        drop(NoServices::begin(&policy).expect("left alone"));
        assert!(policy.exists());
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing else is left");
    }

    #[test]
    fn a_container_may_get_emulators() {
        let emulators = Tool { registers: true, ..ABSENT };
        plan(&[&emulators], Machine { live: false, ..ROOT }).expect("a plan");
    }
}
