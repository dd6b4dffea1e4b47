//! The table of handlers, from extracted emulators with their confs as witnesses.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use codegen::table::{Emulator, Inputs, Provenance, Table};
use codegen::witness::Conf;

use crate::extract::{Stage, TextRecord};
use crate::system::host::Host;

/// The table of what was extracted for a host; `origin` says where the packages come from.
pub(crate) fn of_stage(stage: &Stage, host: Host, origin: &str) -> Result<Table> {
    let record = &stage.record;
    let conf = |record: &TextRecord| anyhow::Ok(Conf { file: record.path.clone(), text: record.read(&stage.dir)? });
    let packages = record.emulators.iter().filter_map(|emulator| stage.package_of(emulator));
    let versions: BTreeSet<_> = packages.map(|package| package.version.as_str()).collect();
    let [version] = versions.iter().copied().collect::<Vec<_>>()[..] else {
        bail!("the packages hold emulators of several versions of QEMU: {versions:?}");
    };
    let inputs = Inputs {
        host: host.target(),
        emulators: record.emulators.iter().map(|emulator| Emulator { target: emulator.target.clone() }).collect(),
        confs: record.confs.iter().map(conf).collect::<Result<_>>()?,
        provenance: Provenance { qemu_version: version.into(), origin: origin.into() },
    };
    Table::build(inputs).context("making the table of handlers")
}
