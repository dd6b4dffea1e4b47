//! `persist --unit`: systemd takes the service that it writes, and what it starts keeps the handlers in place without any
//! capability.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::{CONF, EMULATORS, Host, host_runs, runs_programs};
use crate::resident::{Resident, wait_until};
use crate::sandbox::{SCOPE, Sandbox};
use crate::{Test, test};

pub(super) const TESTS: &[Test] = &[
    test("persist/unit/is_taken_by_systemd", is_taken_by_systemd),
    test("persist/unit/keeps_handlers_in_place", keeps_handlers_in_place),
    test("persist/unit/comes_and_goes", comes_and_goes),
    test("persist/unit/that_cannot_be_written", that_cannot_be_written),
];

pub(super) const UNIT: &str = "etc/systemd/system/registrar.service";
pub(super) const LINK: &str = "etc/systemd/system/multi-user.target.wants/registrar.service";

/// What systemd calls exposure, in tenths: what is left is that it is root, may not be another, and sees /proc.
const EXPOSURE: &str = "15";

pub(super) fn systemd_host(sandbox: &Sandbox) -> Host<'_> {
    let host = Host::new(sandbox);
    fs::create_dir_all(host.root.join("etc/systemd/system")).expect("a folder");
    host
}

fn is_taken_by_systemd(sandbox: &Sandbox) {
    let host = systemd_host(sandbox);
    let out = host.succeeds("persist", "systemd", &["--unit", "s390x,m68k"]);
    assert!(out.contains(&format!("\nservice /{UNIT}: written\n2 handlers will be registered at each boot")), "{out}");
    assert!(out.ends_with("; to register them now: systemctl daemon-reload && systemctl restart registrar\n"), "{out}");
    host.show_emulators();
    let unit = host.root.join(UNIT);
    assert_eq!(fs::canonicalize(host.root.join(LINK)).expect("the link of what is enabled"), unit);
    host_runs(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold", EXPOSURE]).arg(&unit);
    println!("{}", host_runs(&mut security).lines().last().unwrap_or_default());
}

/// The service's commands, word for word, by a root that has no capability, as the service has none.
fn keeps_handlers_in_place(sandbox: &Sandbox) {
    let host = systemd_host(sandbox);
    host.succeeds("persist", "systemd", &["--unit", "--preserve-argv0", "s390x,m68k"]);
    host.show_emulators();
    let unit = fs::read_to_string(host.root.join(UNIT)).expect("the unit");
    let command = |key, what| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)).expect("a command");
        assert_eq!(
            line,
            format!("{EMULATORS}/registrar register --{what} --bindir={EMULATORS} --flags=POF m68k s390x")
        );
        let mut words = Command::new("setpriv");
        words.args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]);
        words.args(line.split(' ')).arg(SCOPE);
        words
    };
    let printed = host_runs(&mut command("ExecStartPre=", "verify"));
    assert!(printed.contains("2 registered") && printed.contains("\nverified: 2 ok"), "{printed}");
    let wanted = sandbox.entries();
    assert_eq!(sandbox.names(), ["qemu-m68k", "qemu-s390x"]);
    assert!(wanted["qemu-s390x"].contains(&format!("interpreter {EMULATORS}/qemu-s390x-static\nflags: POF\n")));
    let resident = Resident::of(&mut command("ExecStart=", "stay"));
    assert_eq!(sandbox.entries(), wanted);
    for name in sandbox.names() {
        sandbox.write(&name, "-1");
    }
    wait_until("put back", || sandbox.entries() == wanted);
    assert!(runs_programs(sandbox, "s390x"));
    assert_eq!(resident.end(Signal::SIGTERM), (Some(0), String::new()));
    // What systemd-binfmt has registered at the start, the service finds as it should be.
    let rules = fs::read_to_string(host.root.join(CONF)).expect("rules");
    sandbox.succeeds(&["unregister"]);
    rules.lines().filter(|line| line.starts_with(':')).for_each(|line| sandbox.add(line));
    assert_eq!(sandbox.entries(), wanted);
}

fn comes_and_goes(sandbox: &Sandbox) {
    let host = systemd_host(sandbox);
    // Folders that the configuration is in, and those of the unit, a host may have.
    let files = || -> BTreeMap<PathBuf, Vec<u8>> {
        let ours = ["etc/binfmt.d", "etc/systemd/system/multi-user.target.wants"].map(|name| host.root.join(name));
        host.files().into_iter().filter(|(path, _)| !ours.contains(path)).collect()
    };
    let before = files();
    host.succeeds("persist", "systemd", &["s390x"]);
    let without = files();
    let program = Path::new(EMULATORS).strip_prefix("/").expect("an absolute path").join("registrar");
    for (format, command) in [("systemd", "persist"), ("openrc", "persist"), ("systemd", "unpersist")] {
        host.succeeds("persist", "systemd", &["--unit", "s390x"]);
        assert_eq!(fs::read(host.root.join(&program)).ok(), fs::read(sandbox.registrar()).ok());
        let with = files();
        let again = host.succeeds("persist", "systemd", &["--unit", "s390x"]);
        assert!(again.contains(&format!("service /{UNIT}: unchanged\n")), "{again}");
        assert_eq!(files(), with);
        let options: &[&str] = if command == "persist" { &["s390x"] } else { &[] };
        let out = host.succeeds(command, format, options);
        assert!(out.contains(&format!("service /{UNIT}: removed; if it runs: systemctl stop registrar\n")), "{out}");
        assert!(fs::symlink_metadata(host.root.join(LINK)).is_err() && !host.root.join(UNIT).exists());
        if command == "persist" {
            let mut left = files();
            left.remove(&host.root.join(&program));
            let list = host.root.join(&program).with_file_name(".registrar");
            left.insert(list.clone(), without[&list].clone());
            assert_eq!(left, without, "{format}");
        }
    }
    assert_eq!(files(), before);
}

fn that_cannot_be_written(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    let options = ["--unit", "s390x"];
    let err = "no /etc/systemd/system below --root: is systemd installed there, and is that the host's root?";
    host.fails("persist", "systemd", &options, err);
    host.write(UNIT, "[Unit]\n");
    let advice = "nothing was changed; remove it first";
    host.fails("persist", "systemd", &options, &format!("/{UNIT} belongs to another tool; {advice}"));
    host.succeeds("persist", "systemd", &["s390x"]);
    host.succeeds("unpersist", "systemd", &[]);
    assert!(host.root.join(UNIT).exists());
    fs::remove_file(host.root.join(UNIT)).expect("removed");
    for folder in ["/opt/a%b", "/home/user/bin", "/tmp"] {
        let advice =
            "with --unit, name a path of letters, digits and /._-+@, that is not in a home or temporary folder";
        let options = ["--unit", "--copy-to", folder, "s390x"];
        host.fails("persist", "systemd", &options, &format!("--copy-to {folder}: {advice}"));
    }
}
