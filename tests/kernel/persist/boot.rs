//! `persist` fails where nothing would come of it, and `status --persisted` says later whether it is still so.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::{Host, RUNLEVEL, SCRIPT, SERVICE, unit};
use crate::sandbox::{CommandResult, Sandbox};
use crate::{Test, test};

pub(super) const TESTS: &[Test] = &[
    test("persist/boot/nothing_reads_the_rules", nothing_reads),
    test("persist/boot/wsl_starts_no_service", wsl),
    test("persist/boot/emulators_that_would_not_do", emulators),
    #[cfg(target_arch = "x86_64")]
    test("persist/boot/undecidable_targets_are_named", undecidable),
    test("persist/boot/said_later", said_later),
];

fn remove(host: &Host, path: &str) {
    fs::remove_file(host.root.join(path)).expect("removed");
}

fn nothing_reads(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    let nothing = "so that nothing reads the rules at boot";
    let masked =
        format!("systemd-binfmt.service is masked, {nothing}; on the host: systemctl unmask systemd-binfmt.service");
    fs::create_dir_all(host.root.join("etc/systemd/system")).expect("a folder");
    let mask = host.root.join("etc/systemd/system/systemd-binfmt.service");
    symlink("/dev/null", &mask).expect("a link");
    host.fails("persist", "systemd", &["s390x"], &masked);
    fs::remove_file(&mask).expect("removed");
    fs::write(&mask, "").expect("written");
    host.fails("persist", "systemd", &["s390x"], &masked);
    // The service that --unit writes does without.
    assert!(host.succeeds("persist", "systemd", &["--unit", "s390x"]).contains("read at boot by registrar.service\n"));
    host.succeeds("unpersist", "systemd", &[]);
    fs::remove_file(&mask).expect("removed");
    let mask = host.root.join("etc/systemd/system/proc-sys-fs-binfmt_misc.mount");
    symlink("../../../dev/null", &mask).expect("a link");
    let mount = "proc-sys-fs-binfmt_misc.mount";
    let message = format!("{mount} is masked, {nothing}; on the host: systemctl unmask {mount}");
    host.fails("persist", "systemd", &["s390x"], &message);
    fs::remove_file(&mask).expect("removed");
    remove(&host, RUNLEVEL);
    let message =
        format!("OpenRC's service binfmt is in no runlevel, {nothing}; on the host: rc-update add binfmt boot");
    host.fails("persist", "openrc", &["s390x"], &message);
    remove(&host, SCRIPT);
    let message = format!("no /etc/init.d/binfmt below --root, {nothing}; name the host's root, or --format systemd");
    host.fails("persist", "openrc", &["s390x"], &message);
    remove(&host, SERVICE);
    let message =
        format!("no systemd-binfmt.service below --root, {nothing}; name the host's root, or --format openrc");
    host.fails("persist", "systemd", &["s390x"], &message);
}

/// The condition that Ubuntu's image for WSL has, on a kernel of another name and on WSL's.
fn wsl(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    host.write(&format!("{SERVICE}.d/wsl.conf"), "[Unit]\nConditionVirtualization=!wsl\n");
    host.succeeds("persist", "systemd", &["s390x"]);
    host.succeeds("unpersist", "systemd", &[]);
    let release = sandbox.scratch().join("osrelease");
    fs::write(&release, "6.6.87.2-microsoft-standard-WSL2\n").expect("written");
    let at = Path::new("/proc/sys/kernel/osrelease");
    mount(Some(&release), at, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("a bind mount");
    let message =
        "systemd-binfmt.service does not start in WSL (ConditionVirtualization=!wsl); use --unit, whose service does";
    host.fails("persist", "systemd", &["s390x"], message);
}

fn emulators(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    let from = sandbox.scratch().join("from");
    fs::create_dir(&from).expect("a folder");
    let from = from.to_str().expect("text");
    let advice = "run registrar persist with a static emulator there, or name other architectures";
    let path = format!("{from}/qemu-s390x-static");
    host.fails("persist", "systemd", &["--bindir", from, "s390x"], &format!("{path}: no such file; {advice}"));
    fs::copy("/bin/sh", &path).expect("copied");
    let CommandResult { code, err, .. } = host.run("persist", "systemd", &["--bindir", from, "s390x"]);
    let (before, after) = (format!("{path}: not static: it needs /"), format!("; {advice}\n"));
    assert!(code == Some(1) && err.starts_with(&before) && err.ends_with(&after), "{err}");
    fs::write(&path, "#!/bin/sh\n").expect("written");
    host.fails("persist", "systemd", &["--bindir", from, "s390x"], &format!("{path}: a script; {advice}"));
    // One that is on the host already is as good.
    fs::remove_file(&path).expect("removed");
    fs::create_dir_all(host.root.join("opt/registrar/bin")).expect("a folder");
    fs::copy("/usr/bin/qemu-s390x-static", host.root.join("opt/registrar/bin/qemu-s390x-static")).expect("copied");
    host.succeeds("persist", "systemd", &["--bindir", from, "s390x"]);
}

/// Whether a machine runs a target natively cannot be told while an entry takes any program of its kind.
#[cfg(target_arch = "x86_64")]
fn undecidable(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    sandbox.add(r":any:M::\x7fELF\x01::/usr/bin/qemu-i386-static:F");
    let cause = "qemu-i386: cannot tell whether it runs natively: an entry takes any program of this kind";
    host.fails("persist", "systemd", &["386"], cause);
    let out = host.succeeds("persist", "systemd", &[]);
    assert!(out.contains(&format!("skipped {cause}\n")), "{out}");
}

fn said_later(sandbox: &Sandbox) {
    let host = unit::systemd_host(sandbox);
    let root = host.root.to_str().expect("text");
    let arguments = ["status", "--persisted", "--root", root];
    sandbox.fails(&arguments, "/etc/binfmt.d/registrar.conf: not there; first: registrar persist");
    remove(&host, SCRIPT);
    host.succeeds("persist", "systemd", &["s390x,m68k"]);
    let by = |reader: &str| format!("2 handlers will be registered at each boot\nread at boot by {reader}\n");
    assert_eq!(sandbox.succeeds(&arguments), by("systemd-binfmt"));
    let mask = host.root.join("etc/systemd/system/systemd-binfmt.service");
    symlink("/dev/null", &mask).expect("a link");
    assert!(sandbox.run(&arguments).err.starts_with("systemd-binfmt.service is masked, "));
    host.succeeds("persist", "systemd", &["--unit", "s390x,m68k"]);
    assert_eq!(sandbox.succeeds(&arguments), by("registrar.service"));
    fs::remove_file(host.root.join(unit::LINK)).expect("removed");
    assert_eq!(sandbox.run(&arguments).code, Some(1));
    fs::remove_file(&mask).expect("removed");
    remove(&host, "opt/registrar/bin/qemu-m68k-static");
    let advice = "run registrar persist with a static emulator there, or name other architectures";
    sandbox.fails(&arguments, &format!("/opt/registrar/bin/qemu-m68k-static: no such file; {advice}"));
}
