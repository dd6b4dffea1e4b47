//! Installs packages through apt or dnf. Packages that would register handlers with a running system's kernel are left to
//! its owner.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::{Requirement, Tool, command, find, run};
use crate::output::progress;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
}

impl Manager {
    fn of_this_machine() -> Option<Self> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::of(&release, |program| find(program).is_some())
    }

    /// The distribution's own, as `os-release` names it: either may be installed on the other's machines.
    fn of(release: &str, is_there: impl Fn(&str) -> bool) -> Option<Self> {
        let names = release.lines().filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")));
        let names: Vec<_> = names.flat_map(|names| names.trim_matches('"').split(' ')).collect();
        let mut managers = [Self::Apt, Self::Dnf];
        if names.contains(&"fedora") && !names.contains(&"debian") {
            managers.reverse();
        }
        managers.into_iter().find(|manager| is_there(manager.line()[0]))
    }

    fn packages(self, tool: &Tool) -> &'static [&'static str] {
        match self {
            Self::Apt => tool.debian,
            Self::Dnf => tool.fedora,
        }
    }

    fn line(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["apt-get", "install", "-y", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "-y", "--setopt=install_weak_deps=False"],
        }
    }

    /// Gets lists of packages where there are none, as in most container images.
    fn ensure_lists(self) -> Result<()> {
        match self {
            Self::Apt if !package_lists_are_there() => update_lists(),
            // dnf does by itself.
            _ => Ok(()),
        }
    }

    /// Whether this release has a package of that name, and not only one that provides it.
    fn has(self, package: &str) -> bool {
        match self {
            Self::Apt => {
                // Of a virtual package it says nothing, and exits with 0.
                let mut show = command("apt-cache");
                show.args(["show", "--no-all-versions", package]).env("LC_ALL", "C.UTF-8");
                show.output().is_ok_and(|output| output.status.success() && !output.stdout.trim_ascii().is_empty())
            }
            Self::Dnf => true,
        }
    }

    fn install(self, packages: &[&str]) -> Result<()> {
        let (program, arguments) = (self.line()[0], &self.line()[1..]);
        let mut install = command(program);
        install.args(arguments).args(packages);
        match self {
            Self::Dnf => run(&mut install).map(drop),
            Self::Apt => {
                // Wait for another installation; keep changed settings without asking.
                install.args(["-qq", "-o", "DPkg::Lock::Timeout=600"]).env("DEBIAN_FRONTEND", "noninteractive");
                install.args(["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]);
                // Old lists name files that are gone.
                if run(&mut install).is_ok() {
                    return Ok(());
                }
                update_lists()?;
                run(&mut install).map(drop)
            }
        }
    }
}

fn update_lists() -> Result<()> {
    run(command("apt-get").args(["update", "-o", "DPkg::Lock::Timeout=600"])).map(drop)
}

fn package_lists_are_there() -> bool {
    fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")))
}

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

pub fn missing(tools: &[Tool]) -> Vec<&Tool> {
    tools.iter().filter(|tool| !tool.requires.iter().all(|one| one.is_there())).collect()
}

pub fn require(tools: &[Tool]) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    let machine = Machine::this();
    if let Some(manager) = machine.manager.filter(|_| machine.root) {
        manager.ensure_lists().context("fetching lists of packages")?;
    }
    let (manager, packages) = plan(&missing, machine, |package| machine.manager.is_some_and(|it| it.has(package)))?;
    eprintln!("installing {}", packages.join(" "));
    let _spinner = progress::spinner("installing; this may take minutes");
    manager.install(&packages).context("installing what is missing")?;
    let absent = absent(&missing);
    ensure!(absent.is_empty(), "{} installed, but still missing: {absent}", packages.join(" "));
    Ok(())
}

/// Those of the tools that are here, or that this machine's distribution has packages of.
pub fn packaged(tools: &[Tool]) -> Vec<Tool> {
    let is_packaged = |tool: &Tool| Machine::this().manager.is_none_or(|manager| !manager.packages(tool).is_empty());
    tools.iter().filter(|tool| is_packaged(tool) || absent(&[tool]).is_empty()).copied().collect()
}

fn absent(tools: &[&Tool]) -> String {
    let absent = tools.iter().flat_map(|tool| tool.requires).filter(|one| !one.is_there());
    absent.map(Requirement::to_string).collect::<Vec<_>>().join(", ")
}

