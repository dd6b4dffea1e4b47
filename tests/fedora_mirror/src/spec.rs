//! What Fedora's packages look like, as text: families, conf files, and the spec file. Pure; `build` lays out the
//! files that the spec names.
//!
//! Where each belief was seen: "the spec" is Fedora's `qemu.spec`, read as PhantomX/chinforpms keeps it, which follows
//! Fedora's, of QEMU 8.1 and of 10.x. What is ours on purpose: vendor, packager and summary, so that nobody takes these
//! packages for Fedora's.

use std::fmt::Write;
use std::path::Path;

use crate::emulators::Emulator;

/// Fedora's subpackages and their targets, 38 to 45: the spec's `%package user-static-…` and `%files`.
pub const FAMILIES: &[(&str, &[&str])] = &[
    ("aarch64", &["aarch64", "aarch64_be"]),
    ("alpha", &["alpha"]),
    ("arm", &["arm", "armeb"]),
    ("cris", &["cris"]),
    ("hexagon", &["hexagon"]),
    ("hppa", &["hppa"]),
    ("loongarch64", &["loongarch64"]),
    ("m68k", &["m68k"]),
    ("microblaze", &["microblaze", "microblazeel"]),
    ("mips", &["mips", "mips64", "mips64el", "mipsel", "mipsn32", "mipsn32el"]),
    ("nios2", &["nios2"]),
    ("or1k", &["or1k"]),
    ("ppc", &["ppc", "ppc64", "ppc64le"]),
    ("riscv", &["riscv32", "riscv64"]),
    ("s390x", &["s390x"]),
    ("sh4", &["sh4", "sh4eb"]),
    ("sparc", &["sparc", "sparc32plus", "sparc64"]),
    ("x86", &["i386", "x86_64"]),
    ("xtensa", &["xtensa", "xtensaeb"]),
];

/// Families that are gone since QEMU 9.1 and 9.2. From then on the spec's meta package has `Obsoletes` for each.
const GONE: &[&str] = &["cris", "nios2"];

/// What QEMU 10.2.2's own `qemu-binfmt-conf.sh --systemd ALL` writes, with the flag and the suffix that the spec adds. So
/// `i486` runs the emulator of `i386`, cris and nios2 have none, and microblaze's magic is as wrong as upstream's.
const CONFS: &str = include_str!("../../data/binfmt/qemu-10.2.2.conf");

/// The line that the file lacks, since that run was on such a host: `x86_64_magic` and `x86_64_mask` of the same script.
const X86_64: &str = r":qemu-x86_64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00:\xff\xff\xff\xff\xff\xfe\xfe\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-x86_64-static:F";

/// Confs that Fedora leaves out because the host runs such programs itself: the spec's `%ifnarch`.
fn own_confs(host: &str) -> &'static [&'static str] {
    match host {
        "x86_64" => &["i386", "i486", "x86_64"],
        "aarch64" => &["aarch64", "arm"],
        "ppc64le" => &["ppc64le"],
        "s390x" => &["s390x"],
        "riscv64" => &["riscv64"],
        _ => &[],
    }
}

/// Folders of the packages' files.
pub const BIN: &str = "/usr/bin";
/// Conf files.
pub const BINFMT: &str = "/usr/lib/binfmt.d";
/// Trace points of SystemTap.
pub const TAPSET: &str = "/usr/share/systemtap/tapset";
/// Links from build ids to binaries.
pub const BUILD_ID: &str = "/usr/lib/.build-id";
/// License files of the meta package.
pub const LICENSES: &str = "/usr/share/licenses/qemu-user-static";
/// Their names.
pub const LICENSE_FILES: &[&str] = &["COPYING", "COPYING.LIB", "LICENSE"];

/// One subpackage: `qemu-user-static-NAME`.
#[derive(Clone, Debug)]
pub struct Family<'a> {
    /// The end of its name.
    pub name: &'a str,
    /// What it holds.
    pub emulators: Vec<&'a Emulator>,
}

/// Sorts emulators into subpackages; those that Fedora does not know get one each.
pub fn families(emulators: &[Emulator]) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for emulator in emulators {
        let known = FAMILIES.iter().find(|(_, targets)| targets.contains(&emulator.target.as_str()));
        let name = known.map_or(emulator.target.as_str(), |(name, _)| name);
        match families.iter_mut().find(|family| family.name == name) {
            Some(family) => family.emulators.push(emulator),
            None => families.push(Family { name, emulators: vec![emulator] }),
        }
    }
    families.sort_by_key(|family| family.name);
    families
}

