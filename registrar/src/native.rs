//! What this machine runs itself: its own architecture, for which this program is compiled unless it is emulated, and the
//! members of its family, which only the kernel can tell, since an aarch64 CPU may lack 32-bit ARM and a kernel may lack its support.
//!
//! The kernel is asked by an exec of this very process that cannot succeed: a program whose header is good but whose
//! file ends too early. A loader that takes the architecture reads on and reports EIO; if none does, it is ENOEXEC.
//! Running a whole program would say the same for five times the system calls and a wait for the scheduler, which on a
//! busy machine takes longer than all the rest of a registration.

use std::ffi::CStr;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{execve, execveat};

use crate::arch::{ELF, FAMILY, HOST};
use crate::elf;
use crate::elf::header::BINPRM_BUF_SIZE;
use crate::security::SecurityModule;
use crate::sys::{self, errno_text};
use crate::table::{Handler, TABLE};

/// The file that this process executes. An emulator lets this name lead to the program that it runs.
const OWN: &str = "/proc/self/exe";

/// The same, of which no emulator knows: this name leads to the file that the kernel executed.
const EXECUTED: &str = "/proc/thread-self/exe";

/// The kernel's names for programs in memory are in here.
const DESCRIPTORS: &str = "/dev/fd";

/// That an emulator runs this program: what it is compiled for is not what the machine is.
///
/// A rule for the machine's own programs, which are foreign ones to it, would take all of them from the machine; and the
/// emulators that come with it would need one themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Emulation {
    /// The handler of the machine's own programs, if the table has it.
    machine: Option<&'static Handler>,
}

impl Emulation {
    /// That of this process, if it is emulated. Where `/proc` cannot be read, nothing says that it is.
    pub(crate) fn current() -> Option<Self> {
        let [own, executed] = [OWN, EXECUTED].map(|path| fs::read_link(path).ok());
        if own == executed {
            return None;
        }
        let mut header = [0; BINPRM_BUF_SIZE];
        let length = File::open(EXECUTED).and_then(|mut file| file.read(&mut header)).ok()?;
        let executed = &header[..length];
        let machine = || TABLE.handlers.iter().find(|handler| handler.rule.matches(executed));
        (!elf::is_ours(executed)).then(|| Self { machine: machine() })
    }
}

impl fmt::Display for Emulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this image is for {HOST}, and emulated here as its emulators would be; run the machine's own")?;
        match self.machine {
            Some(machine) => write!(f, ": --platform {}", machine.platform),
            None => Ok(()),
        }
    }
}

/// Whether programs of a target need a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NativeSupport {
    /// They do not run by themselves.
    Needed,
    /// They run natively, were there no entry.
    Native,
    /// The kernel gave another answer.
    Unknown(String),
}

/// What is known of each target; the kernel is asked once for each.
pub(crate) struct NativeSupportCache {
    /// Of the machine: the target that is its own, and its family.
    own: (&'static str, &'static str),
    known: Vec<(&'static str, NativeSupport)>,
}

impl Default for NativeSupportCache {
    fn default() -> Self {
        Self::new(Emulation::current())
    }
}

impl NativeSupportCache {
    /// On a machine that runs this program by itself, or by emulation.
    pub(crate) fn new(emulation: Option<Emulation>) -> Self {
        let own = match emulation {
            None => (HOST, FAMILY),
            Some(Emulation { machine }) => machine.map_or_else(Default::default, |own| (own.target, own.family)),
        };
        Self { own, known: Vec::new() }
    }

