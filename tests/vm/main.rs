//! `registrar` on other kernels than this machine's: Debian's, booted in an emulated machine that has nothing but a
//! shell, the emulators and test programs. Each fact is a test on each kernel.
//!
//! Needs qemu-system-x86_64 and Debian's archive; changes nothing on this machine. Not part of `cargo test --workspace`:
//! `cargo xtask test --vm` runs it.

mod debian;
mod facts;
mod initramfs;
mod machine;

use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use codegen::{probe, targets};
use libtest_mimic::{Arguments, Failed, Trial};
use tests::registrar;

use facts::{FACTS, Fact};
use machine::{Programs, Said};

/// A kernel, how it is booted, and how it differs from others.
pub(crate) struct Machine {
    name: &'static str,
    /// Debian's release.
    suite: &'static str,
    /// How the kernel's version begins.
    version: &'static str,
    parameters: &'static str,
    /// Entries go with the last mount: since Linux 6.7, and in the updates of older ones since the summer of 2024.
    pub(crate) entries_need_a_mount: bool,
    /// Each user namespace has an instance of its own: since Linux 6.7.
    pub(crate) user_namespaces: bool,
    pub(crate) runs_i386: bool,
}

const NEWEST: Machine = Machine {
    name: "6.12",
    suite: "trixie",
    version: "6.12.",
    parameters: "",
    entries_need_a_mount: true,
    user_namespaces: true,
    runs_i386: true,
};

static MACHINES: [Machine; 4] = [
    // Frozen in the summer of 2024.
    Machine {
        name: "5.10",
        suite: "bullseye",
        version: "5.10.",
        entries_need_a_mount: false,
        user_namespaces: false,
        ..NEWEST
    },
    Machine { name: "6.1", suite: "bookworm", version: "6.1.", user_namespaces: false, ..NEWEST },
    NEWEST,
    Machine { name: "6.12-without-i386", parameters: "ia32_emulation=0", runs_i386: false, ..NEWEST },
];

/// Targets whose emulators and test programs are in the machines.
const TARGETS: [&str; 4] = ["aarch64", "arm", "i386", "s390x"];

fn main() -> ExitCode {
    let said: [_; MACHINES.len()] = std::array::from_fn(|_| Arc::new(OnceLock::new()));
    // Two tests at a time are of two machines, which then boot beside each other.
    let trials = FACTS.iter().flat_map(|fact| {
        MACHINES.iter().zip(&said).map(move |(machine, said)| {
            let said = Arc::clone(said);
            let boot = || machine.boot().map_err(|error| format!("{error:#}"));
            Trial::test(format!("{}/{}", machine.name, fact.name), move || fact.check(machine, said.get_or_init(boot)))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

impl Fact {
    /// Compares what the step of this fact has said with what it should.
    fn check(&self, machine: &Machine, said: &Result<Said, String>) -> Result<(), Failed> {
        let said = said.as_ref()?.get(self.name).ok_or("this step was not done")?;
        let said: Vec<_> = said.lines().map(str::trim_end).collect();
        let expected = (self.expected)(machine);
        if said == expected { Ok(()) } else { Err(format!("expected: {expected:#?}\nit says: {said:#?}").into()) }
    }
}

impl Machine {
    /// Does all steps, and says what each has said.
    fn boot(&self) -> Result<Said> {
        static PROGRAMS: OnceLock<Result<Programs, String>> = OnceLock::new();
        let programs = PROGRAMS.get_or_init(|| programs().map_err(|error| format!("{error:#}")));
        let programs = programs.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        ensure!(cfg!(target_arch = "x86_64"), "these kernels, and the registrar for them, are x86_64's");
        let files = debian::files(self.suite)?;
        let kernel = files.kernel.to_string_lossy();
        ensure!(kernel.contains(&format!("/vmlinuz-{}", self.version)), "{kernel} is not Linux {}", self.version);
        let steps: Vec<_> = FACTS.iter().map(|fact| (fact.name, fact.script)).collect();
        machine::boot(&files, self.parameters, programs, &steps)
    }
}

/// What is the same in all machines: `registrar`, emulators, test programs.
fn programs() -> Result<Programs> {
    let registrar = registrar::build().map_err(anyhow::Error::msg)?;
    let mut programs = vec![("registrar".to_owned(), fs::read(registrar).context("reading registrar")?)];
    for name in TARGETS {
        let path = format!("usr/bin/qemu-{name}-static");
        programs.push((path.clone(), fs::read(format!("/{path}")).with_context(|| format!("reading /{path}"))?));
    }
    for name in TARGETS.into_iter().chain(["x86_64"]) {
        let target = targets::by_qemu_name(name).with_context(|| format!("no target {name}"))?;
        programs.push((format!("probe/{name}"), probe::executable(target, target.machines[0])?));
    }
    Ok(Programs(programs))
}
