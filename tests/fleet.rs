//! Nodes of a simulated fleet: each a user and mount namespace with a `binfmt_misc` of its own, and one process in it,
//! `registrar register --stay`, as a container that stays on each node of a cluster.
//!
//! Starts them, looks at them from outside, takes handlers away, and ends them. What is measured, and what must hold, is
//! for the callers.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::Pid;

use crate::binfmt_misc::{self, DEFAULT_MOUNT_POINT};
use crate::namespace::{self, Users};
use crate::process::{number_after, status_number};

/// First argument of a program that is to become a node: the `registrar` to run follows.
pub const NODE: &str = "--node";

/// First argument of a program that is to enter a node: its process, and what to run there, follow.
pub const WITHIN: &str = "--within-node";

const BINFMTFS_MAGIC: FsType = FsType(0x4249_4e4d);

/// What a node says when its namespace is there and `registrar` begins.
const BEGINS: &str = "begins\n";

/// Becomes a node, or enters one, if the arguments of this program say so; then it does not return but for a failure.
/// To be called first, with a single thread.
pub fn become_node() -> Option<io::Error> {
    let mut arguments = env::args_os().skip(1);
    let command = match arguments.next()?.to_str()? {
        NODE => in_new_node(&arguments.next()?),
        WITHIN => within(&arguments.next()?).map(|()| {
            let mut command = Command::new(arguments.next().unwrap_or_default());
            command.args(arguments);
            command
        }),
        _ => return None,
    };
    Some(command.map_or_else(|error| error, |mut command| command.exec()))
}

/// What runs in a new node, which this process has made and entered.
fn in_new_node(registrar: &OsStr) -> io::Result<Command> {
    namespace::enter_unmounted(Users::One(0))?;
    namespace::mount_binfmt_misc(Path::new(DEFAULT_MOUNT_POINT))?;
    io::stdout().write_all(BEGINS.as_bytes())?;
    let mut command = Command::new(registrar);
    command.args(["register", "--scope=userns", "--stay", "--unregister-on-exit"]).env_remove("BINDIR");
    Ok(command)
}

fn within(process: &OsStr) -> io::Result<()> {
    let namespace = |kind: &str| File::open(Path::new("/proc").join(process).join("ns").join(kind));
    // Opened first: from inside they are another user's.
    let (user, mounts) = (namespace("user")?, namespace("mnt")?);
    setns(user, CloneFlags::CLONE_NEWUSER)?;
    Ok(setns(mounts, CloneFlags::CLONE_NEWNS)?)
}

/// A node whose handlers are registered. Its resident is killed if it is dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    /// Read from until it was ready, and then kept open: it says more when it heals.
    _said: BufReader<ChildStdout>,
    /// The folder of the node's own `binfmt_misc`, which holds that instance: also when the node has ended.
    folder: File,
    /// From the start of its process, namespace and mount included, until it was registered.
    pub start: Duration,
    /// From the start of `registrar` until it was registered.
    pub register: Duration,
}

impl Node {
    /// Starts one, and waits until it says that it has registered. This program must call [`become_node`].
    ///
    /// # Errors
    /// If it ends before, or its `binfmt_misc` is not its own.
    pub fn start(registrar: &Path) -> io::Result<Self> {
        let start = Instant::now();
        let mut command = Command::new(env::current_exe()?);
        command.arg(NODE).arg(registrar).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut printed = BufReader::new(child.stdout.take().ok_or_else(|| io::Error::other("no pipe to a node"))?);
        let mut line = String::new();
        let mut begin = None;
        while !line.contains(" unchanged") {
            line.clear();
            if printed.read_line(&mut line)? == 0 {
                return Err(io::Error::other(format!("a node ended before it was ready: {}", child.wait()?)));
            }
            if line == BEGINS {
                begin = Some(Instant::now());
            }
        }
        let ready = Instant::now();
        let begin = begin.ok_or_else(|| io::Error::other("a node did not say when it began"))?;
        let folder = File::open(format!("/proc/{}/root{DEFAULT_MOUNT_POINT}", child.id()))?;
        is_of_another_instance(&folder)?;
        Ok(Self { child, _said: printed, folder, start: ready - start, register: ready - begin })
    }

    /// The number of the resident's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Which instance of `binfmt_misc` it has: the number of its file system.
    ///
    /// # Errors
    /// If that cannot be asked.
    pub fn instance(&self) -> io::Result<u64> {
        Ok(self.folder.metadata()?.dev())
    }

    /// Which user namespace it is in.
    ///
    /// # Errors
    /// If it has ended.
    pub fn namespace(&self) -> io::Result<PathBuf> {
        fs::read_link(format!("/proc/{}/ns/user", self.id()))
    }