/// File names and texts of a target's confs on this host: one line each, without a newline (the spec's `tr -d '\n'`).
pub fn confs(target: &str, host: &str) -> Vec<(String, String)> {
    let runs_it = format!(":{BIN}/qemu-{target}-static:F");
    let lines = CONFS.lines().chain([X86_64]).filter(|line| line.ends_with(&runs_it));
    let named = lines.filter_map(|line| Some((line.strip_prefix(":qemu-")?.split_once(':')?.0, line)));
    let kept = named.filter(|(name, _)| !own_confs(host).contains(name));
    kept.map(|(name, line)| (format!("qemu-{name}-static.conf"), line.to_owned())).collect()
}

/// Names of a target's trace point files: the spec puts `-static` before `.stp`.
pub fn tapsets(target: &str) -> [String; 3] {
    ["", "-log", "-simpletrace"].map(|kind| format!("qemu-{target}{kind}-static.stp"))
}

/// Folder and name of an emulator's link below [`BUILD_ID`], which rpmbuild adds to each package (`build/files.c`).
pub fn build_id_link(emulator: &Emulator) -> Option<(String, String)> {
    let id = emulator.facts.build_id.as_ref()?;
    let text = id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    (text.len() > 2).then(|| (text[..2].into(), text[2..].into()))
}

/// Format of packages. Fedora's are in the first; rpm 6 writes both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Header and payload with SHA-256, one signature
    #[default]
    V4 = 4,
    /// More digests, no MD5, and any number of signatures
    V6 = 6,
}

/// What the spec file is made of.
#[derive(Clone, Debug)]
pub struct Spec<'a> {
    /// Architecture of the packages.
    pub host: &'a str,
    /// QEMU's version.
    pub version: &'a str,
    /// Fedora's release.
    pub fedora: u32,
    /// Compression of the payload.
    pub payload: &'a str,
    /// Format of the packages.
    pub format: Format,
    /// The subpackages.
    pub families: Vec<Family<'a>>,
}

impl Spec<'_> {
    /// The spec file, with the files to package below `stage`.
    pub fn text(&self, number: u32, stage: &Path) -> String {
        let mut text = self.preamble(number);
        for family in &self.families {
            subpackage(&mut text, family.name);
        }
        // Moved, not copied: hundreds of megabytes.
        let _ = write!(text, "%install\nmkdir -p '%{{buildroot}}'\nmv '{}/usr' '%{{buildroot}}/'\n\n", stage.display());
        let _ = writeln!(text, "%files user-static\n%defattr(-,root,root)");
        licenses(&mut text, "");
        for family in &self.families {
            let _ = writeln!(text, "\n%files user-static-{}\n%defattr(-,root,root)", family.name);
            licenses(&mut text, &format!("-{}", family.name));
            for emulator in &family.emulators {
                self.files(&mut text, emulator);
            }
        }
        text
    }

    fn preamble(&self, number: u32) -> String {
        let Self { version, fedora, payload, format, .. } = self;
        let format = *format as u8;
        let mut text = format!(
            "\
# What is packaged is finished: nothing is stripped, linked or compressed on the way.
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%global _build_id_links none
%global _binary_payload {payload}
%global _source_filedigest_algorithm 8
%global _binary_filedigest_algorithm 8
%global _rpmformat {format}
%global _buildhost localhost
# The generators of another distribution's rpm do not run here, and this machine's emulators need nothing.
%global __elf_requires %{{nil}}
%global __elf_provides %{{nil}}

Name: qemu
Epoch: 2
Version: {version}
Release: {number}.fc{fedora}
Summary: QEMU's user mode emulators, repackaged for tests
License: Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND FSFAP AND GPL-1.0-or-later AND GPL-2.0-only AND \
GPL-2.0-or-later AND GPL-2.0-or-later WITH GCC-exception-2.0 AND LGPL-2.0-only AND LGPL-2.0-or-later AND \
LGPL-2.1-only AND LGPL-2.1-or-later AND MIT AND LicenseRef-Fedora-Public-Domain AND CC-BY-3.0
URL: http://www.qemu.org/
Vendor: Local test mirror, not the Fedora Project
Packager: cargo xtask mirror

%description
Emulators of the machine that made this local test mirror.

%package user-static
Summary: QEMU's user mode emulators, static, all of them
Requires(post): systemd-units
Requires(postun): systemd-units
"
        );
        for family in &self.families {
            let _ = writeln!(text, "Requires: qemu-user-static-{}", family.name);
        }
        for gone in GONE.iter().filter(|gone| !self.families.iter().any(|family| family.name == **gone)) {
            let _ = writeln!(text, "Obsoletes: qemu-user-static-{gone} <= 2:{version}-{number}.fc{fedora}");
        }
        text.push_str(
            "\n%description user-static\nBrings the packages of all emulators. Made by a local test mirror.\n\n",
        );
        text
    }

    fn files(&self, text: &mut String, emulator: &Emulator) {
        let target = &emulator.target;
        let _ = writeln!(text, "{BIN}/qemu-{target}-static");
        for tapset in tapsets(target) {
            let _ = writeln!(text, "{TAPSET}/{tapset}");
        }
        for (name, _) in confs(target, self.host) {
            let _ = writeln!(text, "{BINFMT}/{name}");
        }
        if let Some((folder, name)) = build_id_link(emulator) {
            let _ = writeln!(text, "%dir {BUILD_ID}\n%dir {BUILD_ID}/{folder}\n{BUILD_ID}/{folder}/{name}");
        }
    }
}

