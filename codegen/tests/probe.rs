//! Every test program, run by the real emulator of its target.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use codegen::probe;
use codegen::targets::{EXIT_STATUS, TARGETS};

/// Where Debian's `qemu-user-static` and Fedora's `qemu-user-static-*` put the emulators.
const EMULATORS: &str = "/usr/bin";

/// Targets that newer versions of QEMU no longer have (nios2 until 9.0, cris until 9.1).
const REMOVED: &[&str] = &["cris", "nios2"];

#[test]
fn every_target_exits_with_the_known_status_under_its_emulator() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut failures = Vec::new();
    for target in TARGETS {
        let emulator = Path::new(EMULATORS).join(format!("qemu-{}-static", target.qemu));
        if !emulator.exists() {
            if !REMOVED.contains(&target.qemu) {
                failures.push(format!("{}: no {}; install qemu-user-static", target.qemu, emulator.display()));
            }
            continue;
        }
        for &machine in target.machines {
            let program = folder.path().join(machine.name);
            let bytes = probe::executable(target, machine).expect("a test program");
            assert!(bytes.len() < 200, "{}: {} bytes", machine.name, bytes.len());
            fs::write(&program, bytes).expect("writing the test program");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("making it executable");
            let status = Command::new(&emulator).arg(&program).status().expect("starting the emulator");
            if status.code() != Some(EXIT_STATUS.into()) {
                failures.push(format!("{}: {status}", machine.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
