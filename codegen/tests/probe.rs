//! Every test program, run by the real emulator of its target.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use codegen::probe;
use codegen::targets::{EXIT_STATUS, FAILED_STATUS, NOT_EXECUTED_STATUS, SHOWN_BYTES, TARGETS};
use tempfile::TempDir;

#[path = "support/emulators.rs"]
mod emulators;

/// Targets that newer versions of QEMU no longer have (nios2 until 9.0, cris until 9.1).
const REMOVED: &[&str] = &["cris", "nios2"];

/// What every program is given as `argv[0]`, and what it shows of that.
const ARGV0: &str = "argv0 is longer";
const SHOWN: &str = "argv0 is";

/// An entry's name, the emulator that serves it, and the test program.
struct Probe {
    name: &'static str,
    emulator: PathBuf,
    program: PathBuf,
}

/// The programs of all targets whose emulators are there, in a folder that must live as long.
fn probes() -> (TempDir, Vec<Probe>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut probes = Vec::new();
    for target in TARGETS {
        let Some(emulator) = emulators::find(target.qemu) else {
            assert!(REMOVED.contains(&target.qemu), "no static qemu-{}; cargo xtask test installs it", target.qemu);
            continue;
        };
        for &machine in target.machines {
            let bytes = probe::executable(target, machine).expect("a test program");
            assert!(bytes.len() < 300, "{}: {} bytes", machine.name, bytes.len());
            let program = folder.path().join(machine.name);
            fs::write(&program, bytes).expect("writing the test program");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("making it executable");
            probes.push(Probe { name: machine.name, emulator: emulator.clone(), program });
        }
    }
    (folder, probes)
}

impl Probe {
    /// A command line of the emulator with the program.
    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a OsStr> {
        let own = [self.emulator.as_os_str(), "-0".as_ref(), ARGV0.as_ref(), self.program.as_os_str()];
        own.into_iter().chain(arguments.iter().map(|&argument| argument.as_ref())).collect()
    }

    /// Runs the command line to its end: why that was not as it should be, if so.
    fn fault(&self, command: &mut Command, status: u8, out: &str) -> Option<String> {
        let output = command.output().expect("starting the emulator");
        let is_right = output.status.code() == Some(status.into()) && output.stdout == out.as_bytes();
        (!is_right).then(|| format!("{}: {command:?}: {output:?}", self.name))
    }
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_program_shows_its_name_and_passes_the_second_ones_status_on() {
    assert_eq!(SHOWN, &ARGV0[..SHOWN_BYTES]);
    let (_folder, probes) = probes();
    let mut faults = Vec::new();
    for (arguments, status, out) in [
        (&[][..], EXIT_STATUS, String::new()),
        (&["/bin/true"], 0, SHOWN.into()),
        (&["/bin/sh", "-c", "echo $0 $1; exit 200", "one", "two"], 200, format!("{SHOWN}one two\n")),
        (&["/bin/sh", "-c", "kill -9 $$"], 0, SHOWN.into()),
        (&["/nowhere/program"], NOT_EXECUTED_STATUS, SHOWN.into()),
    ] {
        for probe in &probes {
            let line = probe.arguments(arguments);
            faults.extend(probe.fault(Command::new(line[0]).args(&line[1..]), status, &out));
        }
    }
    none(faults);
}

#[test]
fn a_program_that_can_not_write_says_so() {
    let (_folder, probes) = probes();
    let mut faults = Vec::new();
    for probe in &probes {
        let full = File::options().write(true).open("/dev/full").expect("a full device");
        let line = probe.arguments(&["/bin/true"]);
        let status = Command::new(line[0]).args(&line[1..]).stdout(Stdio::from(full)).status().expect("the emulator");
        if status.code() != Some(FAILED_STATUS.into()) {
            faults.push(format!("{}: {status}", probe.name));
        }
    }
    none(faults);
}

#[test]
fn a_program_that_can_not_fork_says_so() {
    let (folder, probes) = probes();
    let log = folder.path().join("strace");
    let mut faults = Vec::new();
    for probe in &probes {
        let mut strace = Command::new("strace");
        // Threads are begun by clone3.
        strace.args(["-qq", "-etrace=clone", "-einject=clone:error=EAGAIN", "-o"]).arg(&log);
        faults.extend(probe.fault(strace.args(probe.arguments(&["/bin/true"])), FAILED_STATUS, SHOWN));
        let calls = fs::read_to_string(&log).expect("what strace saw");
        assert!(calls.contains("(INJECTED)"), "{}: {calls}", probe.name);
    }
    none(faults);
}