/// The first of a package's names, `old | new`, that this release has; the first of all where no list tells.
fn name_here(package: &'static str, has: impl Fn(&str) -> bool) -> &'static str {
    let mut names = package.split(" | ");
    let first = names.next().unwrap_or(package);
    if has(first) { first } else { names.find(|name| has(name)).unwrap_or(first) }
}

fn plan(missing: &[&Tool], machine: Machine, has: impl Fn(&str) -> bool) -> Result<(Manager, Vec<&'static str>)> {
    let Some(manager) = machine.manager else {
        bail!("missing: {}; neither apt-get nor dnf is here to install them", absent(missing));
    };
    let unknown: Vec<_> = missing.iter().copied().filter(|tool| manager.packages(tool).is_empty()).collect();
    ensure!(unknown.is_empty(), "missing, and not packaged by this distribution: {}", absent(&unknown));
    let mut packages: Vec<&str> = Vec::new();
    for &package in missing.iter().flat_map(|tool| manager.packages(tool)) {
        let package = if package.contains(" | ") { name_here(package, &has) } else { package };
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    let line = format!("{} {}", manager.line().join(" "), packages.join(" "));
    ensure!(machine.root, "missing: {}; type: sudo {line}", absent(missing));
    ensure!(
        !(machine.live && missing.iter().any(|tool| tool.registers_binfmt)),
        "missing: {}; their installation may register emulators with this machine's kernel, so it is yours to type: {line}",
        absent(missing)
    );
    Ok((manager, packages))
}

#[cfg(test)]
mod tests {
    use super::super::tool;
    use super::*;

    const ABSENT: Tool = tool(&[Requirement::Program("no-such-program")], &["one", "two"], &["three"]);
    const ABSENT_TOO: Tool = tool(&[Requirement::Program("nor-this")], &["two", "four"], &[]);
    const ROOT: Machine = Machine { manager: Some(Manager::Apt), root: true, live: true };

    fn all(_: &str) -> bool {
        true
    }

    /// As `apt-cache policy` has it in Debian 12 and 13, and in sid of November 2026.
    #[test]
    fn a_package_has_the_name_that_the_release_has() {
        let root = Machine { live: false, ..ROOT };
        let cases: [(&[&str], &str); 3] = [
            (&["qemu-user-static", "qemu-user"], "qemu-user-static"),
            (&["qemu-user", "qemu-user-binfmt"], "qemu-user"),
            (&[], "qemu-user-static"),
        ];
        for (release, expected) in cases {
            let emulators = tool(&[], &["qemu-user-static | qemu-user"], &[]);
            let named = plan(&[&emulators], root, |package| release.contains(&package)).expect("a plan");
            assert_eq!(named, (Manager::Apt, vec![expected]));
        }
    }

    /// `ID` and `ID_LIKE` as the distributions' own files have them.
    #[test]
    fn the_package_manager_is_the_distributions_own() {
        let both = |_: &str| true;
        for (release, expected) in [
            ("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n", Some(Manager::Apt)),
            ("ID=ubuntu\nID_LIKE=debian\n", Some(Manager::Apt)),
            ("NAME=\"Fedora Linux\"\nID=fedora\n", Some(Manager::Dnf)),
            ("ID=\"centos\"\nID_LIKE=\"rhel fedora\"\n", Some(Manager::Dnf)),
            ("", Some(Manager::Apt)),
        ] {
            assert_eq!(Manager::of(release, both), expected, "{release}");
        }
        assert_eq!(Manager::of("ID=fedora\n", |program| program == "apt-get"), Some(Manager::Apt));
        assert_eq!(Manager::of("ID=arch\n", |_| false), None);
    }

    #[test]
    fn packages_are_named_once() {
        let (manager, packages) = plan(&[&ABSENT, &ABSENT_TOO], ROOT, all).expect("a plan");
        assert_eq!((manager, packages), (Manager::Apt, vec!["one", "two", "four"]));
    }

    #[test]
    fn what_cannot_be_installed_is_said_in_one_line() {
        let emulators = Tool { registers_binfmt: true, ..ABSENT };
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
            let error = plan(&tools, machine, all).expect_err(expected).to_string();
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_container_may_get_emulators() {
        let emulators = Tool { registers_binfmt: true, ..ABSENT };
        plan(&[&emulators], Machine { live: false, ..ROOT }, all).expect("a plan");
    }
}
