//! `registrar` on other kernels than this machine's: Debian's, booted in an emulated machine that has nothing but a
//! shell, the emulators and test programs, or a root file system with a security module. Each fact is a test on each
//! kernel of its kind.
//!
//! Needs qemu-system-x86_64, qemu-system-aarch64 and Debian's archive, for security modules debootstrap and root; changes nothing on this machine. Not part of `cargo test --workspace`:
//! `cargo xtask test --vm` runs it.

mod debian;
mod facts;
mod machine;
mod root;

use std::fs;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, OnceLock};

use anyhow::{Context, Result, ensure};
use codegen::probe;
use codegen::targets::TARGETS;
use libtest_mimic::{Arguments, Failed, Trial};
use tests::{cpio, emulators};
use xtask::build::compile;
use xtask::system;
use xtask::system::host::Host;

use debian::{Files, Release};
use facts::{FACTS, FOREIGN, Fact};
use machine::{Boot, Hardware, Scripts, StepOutput};

/// A kernel, how it is booted, how it differs from others, and what must hold there.
pub(crate) struct Machine {
    name: &'static str,
    hardware: &'static Hardware,
    release: &'static Release,
    /// How the kernel's version begins.
    version: &'static str,
    parameters: &'static str,
    /// Whether it has a root file system of Debian's, not only a shell.
    has_root: bool,
    scripts: Scripts,
    facts: &'static [Fact],
    /// Entries go with the last mount: since Linux 6.7, and in the updates of older ones since the summer of 2024.
    pub(crate) entries_need_a_mount: bool,
    /// Each user namespace has an instance of its own: since Linux 6.7.
    pub(crate) user_namespaces: bool,
    /// Flags `T`, `L` and `D`, and a limit of emulators that are held open: since Linux 7.3.
    pub(crate) linux_7_3: bool,
    /// Targets that it runs itself.
    runs: &'static [&'static str],
    /// Targets whose emulators are in the machine; those of the others are not what they are called.
    emulated: &'static [&'static str],
}

/// A release whose kernel for physical machines serves.
const fn release(suite: &'static str) -> Release {
    Release { name: suite, suites: &[], architecture: "amd64", newest: "linux-image-amd64", emulators: &[] }
}

static BULLSEYE: Release = Release { suites: &["bullseye"], ..release("bullseye") };
static BOOKWORM: Release = Release { suites: &["bookworm"], ..release("bookworm") };
static TRIXIE: Release = Release { suites: &["trixie"], ..release("trixie") };
static SID: Release = Release { suites: &["sid"], newest: "linux-image-cloud-amd64", ..release("sid") };
/// A kernel is in experimental until it goes to sid.
static EXPERIMENTAL: Release = Release { name: "experimental", suites: &["experimental", "sid"], ..SID };
static TRIXIE_ARM64: Release = Release {
    name: "trixie-arm64",
    architecture: "arm64",
    newest: "linux-image-arm64",
    emulators: EMULATED_ON_ARM64,
    ..TRIXIE
};

const EMULATED_ON_ARM64: &[&str] = &["arm", "i386", "riscv64", "s390x", "x86_64"];

const NEWEST: Machine = Machine {
    name: "6.12",
    hardware: &machine::X86_64,
    release: &TRIXIE,
    version: "6.12.",
    parameters: "",
    has_root: false,
    scripts: Scripts { prelude: "", setup: "" },
    facts: FACTS,
    entries_need_a_mount: true,
    user_namespaces: true,
    linux_7_3: false,
    runs: &["i386", "x86_64"],
    emulated: &["aarch64", "arm", "i386", "s390x"],
};

const ARM64: Machine = Machine {
    name: "arm64",
    hardware: &machine::ARM64,
    release: &TRIXIE_ARM64,
    facts: facts::arm64::FACTS,
    runs: &["aarch64", "arm"],
    emulated: EMULATED_ON_ARM64,
    ..NEWEST
};

static MACHINES: [Machine; 10] = [
    // Frozen in the summer of 2024.
    Machine {
        name: "5.10",
        release: &BULLSEYE,
        version: "5.10.",
        entries_need_a_mount: false,
        user_namespaces: false,
        ..NEWEST
    },
    Machine { name: "6.1", release: &BOOKWORM, version: "6.1.", user_namespaces: false, ..NEWEST },
    NEWEST,
    Machine { name: "6.12-without-i386", parameters: "ia32_emulation=0", runs: &["x86_64"], ..NEWEST },
    // In the autumn of 2026 7.2 and 7.3.
    Machine { name: "sid", release: &SID, version: "7.", ..NEWEST },
    Machine { name: "experimental", release: &EXPERIMENTAL, version: "7.", linux_7_3: true, ..NEWEST },
    ARM64,
    Machine { name: "arm64-without-arm", parameters: "arm64.no32bit_el0", runs: &["aarch64"], ..ARM64 },
    Machine {
        name: "selinux",
        hardware: &machine::X86_64_WITH_ROOT,
        parameters: "security=selinux selinux=1 enforcing=0",
        has_root: true,
        scripts: facts::selinux::SCRIPTS,
        facts: facts::selinux::FACTS,
        ..NEWEST
    },
    Machine {
        name: "apparmor",
        hardware: &machine::X86_64_WITH_ROOT,
        parameters: "security=apparmor apparmor=1",
        has_root: true,
        scripts: facts::apparmor::SCRIPTS,
        facts: facts::apparmor::FACTS,
        ..NEWEST
    },
];

