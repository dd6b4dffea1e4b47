//! What no rule may take: programs of the machine itself. One that did would start an emulator for each of them, or fail
//! every exec with ELOOP, and only a process that is already running could undo it.

use nix::errno::Errno;

use crate::elf::header::ElfHeader;
use crate::native::{EXECUTED, Emulation, beginning};
use crate::sys::errno;
use crate::table::Handler;

/// There on a host, and in most containers.
const SHELL: &str = "/bin/sh";

/// Beginnings of programs that must go on running as they are.
pub(crate) struct Guard {
    /// Of this program, as what the kernel has executed tells.
    pub(crate) emulation: Option<Emulation>,
    natives: Vec<(&'static str, ElfHeader)>,
}

impl Guard {
    /// Reads what the kernel has executed, a program of the machine in any container, and others of the machine if they are there.
    pub(crate) fn new() -> Result<Self, Errno> {
        let own = beginning(EXECUTED).map_err(|error| errno(&error))?;
        let mut natives: Vec<_> = own.kinds().map(|kind| ("programs of this machine", kind)).into();
        let emulation = Emulation::of(&own);
        natives.push((EXECUTED, own));
        natives.extend(beginning(SHELL).ok().map(|shell| (SHELL, shell)));
        Ok(Self { emulation, natives })
    }

    /// Adds programs of `handler`'s target, which turned out to run natively.
    pub(crate) fn add(&mut self, handler: &'static Handler) {
        self.natives.push((handler.platform, ElfHeader::of(handler.probe)));
    }

    /// What the handler's rule would take from the machine.
    pub(crate) fn taken_by(&self, handler: &Handler) -> Option<&'static str> {
        self.natives.iter().find(|(_, native)| handler.matches(native.bytes())).map(|&(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::HOST;
    use crate::table::TABLE;

    #[test]
    fn of_the_whole_table_only_the_machines_own_rule_takes_its_programs() {
        let guard = Guard::new().expect("this program");
        for handler in TABLE.handlers {
            assert_eq!(guard.taken_by(handler).is_some(), handler.target == HOST, "{}", handler.name);
        }
    }

    #[test]
    fn rules_that_are_too_wide_are_noticed() {
        const WIDE: [(&[u8], &[u8], bool); 5] = [
            (b"\x7fELF", b"\xff\xff\xff\xff", true),
            (b"\x7fELF\x00", b"\xff\xff\xff\xff\x00", true),
            (b"\0\0", b"\0\0", true),
            (b"\x7fELG", b"\xff\xff\xff\xff", false),
            (b"", b"", false),
        ];
        let guard = Guard::new().expect("this program");
        let some = TABLE.handlers.iter().find(|handler| handler.target != HOST).expect("a handler");
        for (magic, mask, expected) in WIDE {
            let handler = Handler { offset: 0, magic, mask, ..*some };
            assert_eq!(guard.taken_by(&handler).is_some(), expected, "{magic:?}");
        }
    }

    #[test]
    fn what_runs_natively_is_guarded_too() {
        let mut guard = Guard::new().expect("this program");
        let foreign = TABLE.handlers.iter().find(|handler| handler.target != HOST).expect("a handler");
        guard.add(foreign);
        assert_eq!(guard.taken_by(foreign), Some(foreign.platform));
    }
}
