//! Emulators and confs become handlers: rules of known targets are computed, those of unknown ones are the packages'.
//!
//! What confs say of known targets is judged in [`crate::witness`]; here is what no table may hold.

use std::collections::BTreeMap;
use std::fmt;

pub use crate::handler::{EMULATOR_DIR, Emulator, Handler};

use crate::probe;
use crate::remark::Remark;
use crate::rule::Rule;
use crate::targets::{self, Machine, TARGETS, Target};
use crate::witness::{self, Checked, Conf};

/// Where the emulators come from, in words that a user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Version of QEMU; empty if there are no emulators.
    pub qemu_version: String,
    /// Distribution and package: `Fedora 45, qemu-user-static 2:11.1.3-1.fc45`.
    pub origin: String,
}

/// What a table is made of.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The machine that the emulators run on. `None` for a table that is not bound to one.
    pub host: Option<&'static Target>,
    /// The emulators.
    pub emulators: Vec<Emulator>,
    /// The packages' conf files: witnesses of known targets' rules, and the rules of unknown ones.
    pub confs: Vec<Conf>,
    /// Where all that comes from.
    pub provenance: Provenance,
}

/// The table: handlers sorted by entry name, and every name that a user may call a target by.
#[derive(Clone, Debug)]
pub struct Table {
    /// Where the emulators come from.
    pub provenance: Provenance,
    /// Sorted by entry name.
    pub handlers: Vec<Handler>,
    /// Any name of a target, and QEMU's.
    pub names: BTreeMap<String, String>,
    /// What a maintainer should know.
    pub remarks: Vec<Remark>,
}

/// Why no table can be made: registering it would be fatal, or depend on the order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// Two rules match one header, so that the order of registration would decide.
    Overlap {
        /// One entry.
        one: String,
        /// The other.
        other: String,
    },
    /// A rule matches the host's own programs, which would make every exec fail.
    MatchesHost {
        /// The entry.
        entry: String,
        /// The host.
        host: &'static str,
    },
    /// The test program cannot be made.
    Probe {
        /// The target.
        target: String,
        /// Why.
        cause: String,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { one, other } => write!(f, "{one} and {other} match the same programs"),
            Self::MatchesHost { entry, host } => write!(f, "{entry} would match the host's own {host} programs"),
            Self::Probe { target, cause } => write!(f, "making the test program of {target}: {cause}"),
        }
    }
}

impl std::error::Error for TableError {}

impl Inputs {
    /// Emulators of all known targets and no packages: what the committed table is made of.
    pub fn from_targets() -> Self {
        Self {
            host: None,
            emulators: TARGETS.iter().map(|target| Emulator { target: target.qemu.into() }).collect(),
            confs: Vec::new(),
            provenance: Provenance { qemu_version: String::new(), origin: "no packages, the source alone".into() },
        }
    }
}

impl Table {
    /// Makes the table: the rules of known targets are computed, and the packages' confs held against them; those of
    /// unknown targets are the packages'.
    ///
    /// # Errors
    /// See [`TableError`].
    pub fn build(inputs: Inputs) -> Result<Self, TableError> {
        let Inputs { host, emulators, confs, provenance } = inputs;
        let Checked { entries, mut handlers, mut remarks } = witness::check(&confs, &emulators);
        for emulator in &emulators {
            match targets::by_qemu_name(&emulator.target) {
                Some(target) => {
                    for &machine in target.machines {
                        let handler = of_target(target, machine, emulator)?;
                        if !entries.contains_key(machine.name) {
                            remarks.push(Remark::NoConf { entry: handler.name.clone() });
                        }
                        handlers.push(handler);
                    }
                }
                None if handlers.iter().any(|handler| handler.target == emulator.target) => {}
                None => remarks.push(Remark::NoRule { target: emulator.target.clone() }),
            }
        }
        handlers.sort_by(|a, b| a.name.cmp(&b.name));
        check(&handlers, host)?;
        let names = names(&handlers);
        Ok(Self { provenance, handlers, names, remarks })
    }
}

/// A handler of a known target, with its computed rule.
fn of_target(target: &Target, machine: Machine, emulator: &Emulator) -> Result<Handler, TableError> {
    let probe = probe::executable(target, machine)
        .map_err(|error| TableError::Probe { target: target.qemu.into(), cause: error.to_string() })?;
    Ok(Handler {
        name: format!("qemu-{}", machine.name),
        target: target.qemu.into(),
        platform: target.platform(),
        family: target.family.into(),
        emulator: emulator.file_name(),
        rule: Rule::for_target(target, machine),
        probe,
    })
}

/// What would make registration fail, or be fatal.
fn check(handlers: &[Handler], host: Option<&'static Target>) -> Result<(), TableError> {
    for (index, one) in handlers.iter().enumerate() {
        for other in &handlers[index + 1..] {
            if one.rule.overlaps(&other.rule) {
                return Err(TableError::Overlap { one: one.name.clone(), other: other.name.clone() });
            }
        }
    }
    let Some(host) = host else { return Ok(()) };
    let own = Rule::for_target(host, host.machines[0]);
    match handlers.iter().find(|handler| handler.target != host.qemu && handler.rule.overlaps(&own)) {
        Some(handler) => Err(TableError::MatchesHost { entry: handler.name.clone(), host: host.qemu }),
        None => Ok(()),
    }
}

/// Every name of every known target, whether the table holds it or not (so that "not in this image" can be told from
/// "unknown"), and those of unknown targets that it holds.
fn names(handlers: &[Handler]) -> BTreeMap<String, String> {
    let known = TARGETS.iter().flat_map(|target| target.all_names().into_iter().map(|name| (name, target.qemu.into())));
    let held = handlers
        .iter()
        .flat_map(|handler| [handler.target.clone(), handler.name.clone()].map(|name| (name, handler.target.clone())));
    held.chain(known).collect()
}