fn main() -> ExitCode {
    let printed: [_; MACHINES.len()] = std::array::from_fn(|_| Arc::new(OnceLock::new()));
    let most = MACHINES.iter().map(|machine| machine.facts.len()).max().unwrap_or_default();
    // Two tests at a time are of two machines, which then boot beside each other.
    let trials = (0..most).flat_map(|index| {
        MACHINES.iter().zip(&printed).filter_map(move |(machine, printed)| {
            let (fact, printed) = (machine.facts.get(index)?, Arc::clone(printed));
            Some(Trial::test(format!("{}/{}", machine.name, fact.name), move || fact.check(machine, &printed)))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

impl Fact {
    /// Compares what the step of this fact has said with what it should.
    fn check(&self, machine: &Machine, printed: &OnceLock<Result<StepOutput, String>>) -> Result<(), Failed> {
        let mut is_first = false;
        let printed = printed.get_or_init(|| {
            is_first = true;
            machine.boot().map_err(|error| format!("{error:#}"))
        });
        let printed = match printed {
            Ok(printed) => printed.get(self.name).ok_or("this step was not done")?,
            Err(error) if is_first => return Err(error.into()),
            Err(_) => return Err("its machine has failed, as another of its tests tells".into()),
        };
        let printed: Vec<_> = printed.lines().map(str::trim_end).collect();
        let expected = (self.expected)(machine).iter();
        let expected: Vec<_> = expected.map(|line| line.replace(FOREIGN, &machine.foreign().to_string())).collect();
        if printed == expected { Ok(()) } else { Err(format!("expected: {expected:#?}\nit says: {printed:#?}").into()) }
    }
}

impl Machine {
    /// Whether it runs programs of a target itself.
    pub(crate) fn runs(&self, target: &str) -> bool {
        self.runs.contains(&target)
    }

    /// How many handlers it has for what it does not run itself.
    fn foreign(&self) -> usize {
        let foreign = TARGETS.iter().filter(|target| !self.runs(target.qemu));
        foreign.map(|target| target.machines.len()).sum()
    }

    /// Does all steps, and says what each has said.
    fn boot(&self) -> Result<StepOutput> {
        ensure!(cfg!(target_arch = "x86_64"), "the emulators for these machines are those of an x86_64 one");
        let files = self.release.files()?;
        let kernel = files.kernel.to_string_lossy();
        ensure!(kernel.contains(&format!("/vmlinuz-{}", self.version)), "{kernel} is not Linux {}", self.version);
        let steps: Vec<_> = self.facts.iter().map(|fact| (fact.name, fact.script)).collect();
        let boot = Boot {
            hardware: self.hardware,
            files: &files,
            parameters: self.parameters,
            programs: self.programs(&files)?,
            root: self.root(),
            scripts: &self.scripts,
            steps: &steps,
        };
        boot.run()
    }

    fn root(&self) -> &'static str {
        if self.has_root { machine::ROOT } else { "" }
    }

    /// What is there beside kernel and shell: `registrar`, emulators, test programs.
    fn programs(&self, files: &Files) -> Result<cpio::Writer> {
        // Compiled once; others wait.
        static COMPILING: Mutex<()> = Mutex::new(());
        let mut programs = cpio::Writer::default();
        let root = self.root();
        if self.has_root {
            root::add(&mut programs)?;
        } else {
            programs.folder("usr");
            programs.folder("usr/bin");
        }
        programs.folder(&format!("{root}probe"));
        let is_this_machines = self.release.emulators.is_empty();
        let host = Host::named((!is_this_machines).then_some("aarch64"))?;
        // Of all targets, whichever emulators this machine has.
        let registrar = {
            let _only = COMPILING.lock();
            compile::registrar(host, None, false)?
        };
        programs.program(&format!("{root}registrar"), &fs::read(registrar).context("reading registrar")?);
        for target in TARGETS {
            let name = |target| format!("{root}usr/bin/qemu-{target}-static");
            if self.emulated.contains(&target.qemu) {
                let path = files.emulators.get(target.qemu).cloned();
                let content = fs::read(path.unwrap_or_else(|| emulators::path(target.qemu)));
                programs.program(&name(target.qemu), &content.context("reading an emulator")?);
            } else {
                programs.link(&name(target.qemu), &format!("qemu-{}-static", self.emulated[0]));
            }
            let probe = probe::executable(target, target.machines[0])?;
            programs.program(&format!("{root}probe/{}", target.qemu), &probe);
        }
        if is_this_machines {
            programs.program(&format!("{root}29"), &fast_program()?);
        }
        Ok(programs)
    }
}

/// A program of the machine that ends with 29 whatever it is given: many of it can be started where one emulator could.
fn fast_program() -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("making a folder for a program")?;
    let [source, program] = ["29.c", "29"].map(|name| folder.path().join(name));
    fs::write(&source, "int main(void) { return 29; }\n").context("writing a program")?;
    system::run(Command::new("musl-gcc").arg("-static").arg("-o").arg(&program).arg(&source))?;
    fs::read(program).context("reading a program")
}