/// The license files of a package, each in a folder of the package's name: in the meta package alone up to QEMU 8, in every
/// one since 10.
fn licenses(text: &mut String, end: &str) {
    let _ = writeln!(text, "%dir {LICENSES}{end}");
    for file in LICENSE_FILES {
        let _ = writeln!(text, "%license {LICENSES}{end}/{file}");
    }
}

/// A subpackage: no version in what it requires, and `/bin/sh` for its scriptlets, which rpmbuild adds. `rtld(GNU_HASH)`
/// is what `elfdeps` finds in static-PIE programs, which Fedora's are on all hosts but ppc64le and this machine's may not be.
fn subpackage(text: &mut String, family: &str) {
    let scriptlet = "/bin/systemctl --system try-restart systemd-binfmt.service &>/dev/null || :";
    let _ = write!(
        text,
        "\
%package user-static-{family}
Summary: QEMU's user mode emulators of the {family} family, static
Requires: rtld(GNU_HASH)

%description user-static-{family}
Emulators of the {family} family. Made by a local test mirror.

%post user-static-{family}
{scriptlet}

%postun user-static-{family}
{scriptlet}

"
    );
}

/// A large file of trace points, like those that come with every emulator: most of a package's unpacked text, and
/// nothing that an image needs.
pub fn tapset(target: &str, kind: usize) -> String {
    let mut text = String::from("/* This file stands in for one that QEMU's build generates. */\n\n");
    for event in 0..1500 {
        let _ = write!(
            text,
            "probe qemu.user.{target}.kind_{kind}.event_{event} = process(\"{BIN}/qemu-{target}-static\").mark(\"event_{event}\")\n\
             {{\n  cpu = $arg1;\n  value = $arg2;\n}}\n\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use codegen::targets;

    use super::*;

    #[test]
    fn each_line_of_upstreams_script_is_a_conf_of_one_target() {
        let lines = CONFS.lines().filter(|line| line.starts_with(':')).count();
        let confs: Vec<_> = targets::TARGETS.iter().flat_map(|target| confs(target.qemu, "none")).collect();
        assert_eq!((confs.len(), lines), (34, 33));
        assert!(confs.iter().all(|(_, text)| !text.contains('\n')));
    }

    #[test]
    fn confs_of_the_host_itself_are_left_out() {
        for (host, left_out) in [
            ("x86_64", &["i386", "x86_64"][..]),
            ("aarch64", &["aarch64", "arm"]),
            ("ppc64le", &["ppc64le"]),
            ("s390x", &["s390x"]),
            ("riscv64", &["riscv64"]),
        ] {
            for target in targets::TARGETS {
                let expected = !left_out.contains(&target.qemu) && !GONE.contains(&target.qemu);
                assert_eq!(!confs(target.qemu, host).is_empty(), expected, "{} on {host}", target.qemu);
            }
        }
    }

    #[test]
    fn i486_runs_the_emulator_of_i386() {
        let confs = confs("i386", "aarch64");
        let names: Vec<_> = confs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["qemu-i386-static.conf", "qemu-i486-static.conf"]);
        assert!(confs[1].1.starts_with(":qemu-i486:M::\\x7fELF"), "{}", confs[1].1);
        assert!(confs[1].1.ends_with(":/usr/bin/qemu-i386-static:F"), "{}", confs[1].1);
    }

    #[test]
    fn every_known_target_has_a_family() {
        for target in targets::TARGETS {
            let families: Vec<_> = FAMILIES.iter().filter(|(_, list)| list.contains(&target.qemu)).collect();
            assert_eq!(families.len(), 1, "{}", target.qemu);
        }
    }
}
