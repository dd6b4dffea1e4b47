//! Confs as witnesses: of a known target's rule, which is computed, and of an unknown one's, which is theirs alone.
//!
//! A bad witness costs a remark and never the table. Where a conf and a computed rule differ is in `difference`.

use std::collections::BTreeMap;

use crate::handler::{Emulator, Handler};
use crate::remark::Remark;
use crate::rule::{ConfLine, Problem, Rule, limits, parse_conf};
use crate::targets;

pub(crate) mod difference;

pub use difference::Difference;

/// A conf file that a package brings.
#[derive(Clone, Debug)]
pub struct Conf {
    /// Its name, for messages; `qemu-ENTRY.conf` tells what entry it is of.
    pub file: String,
    /// What is in it.
    pub text: Vec<u8>,
}

impl Conf {
    /// The entry that the file's name tells, without `qemu-`. Fedora's names end in `-static.conf`, Debian's do not.
    fn entry(&self) -> Option<String> {
        let name = self.file.rsplit('/').next()?.strip_suffix(".conf")?;
        Emulator::from_file_name(name).map(|emulator| emulator.target)
    }
}

/// What the confs say together.
#[derive(Debug, Default)]
pub(crate) struct Checked<'a> {
    /// The first conf of each entry, by the entry's name without `qemu-`.
    pub(crate) entries: BTreeMap<String, &'a str>,
    /// Handlers of unknown targets.
    pub(crate) handlers: Vec<Handler>,
    pub(crate) remarks: Vec<Remark>,
}

/// Checks each conf against the targets and the packaged emulators.
pub(crate) fn check<'a>(confs: &'a [Conf], emulators: &[Emulator]) -> Checked<'a> {
    let mut checked = Checked::default();
    for conf in confs {
        let mut lines = parse_conf(&conf.text).peekable();
        if lines.peek().is_none() {
            checked.remarks.push(Remark::Empty { file: conf.file.clone() });
        }
        for (line, result) in lines {
            if let Err(problem) = result.and_then(|line| checked.add(conf, line, emulators)) {
                checked.remarks.push(Remark::Unusable { file: conf.file.clone(), line, problem });
            }
        }
    }
    checked
}

impl<'a> Checked<'a> {
    /// Adds one line.
    fn add(&mut self, conf: &'a Conf, line: ConfLine, emulators: &[Emulator]) -> Result<(), Problem> {
        let ConfLine { name, rule, interpreter } = line;
        let file = || conf.file.clone();
        let packaged = |target: &str| emulators.iter().find(|emulator| emulator.target == target);
        let of_file = conf.entry();
        if of_file.as_ref().is_some_and(|entry| name != format!("qemu-{entry}")) {
            self.remarks.push(Remark::OtherName { file: file(), name: name.clone() });
        }
        // Distributions give the interpreter paths of their own, so the entry's name tells which emulator is meant.
        let named = name.strip_prefix("qemu-").unwrap_or(&name).to_owned();
        let is_meant = targets::by_entry_name(&named).is_some() || packaged(&named).is_some();
        let entry = of_file.filter(|_| !is_meant).unwrap_or(named);
        let known = targets::by_entry_name(&entry);
        let target = known.map_or(entry.as_str(), |(target, _)| target.qemu);
        let Some(emulator) = packaged(target) else {
            self.remarks.push(Remark::NoEmulator { file: file(), entry, interpreter });
            return Ok(());
        };
        // qemu-arm-static, qemu-arm, arm-binfmt-P
        let program = interpreter.rsplit('/').next().unwrap_or_default();
        if program.split('-').all(|part| part != target) {
            let emulator = emulator.file_name();
            self.remarks.push(Remark::OtherInterpreter { file: file(), interpreter, emulator });
        }
        let is_first = match self.entries.get(&entry) {
            Some(&first) => {
                self.remarks.push(Remark::Repeated { file: file(), first: first.into() });
                false
            }
            None => self.entries.insert(entry.clone(), &conf.file).is_none(),
        };
        match known {
            Some((target, machine)) => {
                let differences = difference::between(machine.name, &rule, &Rule::for_target(target, machine));
                self.remarks
                    .extend(differences.into_iter().map(|difference| Remark::Differs { file: file(), difference }));
            }
            None if is_first => {
                let handler = Handler::of_unknown(entry.clone(), emulator, rule);
                // Written out, a byte takes up to four.
                let length = handler.line().len();
                if length > limits::LONGEST_LINE {
                    return Err(Problem::TooLong(length));
                }
                self.handlers.push(handler);
                self.remarks.push(Remark::UnknownTarget { file: file(), target: entry });
            }
            None => {}
        }
        Ok(())
    }
}
