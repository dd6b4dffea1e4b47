//! Installs packages through apt or dnf. Starts no service, and leaves packages that would register handlers with a
//! running system's kernel to its owner.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::{Need, Tool, command, find, run};

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
                let _services = NoServices::begin()?;
                // Another installation may be under way: wait for it.
                install.args(["-qq", "-o", "DPkg::Lock::Timeout=600"]).env("DEBIAN_FRONTEND", "noninteractive");
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

/// While it lives, Debian's packages start no service when they are installed (nginx's would).
struct NoServices {
    policy: Option<&'static Path>,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> Result<Self> {
        let policy = Path::new(Self::POLICY);
        match OpenOptions::new().write(true).create_new(true).mode(0o755).open(policy) {
            Ok(mut file) => {
                let guard = Self { policy: Some(policy) };
                file.write_all(b"#!/bin/sh\n# Of an installation under way; may be removed when none is.\nexit 101\n")
                    .with_context(|| format!("writing {}", policy.display()))?;
                Ok(guard)
            }
            // The machine's owner has a policy.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { policy: None }),
            Err(error) => Err(error).with_context(|| format!("writing {}", policy.display())),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = self.policy {
            // A policy that stays is said by what it contains.
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
    fn a_container_may_get_emulators() {
        let emulators = Tool { registers: true, ..ABSENT };
        plan(&[&emulators], Machine { live: false, ..ROOT }).expect("a plan");
    }
}
