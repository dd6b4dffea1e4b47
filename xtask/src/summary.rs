//! What a person reads at the end of a build: what is in it, where it is, what to type next.

use std::path::Path;

use anyhow::Result;
use codegen::table::Table;
use codegen::targets::EXIT_STATUS;
use indicatif::HumanBytes;

use crate::compile::build_info::BuildInfo;
use crate::extract::Stage;
use crate::host::Host;
use crate::rootfs::{PACKAGES, SBOM};
use crate::verify::Trust;

/// All that a summary tells of.
#[derive(Debug)]
pub struct Built<'a> {
    /// The extracted files.
    pub stage: &'a Stage,
    /// The table.
    pub table: &'a Table,
    /// Whose word was taken.
    pub trust: &'a Trust,
    /// The root file system.
    pub rootfs: &'a Path,
    /// How `registrar` was compiled.
    pub build: &'a BuildInfo,
    /// The machine that it is for.
    pub host: Host,
    /// A foreign program that exits with [`EXIT_STATUS`].
    pub sample: Option<&'a Path>,
}

/// The summary.
///
/// # Errors
/// If sizes cannot be read.
pub fn text(built: &Built<'_>) -> Result<String> {
    let mut lines = Vec::new();
    let Built { stage, table, trust, rootfs, build, host, sample } = built;
    lines.push(format!("{:24} {:>10} {:>10}  package", "emulator", "version", "size"));
    for emulator in &stage.record.emulators {
        let version = stage.proof_of(emulator).map_or("", |proof| proof.version.as_str());
        let size = HumanBytes(emulator.size).to_string();
        lines.push(format!(
            "{:24} {version:>10} {size:>10}  {}",
            format!("qemu-{}-static", emulator.target),
            emulator.nevra
        ));
    }
    let total = stage.record.emulators.iter().map(|emulator| emulator.size).sum();
    let registrar = std::fs::metadata(rootfs.join("registrar"))?.len();
    lines.push(String::new());
    lines.push(format!(
        "{} emulators of QEMU {} from {}, {}; registrar {}",
        stage.record.emulators.len(),
        table.provenance.qemu_version,
        table.provenance.origin,
        HumanBytes(total),
        HumanBytes(registrar)
    ));
    match stage.record.signers()[..] {
        [] => lines.push(format!("proven by {}", trust.describe())),
        ref signers => lines.push(format!("proven by {}; signed by {}", trust.describe(), signers.join(", "))),
    }
    let commit = match &build.revision {
        Some(commit) => format!("git commit {commit}"),
        None => "uncommitted files, so the image has no revision".into(),
    };
    lines.push(format!("compiled by {}, linked by {}, from {commit}", build.rustc, build.linker));
    lines.push(format!("made {}, with {SBOM} and {PACKAGES} beside it", rootfs.display()));
    lines.push(String::new());
    if host.is_this_machine() {
        lines.push("next, as root:".to_owned());
        lines.push(format!(
            "    {} register --bindir {}",
            rootfs.join("registrar").display(),
            rootfs.join("usr/bin").display()
        ));
        if let Some(sample) = sample {
            lines.push(format!("    {}; echo $?     # {EXIT_STATUS}: a foreign program has run", sample.display()));
        }
    } else {
        lines.push(format!("next: copy {} to a {} machine and run its registrar there", rootfs.display(), host.name));
    }
    Ok(lines.join("\n") + "\n")
}
