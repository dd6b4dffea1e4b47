//! Emulators and conf lines become handlers. Every cross-check between what the packages say and what we know of the
//! targets lives here.

use std::collections::BTreeMap;
use std::fmt;

use crate::probe;
use crate::rule::{Correction, Masks, Rule};
use crate::targets::{self, Machine, TARGETS, Target};

/// Folder of the emulators in the image.
pub const EMULATOR_DIR: &str = "/usr/bin";

/// An emulator that the image holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Emulator {
    /// QEMU's name of its target: `aarch64`.
    pub target: String,
}

impl Emulator {
    /// From the name of a binary, `qemu-aarch64-static` or `qemu-aarch64`; `None` for other files.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let target = name.strip_prefix("qemu-")?;
        let target = target.strip_suffix("-static").unwrap_or(target);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (!target.is_empty() && target.bytes().all(plain)).then(|| Self { target: target.into() })
    }

    /// Its file name in the image.
    pub fn file_name(&self) -> String {
        format!("qemu-{}-static", self.target)
    }
}

/// A rule that a package brings.
#[derive(Clone, Debug)]
pub struct Conf {
    /// The file that it stands in, for messages.
    pub file: String,
    /// The line.
    pub rule: Rule,
}

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
    /// The packages' rules.
    pub confs: Vec<Conf>,
    /// Which masks are wanted.
    pub masks: Masks,
    /// Where all that comes from.
    pub provenance: Provenance,
}

/// One entry that `registrar` may write.
#[derive(Clone, Debug)]
pub struct Handler {
    /// QEMU's name of the target.
    pub target: String,
    /// The platform as container engines write it.
    pub platform: String,
    /// Targets that one CPU may run.
    pub family: String,
    /// File name of the emulator.
    pub emulator: String,
    /// The rule, with the image's path of the emulator and flag `F`.
    pub rule: Rule,
    /// A program that proves it; empty if the target is unknown.
    pub probe: Vec<u8>,
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

/// Something that a maintainer should know, though the table is good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// A conf of an unknown target is used as it is.
    UnknownTarget {
        /// The conf.
        file: String,
        /// The target.
        target: String,
    },
    /// An emulator of an unknown target has no conf: nothing can be registered for it.
    NoRule {
        /// The target.
        target: String,
    },
    /// The packages bring no conf; the rule is computed.
    Computed {
        /// The entry.
        entry: String,
    },
    /// A package's mask was corrected.
    Corrected {
        /// The entry.
        entry: String,
        /// In which places.
        corrections: Vec<Correction>,
    },
}

impl Remark {
    /// Whether the maintainer should act: a target that the source does not know yet.
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::UnknownTarget { .. } | Self::NoRule { .. })
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTarget { file, target } => write!(
                f,
                "{file}: unknown target {target}: its rule is used as packaged, untested; add it to codegen/src/targets.rs"
            ),
            Self::NoRule { target } => write!(
                f,
                "qemu-{target}-static: unknown target without a conf line: it will not be registered; \
                 add it to codegen/src/targets.rs"
            ),
            Self::Computed { entry } => write!(f, "{entry}: not packaged, rule computed"),
            Self::Corrected { entry, corrections } => {
                let names: Vec<_> = corrections.iter().map(|correction| correction.name()).collect();
                write!(f, "{entry}: mask corrected ({})", names.join(", "))
            }
        }
    }
}

/// Why no table can be made: the packages contradict themselves, each other, or what we know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// A conf's interpreter is not among the emulators.
    NoEmulator {
        /// The conf.
        file: String,
        /// The path that it names.
        interpreter: String,
    },
    /// A conf compares other bytes than its target's programs have.
    Disagrees {
        /// The conf.
        file: String,
        /// First differing byte.
        byte: usize,
    },
    /// A conf that goes by extension, which no emulator can.
    NotMagic {
        /// The conf.
        file: String,
    },
    /// Two entries have one name.
    Twice {
        /// The name.
        entry: String,
    },
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
            Self::NoEmulator { file, interpreter } => {
                write!(f, "{file}: no package holds its interpreter {interpreter}")
            }
            Self::Disagrees { file, byte } => write!(
                f,
                "{file}: byte {byte} is not what programs of this target have; either the package is damaged or \
                 codegen/src/targets.rs is out of date"
            ),
            Self::NotMagic { file } => write!(f, "{file}: goes by file name extension, not by ELF header"),
            Self::Twice { entry } => write!(f, "two rules are named {entry}"),
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
            masks: Masks::Corrected,
            provenance: Provenance { qemu_version: String::new(), origin: "no packages, the source alone".into() },
        }
    }
}

