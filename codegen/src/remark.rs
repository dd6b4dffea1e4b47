//! What a maintainer should know of a table, in words: notes, and warnings, which a release refuses.

use std::fmt;

use crate::rule::Problem;
use crate::witness::difference::Difference;

/// Something that a maintainer should know, though the table is good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// A conf differs from the rule that is computed for its target, which is used.
    Differs {
        /// The conf.
        file: String,
        /// Where, and why if that is known.
        difference: Difference,
    },
    /// No usable conf is packaged for an entry of a known target.
    NoConf {
        /// The entry.
        entry: String,
    },
    /// A line of a conf cannot be used.
    Unusable {
        /// The conf.
        file: String,
        /// Line number, from 1.
        line: usize,
        /// Why.
        problem: Problem,
    },
    /// A conf without a line.
    Empty {
        /// The conf.
        file: String,
    },
    /// A conf names another entry than its file does.
    OtherName {
        /// The conf.
        file: String,
        /// The name in it.
        name: String,
    },
    /// A conf's interpreter is not the emulator of its entry.
    OtherInterpreter {
        /// The conf.
        file: String,
        /// The path that it names.
        interpreter: String,
        /// The emulator that is used.
        emulator: String,
    },
    /// A second conf of one entry, of which the kernel would take the first.
    Repeated {
        /// The conf.
        file: String,
        /// The conf before it.
        first: String,
    },
    /// A conf's emulator is not packaged: nothing is registered for it.
    NoEmulator {
        /// The conf.
        file: String,
        /// The entry.
        entry: String,
        /// The path that it names.
        interpreter: String,
    },
    /// A conf of an unknown target is used as it is.
    UnknownTarget {
        /// The conf.
        file: String,
        /// The target.
        target: String,
    },
    /// An emulator of an unknown target has no usable conf: nothing can be registered for it.
    NoRule {
        /// The target.
        target: String,
    },
}

impl Remark {
    /// Whether the maintainer should act: packages and `codegen::targets` do not agree, and nobody knows why.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Differs { difference, .. } => difference.reason.is_none(),
            Self::NoConf { .. } => false,
            _ => true,
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { file, difference } => write!(f, "{file}: {difference}"),
            Self::NoConf { entry } => write!(f, "{entry}: no usable conf, the computed rule is used"),
            Self::Unusable { file, line, problem } => write!(f, "{file}:{line}: {problem}; the line is not used"),
            Self::Empty { file } => write!(f, "{file}: holds no rule"),
            Self::OtherName { file, name } => write!(f, "{file}: names its entry {name:?}, unlike the file"),
            Self::OtherInterpreter { file, interpreter, emulator } => {
                write!(f, "{file}: names the interpreter {interpreter:?}; {emulator} is used")
            }
            Self::Repeated { file, first } => write!(f, "{file}: is of the same entry as {first}"),
            Self::NoEmulator { file, entry, interpreter } => write!(
                f,
                "{file}: no package holds the emulator of {entry:?} (interpreter {interpreter:?}); it will not be registered"
            ),
            Self::UnknownTarget { file, target } => write!(
                f,
                "{file}: unknown target {target}: its rule is used as packaged, untested; add it to codegen/src/targets.rs"
            ),
            Self::NoRule { target } => write!(
                f,
                "qemu-{target}-static: unknown target without a usable conf: it will not be registered; \
                 add it to codegen/src/targets.rs"
            ),
        }
    }
}
