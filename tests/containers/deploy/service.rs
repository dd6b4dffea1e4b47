//! The lines of `deploy/systemd/registrar.service`, in a mount namespace where the unit's folder is and all else can only
//! be read, and without any capability, as systemd would start them. Of the unit's other restrictions systemd alone knows.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tests::host::{self, Host};
use tests::registrar;
use xtask::system;
use xtask::tables::workspace_root;

use super::{emulators, runs};
use crate::hello;

/// Binds a folder to /opt, makes all of the root read-only, and becomes a process without capabilities.
const CONFINED: &str = "mount --bind \"$0\" /opt && mount -o remount,bind,ro / &&
    exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs \"$@\"";

/// Does what a line of the unit says; gives what it says.
fn carry_out(unit: &str, key: &str, opt: &Path) -> String {
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let words = line.unwrap_or_else(|| panic!("no {key}")).split(' ');
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "sh", "-c", CONFINED]).arg(opt).args(words);
    let output = system::run(&mut command).unwrap_or_else(|error| panic!("{key}: {error:#}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_services_lines_register_and_unregister() {
    let folder = tempfile::tempdir().expect("a folder");
    let hello = hello(folder.path());
    let bin = folder.path().join("registrar/bin");
    fs::create_dir_all(&bin).expect("folders");
    fs::copy(registrar::build().expect("registrar"), bin.join("registrar")).expect("registrar");
    for emulator in emulators() {
        symlink(&emulator, bin.join(emulator.file_name().expect("a name"))).expect("an emulator");
    }
    let unit = fs::read_to_string(workspace_root().join("deploy/systemd/registrar.service")).expect("the unit");
    for restriction in ["CapabilityBoundingSet=", "NoNewPrivileges=yes", "ProtectSystem=strict"] {
        assert!(
            unit.lines().any(|line| line == restriction),
            "no {restriction}: the lines are run as if it were there"
        );
    }

    let host = Host::mounted();
    let said = carry_out(&unit, "ExecStart", folder.path());
    assert!(said.contains(" registered") && runs(&hello), "{said}");
    let said = carry_out(&unit, "ExecReload", folder.path());
    assert!(said.contains(" unchanged") && runs(&hello), "{said}");
    carry_out(&unit, "ExecStop", folder.path());
    assert!(!runs(&hello));
    assert_eq!(host::entries(), host.before);
}
