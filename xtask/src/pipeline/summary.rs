//! The text at the end of a build: what is in it, where it is, what to type next.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use codegen::table::Table;
use codegen::targets::EXIT_STATUS;
use indicatif::HumanBytes;

use crate::build::compile::build_info::BuildInfo;
use crate::build::rootfs::{PACKAGES, REGISTRAR, SBOM};
use crate::extract::Stage;
use crate::system::host::Host;
use crate::verify::Trust;

pub(super) struct Built<'a> {
    pub(super) stage: &'a Stage,
    pub(super) table: &'a Table,
    pub(super) trust: &'a Trust,
    pub(super) rootfs: &'a Path,
    pub(super) build: &'a BuildInfo,
    pub(super) host: Host,
    /// A foreign program that exits with [`EXIT_STATUS`].
    pub(super) sample: Option<PathBuf>,
}

pub(super) fn text(built: &Built<'_>) -> Result<String> {
    let Built { stage, table, trust, rootfs, build, host, sample } = built;
    let emulators = &stage.record.emulators;
    let mut text = format!("{:24} {:>10} {:>10}  package\n", "emulator", "version", "size");
    for emulator in emulators {
        let version = stage.package_of(emulator).map_or("", |package| package.version.as_str());
        let (name, size) = (format!("qemu-{}-static", emulator.target), HumanBytes(emulator.size).to_string());
        writeln!(text, "{name:24} {version:>10} {size:>10}  {}", emulator.nevra)?;
    }
    let total = emulators.iter().map(|emulator| emulator.size).sum();
    let program = rootfs.join(REGISTRAR);
    writeln!(
        text,
        "\n{} emulators of QEMU {} from {}, {}; registrar {}",
        emulators.len(),
        table.provenance.qemu_version,
        table.provenance.origin,
        HumanBytes(total),
        HumanBytes(std::fs::metadata(&program)?.len())
    )?;
    let signers = match stage.record.signers()[..] {
        [] => String::new(),
        ref signers => format!("; signed by {}", signers.join(", ")),
    };
    writeln!(text, "proven by {}{signers}", trust.describe())?;
    let commit = match &build.revision {
        Some(commit) => format!("git commit {commit}"),
        None => "uncommitted files, so the image has no revision".into(),
    };
    writeln!(text, "compiled by {}, linked by {}, from {commit}", build.rustc, build.linker)?;
    writeln!(text, "made {}, with {SBOM} and {PACKAGES} beside it\n", rootfs.display())?;
    if !host.is_this_machine() {
        writeln!(text, "next: copy {} to a {} machine and run its registrar there", rootfs.display(), host.name)?;
        return Ok(text);
    }
    let emulators = rootfs.join("usr/bin");
    writeln!(text, "next, as root:\n    {} register --bindir {}", program.display(), emulators.display())?;
    if let Some(sample) = sample {
        writeln!(text, "    {}; echo $?     # {EXIT_STATUS}: a foreign program has run", sample.display())?;
    }
    Ok(text)
}