impl Table {
    /// Makes the table.
    ///
    /// # Errors
    /// The first contradiction found; see [`TableError`].
    pub fn build(inputs: Inputs) -> Result<Self, TableError> {
        let Inputs { host, emulators, confs, masks, provenance } = inputs;
        let mut remarks = Vec::new();
        let mut handlers = Vec::new();
        for conf in confs {
            handlers.push(from_conf(conf, &emulators, masks, &mut remarks)?);
        }
        for emulator in &emulators {
            match targets::by_qemu_name(&emulator.target) {
                Some(target) => {
                    for &machine in target.machines {
                        let rule = Rule::for_target(target, machine, masks, &interpreter(emulator));
                        if !handlers.iter().any(|handler: &Handler| handler.rule.name == rule.name) {
                            remarks.push(Remark::Computed { entry: rule.name.clone() });
                            handlers.push(of_target(target, machine, emulator, rule)?);
                        }
                    }
                }
                None if handlers.iter().any(|handler| handler.target == emulator.target) => {}
                None => remarks.push(Remark::NoRule { target: emulator.target.clone() }),
            }
        }
        handlers.sort_by(|a, b| a.rule.name.cmp(&b.rule.name));
        check(&handlers, host)?;
        let names = names(&handlers);
        Ok(Self { provenance, handlers, names, remarks })
    }
}

/// The image's path of an emulator.
fn interpreter(emulator: &Emulator) -> String {
    format!("{EMULATOR_DIR}/{}", emulator.file_name())
}

fn of_target(target: &Target, machine: Machine, emulator: &Emulator, rule: Rule) -> Result<Handler, TableError> {
    let probe = probe::executable(target, machine)
        .map_err(|error| TableError::Probe { target: target.qemu.into(), cause: error.to_string() })?;
    Ok(Handler {
        target: target.qemu.into(),
        platform: target.platform(),
        family: target.family.into(),
        emulator: emulator.file_name(),
        rule,
        probe,
    })
}

/// A handler from a package's rule: its bytes held against the target's, its interpreter replaced by the image's path.
fn from_conf(
    conf: Conf,
    emulators: &[Emulator],
    masks: Masks,
    remarks: &mut Vec<Remark>,
) -> Result<Handler, TableError> {
    let Conf { file, mut rule } = conf;
    if rule.compared().is_none() {
        return Err(TableError::NotMagic { file });
    }
    let entry = rule.name.strip_prefix("qemu-").unwrap_or(&rule.name).to_owned();
    let known = targets::by_entry_name(&entry);
    // Distributions give the interpreter paths of their own, so the entry's name tells which emulator is meant.
    let target = known.map_or(entry.as_str(), |(target, _)| target.qemu);
    let Some(emulator) = emulators.iter().find(|emulator| emulator.target == target) else {
        return Err(TableError::NoEmulator { file, interpreter: rule.interpreter });
    };
    rule.interpreter = interpreter(emulator);
    rule.flags = crate::rule::Flags::FIX_BINARY.spelled();
    let Some((target, machine)) = known else {
        remarks.push(Remark::UnknownTarget { file, target: entry.clone() });
        return Ok(Handler {
            platform: format!("linux/{entry}"),
            family: entry.clone(),
            emulator: emulator.file_name(),
            target: entry,
            rule,
            probe: Vec::new(),
        });
    };
    let mut corrected = rule.clone();
    let corrections = corrected.correct(target);
    let computed = Rule::for_target(target, machine, Masks::Corrected, "");
    if let Some(byte) = first_difference(&corrected, &computed) {
        return Err(TableError::Disagrees { file, byte });
    }
    if masks == Masks::Corrected {
        if !corrections.is_empty() {
            remarks.push(Remark::Corrected { entry: rule.name.clone(), corrections });
        }
        rule = corrected;
    }
    of_target(target, machine, emulator, rule)
}

/// Offset of the first byte that only one of the rules compares, or that they compare differently.
fn first_difference(one: &Rule, other: &Rule) -> Option<usize> {
    let (one, other) = (one.compared().unwrap_or_default(), other.compared().unwrap_or_default());
    let only_in = |a: &[(usize, u8, u8)], b: &[(usize, u8, u8)]| a.iter().find(|x| !b.contains(x)).map(|x| x.0);
    only_in(&one, &other).into_iter().chain(only_in(&other, &one)).min()
}

/// What would make registration fail, or be fatal.
fn check(handlers: &[Handler], host: Option<&'static Target>) -> Result<(), TableError> {
    for (index, one) in handlers.iter().enumerate() {
        for other in &handlers[index + 1..] {
            if one.rule.name == other.rule.name {
                return Err(TableError::Twice { entry: one.rule.name.clone() });
            }
            if one.rule.overlaps(&other.rule) {
                return Err(TableError::Overlap { one: one.rule.name.clone(), other: other.rule.name.clone() });
            }
        }
    }
    let Some(host) = host else { return Ok(()) };
    let own = Rule::for_target(host, host.machines[0], Masks::Corrected, "");
    match handlers.iter().find(|handler| handler.target != host.qemu && handler.rule.overlaps(&own)) {
        Some(handler) => Err(TableError::MatchesHost { entry: handler.rule.name.clone(), host: host.qemu }),
        None => Ok(()),
    }
}

/// Every name of every known target, whether the table holds it or not (so that "not in this image" can be told from
/// "unknown"), and those of unknown targets that it holds.
fn names(handlers: &[Handler]) -> BTreeMap<String, String> {
    let known = TARGETS.iter().flat_map(|target| target.all_names().into_iter().map(|name| (name, target.qemu.into())));
    let held = handlers.iter().flat_map(|handler| {
        [handler.target.clone(), handler.rule.name.clone()].map(|name| (name, handler.target.clone()))
    });
    held.chain(known).collect()
}
