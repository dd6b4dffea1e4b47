//! `registrar` on other kernels than this machine's: Debian's, booted in an emulated machine that has nothing but a
//! shell, the emulators and test programs. Each fact is a test on each kernel.
//!
//! Needs qemu-system-x86_64 and Debian's archive; changes nothing on this machine. Not part of `cargo test --workspace`:
//! `cargo xtask test --vm` runs it.

mod debian;
mod facts;
mod machine;

use std::fs;
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use codegen::probe;
use codegen::targets::{TARGETS, Target};
use libtest_mimic::{Arguments, Failed, Trial};
use tests::{cpio, emulators};
use xtask::build::compile;
use xtask::system;
use xtask::system::host::Host;

use facts::{FACTS, FOREIGN, Fact};
use machine::StepOutput;

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

/// Targets whose emulators are in the machines; those of the others are not what they are called.
const EMULATED: [&str; 4] = ["aarch64", "arm", "i386", "s390x"];

fn main() -> ExitCode {
    let said: [_; MACHINES.len()] = std::array::from_fn(|_| Arc::new(OnceLock::new()));
    // Two tests at a time are of two machines, which then boot beside each other.
    let trials = FACTS.iter().flat_map(|fact| {
        MACHINES.iter().zip(&said).map(move |(machine, said)| {
            let said = Arc::clone(said);
            Trial::test(format!("{}/{}", machine.name, fact.name), move || fact.check(machine, &said))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

impl Fact {
    /// Compares what the step of this fact has said with what it should.
    fn check(&self, machine: &Machine, said: &OnceLock<Result<StepOutput, String>>) -> Result<(), Failed> {
        let mut is_first = false;
        let said = said.get_or_init(|| {
            is_first = true;
            machine.boot().map_err(|error| format!("{error:#}"))
        });
        let said = match said {
            Ok(said) => said.get(self.name).ok_or("this step was not done")?,
            Err(error) if is_first => return Err(error.into()),
            Err(_) => return Err("its machine has failed, as another of its tests tells".into()),
        };
        let said: Vec<_> = said.lines().map(str::trim_end).collect();
        let expected = (self.expected)(machine).iter();
        let expected: Vec<_> = expected.map(|line| line.replace(FOREIGN, &machine.foreign().to_string())).collect();
        if said == expected { Ok(()) } else { Err(format!("expected: {expected:#?}\nit says: {said:#?}").into()) }
    }
}

impl Machine {
    /// How many handlers it has for what it does not run itself.
    fn foreign(&self) -> usize {
        let runs = |target: &Target| target.qemu == "x86_64" || (target.qemu == "i386" && self.runs_i386);
        TARGETS.iter().filter(|target| !runs(target)).map(|target| target.machines.len()).sum()
    }

    /// Does all steps, and says what each has said.
    fn boot(&self) -> Result<StepOutput> {
        static PROGRAMS: OnceLock<Result<cpio::Writer, String>> = OnceLock::new();
        let programs = PROGRAMS.get_or_init(|| programs().map_err(|error| format!("{error:#}")));
        let programs = programs.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        ensure!(cfg!(target_arch = "x86_64"), "these kernels, and the registrar for them, are x86_64's");
        let files = debian::files(self.suite)?;
        let kernel = files.kernel.to_string_lossy();
        ensure!(kernel.contains(&format!("/vmlinuz-{}", self.version)), "{kernel} is not Linux {}", self.version);
        let steps: Vec<_> = FACTS.iter().map(|fact| (fact.name, fact.script)).collect();
        machine::boot(&files, self.parameters, programs.clone(), &steps)
    }
}

/// What is the same in all machines: `registrar`, emulators, test programs.
fn programs() -> Result<cpio::Writer> {
    let mut programs = cpio::Writer::default();
    for folder in ["usr", "usr/bin", "probe"] {
        programs.folder(folder);
    }
    // Of all targets, whichever emulators this machine has.
    let registrar = compile::registrar(Host::named(None)?, None, false)?;
    programs.program("registrar", &fs::read(registrar).context("reading registrar")?);
    for target in TARGETS {
        let emulator = format!("usr/bin/qemu-{}-static", target.qemu);
        if EMULATED.contains(&target.qemu) {
            let content = fs::read(emulators::path(target.qemu)).context("reading an emulator")?;
            programs.program(&emulator, &content);
        } else {
            programs.link(&emulator, &format!("qemu-{}-static", EMULATED[0]));
        }
        programs.program(&format!("probe/{}", target.qemu), &probe::executable(target, target.machines[0])?);
    }
    programs.program("29", &fast_program()?);
    Ok(programs)
}

/// A program of the machine that ends with 29 whatever it is given: many of it can be started where one emulator could.
fn fast_program() -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("making a folder for a program")?;
    let [source, program] = ["29.c", "29"].map(|name| folder.path().join(name));
    fs::write(&source, "int main(void) { return 29; }\n").context("writing a program")?;
    system::run(Command::new("musl-gcc").arg("-static").arg("-o").arg(&program).arg(&source))?;
    fs::read(program).context("reading a program")
}
