//! Where a conf differs from the rule computed for its target, and whether the reason is known.
//!
//! The reasons are of conf files of QEMU 7.2 to 11.1, upstream's and Debian's; most of them are kept in
//! `tests/data/binfmt`, and a test holds each against the targets.

use std::fmt;
use std::ops::RangeInclusive;

use crate::rule::{Byte, Rule};

/// Neighbouring bytes in which a conf differs in the same way from the computed rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Offset of the first byte.
    pub first: usize,
    /// Offset of the last byte.
    pub last: usize,
    /// What the conf has.
    pub conf: Byte,
    /// What the computed rule has.
    pub computed: Byte,
    /// Why, if that is known.
    pub reason: Option<&'static str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, conf, computed, reason } = self;
        match first == last {
            true => write!(f, "byte {first} is ")?,
            false => write!(f, "bytes {first} to {last} are ")?,
        }
        let reason = reason.unwrap_or("no known reason, the computed rule is used");
        write!(f, "{conf}, computed: {computed}; {reason}")
    }
}

/// A known difference.
struct Known {
    /// Entry names without `qemu-`; empty for all.
    entries: &'static [&'static str],
    bytes: RangeInclusive<usize>,
    conf: Byte,
    reason: &'static str,
}

const fn byte(magic: u8, mask: u8) -> Byte {
    Byte { magic, mask }
}

/// Entries whose `e_flags` are compared, by byte order.
const MIPS_BIG: &[&str] = &["mips", "mipsn32"];
const MIPS_LITTLE: &[&str] = &["mipsel", "mipsn32el"];

const VERSION: &str = "e_version is 1 in every ELF file, so it is not compared";

const KNOWN: &[Known] = &[
    Known {
        entries: &["alpha", "i386", "i486", "x86_64"],
        bytes: 5..=6,
        conf: byte(1, 0xfe),
        reason: "QEMU leaves out the low bit of byte order and ELF version, which are compared in full",
    },
    Known {
        entries: &["m68k"],
        bytes: 6..=6,
        conf: byte(1, 0xfe),
        reason: "QEMU leaves out the low bit of the ELF version, which is compared in full",
    },
    Known {
        entries: &[
            "i386",
            "loongarch64",
            "ppc",
            "ppc64",
            "ppc64le",
            "s390x",
            "sh4",
            "sh4eb",
            "sparc",
            "sparc32plus",
            "sparc64",
            "x86_64",
        ],
        bytes: 7..=7,
        conf: byte(0, 0xfc),
        reason: "Debian (and QEMU for loongarch64) matches OSABI 0 to 3; OSABI is not compared",
    },
    Known {
        entries: &[],
        bytes: 8..=15,
        conf: byte(0, 0xff),
        reason: "ABI version and padding are not compared: AppImages and gcc -mplt write there",
    },
    Known {
        entries: &["mips", "mips64", "mips64el", "mipsel", "mipsn32", "mipsn32el"],
        bytes: 8..=8,
        conf: byte(0, 0xfe),
        reason: "Debian 12 matches ABI versions 0 and 1; the ABI version is not compared",
    },
    Known {
        entries: &["microblaze"],
        bytes: 16..=16,
        conf: byte(2, 0xfe),
        reason: "QEMU has e_type of this big-endian target in little-endian order, and matches none of its programs",
    },
    Known {
        entries: &["microblaze"],
        bytes: 17..=17,
        conf: byte(0, 0xff),
        reason: "QEMU has e_type of this big-endian target in little-endian order, and matches none of its programs",
    },
    Known {
        entries: &["ppc64le"],
        bytes: 19..=19,
        conf: byte(0, 0),
        reason: "QEMU does not compare the high byte of e_machine, which is compared in full",
    },
    Known { entries: MIPS_BIG, bytes: 20..=22, conf: byte(0, 0xff), reason: VERSION },
    Known { entries: MIPS_BIG, bytes: 23..=23, conf: byte(1, 0xff), reason: VERSION },
    Known { entries: MIPS_BIG, bytes: 23..=23, conf: byte(0, 0), reason: VERSION },
    Known { entries: MIPS_LITTLE, bytes: 20..=20, conf: byte(1, 0xff), reason: VERSION },
    Known { entries: MIPS_LITTLE, bytes: 20..=20, conf: byte(0, 0), reason: VERSION },
    Known { entries: MIPS_LITTLE, bytes: 21..=23, conf: byte(0, 0xff), reason: VERSION },
];

impl Known {
    fn explains(&self, entry: &str, at: usize, conf: Byte) -> bool {
        let is_of_entry = self.entries.is_empty() || self.entries.contains(&entry);
        is_of_entry && self.bytes.contains(&at) && self.conf == conf
    }
}

/// Where a conf's rule differs from the one computed for `entry` (without `qemu-`), also in bits that neither compares:
/// those say that the conf has changed.
pub(super) fn between(entry: &str, conf: &Rule, computed: &Rule) -> Vec<Difference> {
    let mut differences: Vec<Difference> = Vec::new();
    for at in 0..conf.end().max(computed.end()) {
        let (conf, computed) = (conf.at(at), computed.at(at));
        if conf == computed {
            continue;
        }
        let reason = KNOWN.iter().find(|known| known.explains(entry, at, conf)).map(|known| known.reason);
        match differences.last_mut() {
            Some(run) if run.last + 1 == at && (run.conf, run.computed, run.reason) == (conf, computed, reason) => {
                run.last = at;
            }
            _ => differences.push(Difference { first: at, last: at, conf, computed, reason }),
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rule::parse_conf;
    use crate::targets;

    const CONFS: &[&[u8]] = &[
        include_bytes!("../../../tests/data/binfmt/qemu-10.2.2.conf"),
        include_bytes!("../../../tests/data/binfmt/debian-7.2.conf"),
        include_bytes!("../../../tests/data/binfmt/debian-10.0.conf"),
        include_bytes!("../../../tests/data/binfmt/debian-11.1.conf"),
    ];

    /// A reason for what no conf has would hide a fault.
    #[test]
    fn every_known_difference_is_in_some_real_conf() {
        let mut seen = BTreeSet::new();
        for (_, line) in CONFS.iter().flat_map(|text| parse_conf(text)) {
            let line = line.expect("a rule");
            let entry = line.name.strip_prefix("qemu-").expect(&line.name);
            let (target, machine) = targets::by_entry_name(entry).expect(entry);
            let computed = Rule::for_target(target, machine);
            for at in 0..line.rule.end().max(computed.end()) {
                let Byte { magic, mask } = line.rule.at(at);
                seen.insert((machine.name, at, magic, mask));
            }
        }
        for known in KNOWN {
            let Byte { magic, mask } = known.conf;
            for at in known.bytes.clone() {
                let is_seen = |entry: &str| seen.contains(&(entry, at, magic, mask));
                let (all, some) = (known.entries.iter().all(|&entry| is_seen(entry)), !known.entries.is_empty());
                let any = seen.iter().any(|&(_, seen_at, ..)| seen_at == at);
                assert!(if some { all } else { any }, "byte {at}: {}", known.reason);
            }
        }
    }
}