    /// Its folder, by a path that leads to this instance and no other.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd()))
    }

    /// Name and text of every entry, also after its end.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn entries(&self) -> io::Result<BTreeMap<String, String>> {
        binfmt_misc::entries(&self.path())
    }

    /// How many entries there are, without a look at them.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn count(&self) -> io::Result<usize> {
        const OTHERS: usize = 2;
        Ok(fs::read_dir(self.path())?.count() - OTHERS)
    }

    /// Whether there is an entry of this name.
    pub fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// Removes entries of this node, and of nobody else: its folder was found to be its own.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn lose<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> io::Result<()> {
        names.into_iter().try_for_each(|name| fs::write(self.path().join(name), "-1"))
    }

    /// Whether a readiness probe would find it ready: `status --check`, run in the node.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn is_ready(&self, registrar: &Path) -> io::Result<bool> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(WITHIN).arg(self.id().to_string()).arg(registrar).args(["status", "--check", "--quiet"]);
        Ok(command.env_remove("BINDIR").status()?.success())
    }

    /// What its resident has used so far.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn used(&self) -> io::Result<Used> {
        let switches = status_number(self.id(), "voluntary_ctxt_switches:")?;
        // Nanoseconds on a processor, nanoseconds waiting for one, and how often.
        let scheduled = self.process("schedstat")?;
        let time = scheduled.split(' ').next().and_then(|time| time.parse().ok());
        let time = time.ok_or_else(|| io::Error::other(format!("no time in /proc/PID/schedstat: {scheduled:?}")))?;
        Ok(Used { wakeups: switches, time: Duration::from_nanos(time) })
    }

    /// How much memory its resident takes now.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn memory(&self) -> io::Result<Memory> {
        let sums = self.process("smaps_rollup")?;
        let kilobytes = |key| number_after(&sums, key);
        Ok(Memory {
            resident: kilobytes("Rss:")?,
            proportional: kilobytes("Pss:")?,
            private: kilobytes("Private_Dirty:")?,
        })
    }

    fn process(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.id()))
    }

    /// Asks the resident to end, as a container engine does.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub fn terminate(&self) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.id().cast_signed()), Signal::SIGTERM)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used since it began.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// How often it has waited.
    pub wakeups: u64,
    /// On a processor.
    pub time: Duration,
}

/// Memory of a process, in kB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// All that is there for it.
    pub resident: u64,
    /// The same, with what several processes share divided among them.
    pub proportional: u64,
    /// What is its own, and would be on any machine.
    pub private: u64,
}

/// That a folder is an instance of `binfmt_misc`, and not the one of this process.
fn is_of_another_instance(folder: &File) -> io::Result<()> {
    let is_one = fstatfs(folder)?.filesystem_type() == BINFMTFS_MAGIC;
    let ours = fs::metadata(DEFAULT_MOUNT_POINT)?.dev();
    if is_one && folder.metadata()?.dev() != ours {
        return Ok(());
    }
    Err(io::Error::other("a node has no binfmt_misc of its own"))
}

/// Processes that are in one of these user namespaces.
///
/// # Errors
/// If processes cannot be listed.
pub fn processes_in(namespaces: &[PathBuf]) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")? {
        let name = process?.file_name().to_string_lossy().into_owned();
        // Others are no processes, or have ended since.
        if let Ok(namespace) = fs::read_link(format!("/proc/{name}/ns/user"))
            && namespaces.contains(&namespace)
        {
            found.push(name);
        }
    }
    Ok(found)
}

/// When nodes lose handlers, and how long they may take to have them again.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// The last loses them so long after the first.
    pub spread: Duration,
    /// How long to wait for those that do not heal.
    pub patience: Duration,
}

impl Loss {
    /// Takes handlers away from every node, waits until they are there again, and gives how long each node was without.
    ///
    /// # Errors
    /// If a node does not heal, or cannot be looked at.
    pub fn inflict(
        self,
        nodes: &[Node],
        lose: impl Fn(usize, &Node) -> io::Result<()>,
        is_whole: impl Fn(usize, &Node) -> io::Result<bool>,
    ) -> io::Result<Vec<Duration>> {
        /// Short beside what is measured, long beside a look.
        const PAUSE: Duration = Duration::from_millis(10);
        let begin = Instant::now();
        let share = self.spread.div_f64(nodes.len().max(1) as f64);
        let mut lost = vec![None; nodes.len()];
        let mut healed = vec![None; nodes.len()];
        while healed.iter().any(Option::is_none) {
            for (index, node) in nodes.iter().enumerate() {
                match lost[index] {
                    _ if healed[index].is_some() => {}
                    None if begin.elapsed() >= share.mul_f64(index as f64) => {
                        lost[index] = Some(Instant::now());
                        lose(index, node)?;
                    }
                    Some(moment) if is_whole(index, node)? => healed[index] = Some(moment.elapsed()),
                    _ => {}
                }
            }
            if begin.elapsed() > self.spread + self.patience {
                let ill = healed.iter().filter(|healed| healed.is_none()).count();
                return Err(io::Error::other(format!("{ill} of {} nodes do not heal", nodes.len())));
            }
            thread::sleep(PAUSE);
        }
        Ok(healed.into_iter().flatten().collect())
    }
}