    /// Whether programs of the handler's target need it.
    pub(crate) fn of(&mut self, handler: &Handler) -> NativeSupport {
        let (own, family) = self.own;
        if handler.target == own {
            return NativeSupport::Native;
        }
        if handler.family != family {
            return NativeSupport::Needed;
        }
        if let Some((_, support)) = self.known.iter().find(|(target, _)| *target == handler.target) {
            return support.clone();
        }
        let support = match ask_kernel(&unfinished(handler.probe)) {
            Ok(Errno::EIO) => NativeSupport::Native,
            Ok(Errno::ENOEXEC) => NativeSupport::Needed,
            // Linux 5.10 with TOMOYO looks up the name that it has for a program in memory.
            Ok(Errno::ENOENT) if !Path::new(DESCRIPTORS).exists() => {
                NativeSupport::Unknown(format!("no {DESCRIPTORS} here; ln -s /proc/self/fd {DESCRIPTORS}"))
            }
            Ok(Errno::ENOENT) => NativeSupport::Unknown("an entry takes any program of this kind".into()),
            Ok(errno @ (Errno::EACCES | Errno::EPERM)) => {
                NativeSupport::Unknown(format!("{}; {}", errno_text(errno), SecurityModule::suspicion()))
            }
            Ok(errno) => NativeSupport::Unknown(errno_text(errno)),
            Err(errno) => NativeSupport::Unknown(format!("making a program in memory: {}", errno_text(errno))),
        };
        self.known.push((handler.target, support.clone()));
        support
    }
}

/// Those of the handlers that are for programs which this machine does not run itself.
pub(crate) fn foreign_handlers(handlers: impl IntoIterator<Item = &'static Handler>) -> Vec<&'static Handler> {
    let mut native_support = NativeSupportCache::default();
    let is_needed = |handler: &&Handler| handler.target != HOST && native_support.of(handler) == NativeSupport::Needed;
    handlers.into_iter().filter(is_needed).collect()
}

/// The test program with its only segment made the name of an ELF interpreter, which the missing last byte is part of.
/// Loaders read that name right after they have accepted the header, and before anything of this process is gone.
///
/// Its ELF version is none that exists. No loader looks at that, but every rule does, so that the kernel can be asked
/// although entries serve the target. (It differs from 1 in more than the lowest bit, which some masks leave out.)
fn unfinished(probe: &[u8]) -> Vec<u8> {
    const PT_INTERP: u8 = 3;
    const EI_VERSION: usize = 6;
    let mut program = probe.to_vec();
    program.pop();
    if let Some(version) = program.get_mut(EI_VERSION) {
        *version = 2;
    }
    if let Some(kind) = program.get_mut(segment_kind(probe)) {
        *kind = PT_INTERP;
    }
    program
}

/// Where the low byte of the first segment's type is: the program header follows the file header, and begins with it.
fn segment_kind(probe: &[u8]) -> usize {
    let is_64_bit = probe.get(4) == Some(&2);
    let is_big_endian = probe.get(5) == Some(&2);
    (if is_64_bit { 64 } else { 52 }) + (if is_big_endian { 3 } else { 0 })
}

/// The same of this machine, whichever handlers there are: a header with a segment, which the file ends before.
pub(crate) fn unfinished_own() -> Vec<u8> {
    let (class, data, machine) = ELF;
    let header =
        [b"\x7fELF".as_slice(), &[class, data, 2], &[0; 9], &2u16.to_ne_bytes(), &machine.to_ne_bytes()].concat();
    let offsets =
        [1u32.to_ne_bytes().as_slice(), &[0; 8], &64u64.to_ne_bytes(), &[0; 12], &64u16.to_ne_bytes()].concat();
    let numbers = [56u16, 1, 0, 0, 0].map(u16::to_ne_bytes).concat();
    let segment = [4096u64, 0, 0, 2, 2, 1].map(u64::to_ne_bytes).concat();
    let segment = [3u32.to_ne_bytes().as_slice(), &[0; 4], &segment].concat();
    [header, offsets, numbers, segment].concat()
}

/// Why programs of this machine itself may not be executed at `path`, where [`unfinished_own`] is.
pub(crate) fn exec_refusal(path: &Path) -> Option<Errno> {
    match path.with_nix_path(|path| execve(path, &[c"probe"], &[] as &[&CStr])).flatten() {
        Err(Errno::EIO | Errno::ENOEXEC) => None,
        Err(errno) => Some(errno),
        Ok(never) => match never {},
    }
}

/// What the kernel says to a program that is a file in memory only; an error if there can be no such file.
///
/// Close-on-exec keeps an entry that takes it all the same from replacing this process by an emulator: `binfmt_misc`
/// answers ENOENT where the emulator could not open the program.
fn ask_kernel(program: &[u8]) -> Result<Errno, Errno> {
    let memory = sys::program(program)?;
    match execveat(&memory, c"", &[c"probe"], &[] as &[&CStr], AtFlags::AT_EMPTY_PATH) {
        Err(errno) => Ok(errno),
        Ok(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Rule, TABLE};

    #[test]
    fn every_probe_has_its_segment_where_it_is_sought() {
        const PT_LOAD: u8 = 1;
        for handler in TABLE.handlers {
            assert_eq!(handler.probe[segment_kind(handler.probe)], PT_LOAD, "{}", handler.name);
        }
    }

    #[test]
    fn the_kernel_knows_its_own_architecture_and_no_other_family() {
        for handler in TABLE.handlers {
            let answer = ask_kernel(&unfinished(handler.probe));
            if handler.target == HOST {
                assert_eq!(answer, Ok(Errno::EIO));
                assert_eq!(ask_kernel(&unfinished_own()), Ok(Errno::EIO));
            } else if handler.family != FAMILY {
                assert_eq!(answer, Ok(Errno::ENOEXEC), "{}", handler.name);
            }
        }
    }

    #[test]
    fn no_rule_takes_what_the_kernel_is_asked_about() {
        for handler in TABLE.handlers {
            // As corrected, and as QEMU's own masks of the x86 and some other rules are.
            let Rule { offset, magic, mask } = handler.rule;
            let mut upstream = mask.to_vec();
            upstream[6] = 0xfe;
            for mask in [mask, &upstream] {
                let rule = Rule { offset, magic, mask };
                assert!(rule.matches(handler.probe));
                assert!(!rule.matches(&unfinished(handler.probe)), "{}", handler.name);
            }
        }
    }
}
