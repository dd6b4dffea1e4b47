//! The emulators' packages among those of a made-up repository, as Fedora's metadata describe them. Names only: nothing
//! is there to be fetched.

use crate::primary::{Random, Stanza, Texts, entry};
use fedora_mirror::spec::{BIN, BINFMT, FAMILIES};
use xtask::repo::resolve::ROOT;

/// Version and so on of all of them.
const EVR: (&str, &str, &str) = ("2", "11.1.3", "4.fc45");

/// How many packages the family has.
pub(super) const COUNT: usize = FAMILIES.len() + 1;

/// Their part of the list.
pub(super) fn packages(random: &mut Random) -> Vec<String> {
    let mut packages = Vec::new();
    let mut root = String::new();
    for (family, targets) in FAMILIES {
        let name = format!("{ROOT}-{family}");
        root += &entry(&name, None);
        let file = |target: &&str| {
            format!(
                "    <file>{BIN}/qemu-{target}-static</file>\n    <file>{BINFMT}/qemu-{target}-static.conf</file>\n"
            )
        };
        let requires = ["/bin/sh", "rtld(GNU_HASH)"].map(|name| entry(name, None)).concat();
        packages.push(package(&name, requires, targets.iter().map(file).collect(), random));
    }
    packages.push(package(ROOT, entry("systemd-units", None) + &root, String::new(), random));
    packages
}

fn package(name: &str, requires: String, files: String, random: &mut Random) -> String {
    let provided = |name: &str| entry(name, Some(EVR.1)).replace("epoch=\"0\"", "epoch=\"2\"");
    let provides = provided(name) + &provided(&format!("{name}(x86-64)"));
    let texts = Texts {
        summary: "QEMU user mode emulation of qemu targets static build".into(),
        description: "QEMU is a processor emulator that relies on dynamic binary translation to achieve good speed \
                      while being easy to port to new host CPUs. This package provides the user mode emulation of \
                      qemu targets built as static binaries."
            .into(),
    };
    Stanza { name, arch: "x86_64", evr: EVR, source: "qemu", texts, provides, requires, files }.text(random)
}
