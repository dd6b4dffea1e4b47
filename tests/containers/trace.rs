//! What a program asks of the kernel, in whatever container it runs: which capabilities the kernel looked for on its
//! behalf, and which system calls it refused. The kernel's own trace points tell, so that nothing is changed in the
//! container or on its command line.

use std::fs;
use std::path::PathBuf;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::gettid;
use tempfile::TempDir;

/// The kernel's part that traces for one test at a time: the one that has the lock on the host.
const INSTANCE: &str = "instances/registrar-test";

/// Trace point of each capability check, since Linux 6.14.
const CAPABILITY: &str = "events/capability/cap_capable";

/// Trace point of each system call's result.
const RESULT: &str = "events/raw_syscalls/sys_exit";

/// In each mapping of memory, of whatever program, the kernel asks whether root's reserve is open to it, and goes on
/// whatever the answer.
const MEMORY: &str = "vm_enough_memory";

/// EPERM and EACCES.
const REFUSALS: [i64; 2] = [-1, -13];

/// A capability that the kernel looked for.
#[derive(Debug)]
pub(crate) struct Check {
    /// Its number.
    pub(crate) capability: u32,
    pub(crate) is_held: bool,
    /// Whose they are: the program's, or others that the kernel has put on for a moment.
    pub(crate) credentials: String,
    /// The kernel's functions on the way there, the last first.
    pub(crate) asked_by: Vec<String>,
}

impl Check {
    /// Whether every program is asked that.
    pub(crate) fn is_for_memory(&self) -> bool {
        self.asked_by.iter().any(|function| function.contains(MEMORY))
    }
}

/// All that showed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) checks: Vec<Check>,
    /// How many system calls there were.
    pub(crate) calls: usize,
    /// Number and result of those that were refused.
    pub(crate) refused: Vec<(i64, i64)>,
}

/// The kernel's trace points, on until this is dropped.
pub(crate) struct Trace {
    mount: TempDir,
}

impl Trace {
    /// Of programs of this name that are started by this thread from now on, or by anything that it starts.
    pub(crate) fn begin(name: &str) -> Self {
        let trace = Self { mount: tempfile::tempdir().expect("a folder") };
        let root = trace.mount.path();
        mount(Some("tracefs"), root, Some("tracefs"), MsFlags::empty(), None::<&str>)
            .expect("mounting tracefs; are you root?");
        // Left by a run that was killed.
        let _ = fs::remove_dir(trace.folder());
        fs::create_dir(trace.folder()).expect("an instance of tracefs");
        assert!(
            trace.folder().join(CAPABILITY).exists(),
            "this kernel does not tell which capabilities it looks for: Linux 6.14 or later is needed"
        );
        trace.write("options/stacktrace", "1");
        trace.write("options/event-fork", "1");
        trace.write("set_event_pid", &gettid().to_string());
        for event in [CAPABILITY, RESULT] {
            trace.write(&format!("{event}/filter"), &format!("comm == \"{name}\""));
            trace.write(&format!("{event}/enable"), "1");
        }
        trace
    }

    /// What has shown since the beginning, or since this was asked for.
    pub(crate) fn take(&self) -> Seen {
        let text = fs::read_to_string(self.folder().join("trace")).expect("what was traced");
        self.write("trace", "");
        let kept = text.lines().find_map(|line| line.strip_prefix("# entries-in-buffer/entries-written: "));
        let (kept, written) =
            kept.and_then(|counts| counts.split_whitespace().next()?.split_once('/')).expect("counts");
        assert_eq!(kept, written, "more was traced than the kernel keeps");
        seen(&text)
    }

    fn folder(&self) -> PathBuf {
        self.mount.path().join(INSTANCE)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder().join(file);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Not made, if that was what failed.
        let _ = fs::remove_dir(self.folder());
        let _ = umount2(self.mount.path(), MntFlags::MNT_DETACH);
    }
}

/// Reads the kernel's text, in which an event is a line, and each is followed by a line for each function of its stack.
fn seen(text: &str) -> Seen {
    let mut seen = Seen::default();
    let mut is_check = false;
    for line in text.lines() {
        if let Some((_, check)) = line.split_once(": cap_capable: ") {
            let number = |key| {
                let (_, rest) = check.split_once(key)?;
                rest.split(',').next()?.trim().parse::<i32>().ok()
            };
            let (capability, result) = (number(", cap ").expect(line), number(", ret ").expect(line));
            let credentials = check.split(',').next().expect(line).into();
            let capability = capability.try_into().expect(line);
            seen.checks.push(Check { capability, is_held: result == 0, credentials, asked_by: Vec::new() });
            is_check = true;
        } else if let Some((_, exit)) = line.split_once(": sys_exit: NR ") {
            let (number, result) = exit.split_once(" = ").expect(line);
            let result = result.trim().parse().expect(line);
            seen.calls += 1;
            if REFUSALS.contains(&result) {
                seen.refused.push((number.parse().expect(line), result));
            }
            is_check = false;
        } else if let (true, Some(function), Some(check)) =
            (is_check, line.strip_prefix(" => "), seen.checks.last_mut())
        {
            // Down to the one that looks for the capability, these are of the tracing.
            if function == "cap_capable" {
                check.asked_by.clear();
            } else {
                check.asked_by.push(function.into());
            }
        }
    }
    seen
}
