//! Packages with the conf lines that QEMU 10.2.2's own script writes, for every target, and with a fault in one of them.

use std::fs;
use std::process::Command;

use codegen::probe;
use codegen::rule::Rule;
use codegen::targets;
use tempfile::TempDir;

use crate::command::{Builds, CommandResult};
use crate::fixture::Content::Bytes;
use crate::fixture::{MIRROR, key, package, text};

const UPSTREAM: &str = include_str!("../data/binfmt/qemu-10.2.2.conf");

/// Confs that Fedora's packages for x86_64 leave out (`%ifarch` in its qemu.spec), or those for aarch64.
fn own_confs() -> &'static [&'static str] {
    match MIRROR.host {
        "aarch64" => &["aarch64", "arm"],
        "x86_64" => &["i386", "i486", "x86_64"],
        host => panic!("what Fedora leaves out on {host} is not known here"),
    }
}

/// All of upstream's lines, with their entries.
fn lines() -> Vec<(String, String)> {
    let lines = UPSTREAM.lines().filter_map(|line| {
        let entry = line.strip_prefix(":qemu-")?.split(':').next()?;
        Some((entry.to_owned(), line.to_owned()))
    });
    lines.collect()
}

/// A signed package with these confs, each in a file without a newline, and the emulators of upstream's 33 targets.
fn packaged(confs: &[(String, String)]) -> TempDir {
    let host = targets::by_qemu_name(MIRROR.host).expect("a host");
    let program = probe::executable(host, host.machines[0]).expect("a program");
    let mut emulators: Vec<_> = lines().into_iter().map(|(entry, _)| entry).filter(|entry| entry != "i486").collect();
    emulators.push("x86_64".into());
    assert_eq!(emulators.len(), 33);
    let emulators = emulators.iter().map(|target| (format!("/usr/bin/qemu-{target}-static"), program.as_slice()));
    let name = |entry: &str| match entry.ends_with(".conf") {
        true => format!("/usr/lib/binfmt.d/qemu-{entry}"),
        false => format!("/usr/lib/binfmt.d/qemu-{entry}-static.conf"),
    };
    let confs = confs.iter().map(|(entry, line)| (name(entry), line.as_bytes()));
    let license = ("/usr/share/licenses/qemu-user-static/COPYING".to_owned(), &b"GPL"[..]);
    let files: Vec<_> = emulators.chain(confs).chain([license]).collect();
    let files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), Bytes(content))).collect();
    package(&files)
}

fn build(builds: &Builds, source: &TempDir, options: &[&str]) -> CommandResult {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["--offline", "--source", text(source.path()), "--key", key()];
    builds.build(folder, &[&arguments[..], options].concat())
}

/// Asserts that the built `registrar` has the computed rules of these entries, none of which this machine runs itself.
#[track_caller]
fn assert_computed(built: &CommandResult, entries: &[&str]) {
    let registrar = built.out().join(MIRROR.host).join("rootfs/registrar");
    let exported = Command::new(registrar).arg("export").output().expect("running registrar");
    let exported = String::from_utf8_lossy(&exported.stdout).into_owned();
    for entry in entries {
        let (target, machine) = targets::by_entry_name(entry).expect(entry);
        let emulator = format!("/usr/bin/qemu-{}-static", target.qemu);
        let line = Rule::for_target(target, machine).line(&format!("qemu-{entry}"), &emulator, "");
        assert!(exported.lines().any(|exported| exported.starts_with(&line)), "{entry} has another rule:\n{exported}");
    }
}

#[test]
fn packages_with_real_confs_are_built_and_faults_in_them_are_named() {
    let all = lines();
    assert_eq!(all.len(), 33);
    let fedoras: Vec<_> = all.iter().filter(|(entry, _)| !own_confs().contains(&entry.as_str())).cloned().collect();
    for confs in [&fedoras, &all] {
        let built = build(&Builds::alone(), &packaged(confs), &["--strict", "--verbose"]);
        assert!(built.good, "{}", built.stderr);
        let without = 34 - confs.len();
        let rules = format!("34 rules: {} packaged, {without} without a conf", confs.len());
        assert!(built.stdout.contains(&rules), "{}", built.stdout);
        assert!(!built.stderr.contains("warning"), "{}", built.stderr);
        let note =
            "qemu-microblaze.conf: byte 16 is 0x02 with mask 0xfe, computed: 0x00 with mask 0xff; QEMU has e_type";
        assert!(built.stderr.contains(note), "{}", built.stderr);
        assert_computed(&built, &fedoras.iter().map(|(entry, _)| entry.as_str()).collect::<Vec<_>>());
        assert_eq!(fs::read_dir(built.out().join(MIRROR.host).join("rootfs/usr/bin")).expect("emulators").count(), 34);
    }

    type Fault = (&'static str, fn(&str) -> String, &'static str);
    let faults: [Fault; 5] = [
        (
            "m68k",
            |line| line.replace("\\x00\\x04:", "\\x00\\x05:"),
            "binfmt.d/qemu-m68k.conf: byte 19 is 0x05 with mask 0xff, computed: 0x04 with mask 0xff; no known reason",
        ),
        ("s390x", |line| line.replace(":F", ":FX"), "binfmt.d/qemu-s390x.conf:1: unknown flag 'X'"),
        (
            "riscv64",
            |_| format!(":qemu-riscv64:M::m::/{}:F", "i".repeat(1921 - 23)),
            "binfmt.d/qemu-riscv64.conf:1: 1921 bytes, the kernel takes at most 1920",
        ),
        (
            "sh4",
            |line| line.replace("qemu-sh4", "qemu-z80"),
            "binfmt.d/qemu-sh4.conf: names its entry \"qemu-z80\", unlike the file",
        ),
        // In a second file, without Fedora's `-static`, as Debian names it.
        ("hppa", str::to_owned, "binfmt.d/qemu-hppa.conf: is of the same entry as binfmt.d/qemu-hppa.2.conf"),
    ];
    // All of them in one package: a build takes longer than all else here.
    let mut confs = all.clone();
    for (entry, change, _) in &faults {
        let conf = confs.iter_mut().find(|(name, _)| name == *entry).expect(entry);
        match change(&conf.1) {
            second if second == conf.1 => confs.push((format!("{entry}.conf"), second)),
            changed => conf.1 = changed,
        }
    }
    let source = packaged(&confs);
    let builds = Builds::alone();
    let built = build(&builds, &source, &[]);
    assert!(built.good, "{}", built.stderr);
    let assert_warned = |stderr: &str| {
        for (_, _, words) in &faults {
            assert!(stderr.lines().any(|line| line.starts_with(&format!("warning: {words}"))), "{words}: {stderr}");
        }
    };
    assert_warned(&built.stderr);
    assert_computed(&built, &faults.map(|(entry, ..)| entry));
    // Not what the build before has made.
    let strict = build(&builds, &source, &["--strict"]);
    assert!(!strict.good, "{}", strict.stdout);
    let error = strict.stderr.lines().last().unwrap_or_default();
    let first = error.strip_prefix("error: --strict: ").unwrap_or_else(|| panic!("{}", strict.stderr));
    assert!(faults.iter().any(|(_, _, words)| first.starts_with(words)), "{}", strict.stderr);
    assert!(!strict.out().exists(), "a refused build leaves something");
    // Nothing to do, and the same warnings.
    let folder = built.into_folder();
    let again = builds.build(folder, &["--offline", "--source", text(source.path()), "--key", key()]);
    assert!(again.good && again.stdout.contains("unchanged, nothing to do"), "{}{}", again.stdout, again.stderr);
    assert_warned(&again.stderr);
}
