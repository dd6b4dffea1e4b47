//! That `registrar` needs no capability in a container: as documented it has none, and where it has them, the kernel looks
//! for none.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tests::docker::Docker;
use tests::host::Host;

use crate::privilege::{DOCUMENTED, Engine, Scratch, VOLUME, podman};
use crate::trace::{Check, Trace};

/// All capabilities, but for one that a build machine may lack.
const ALL: &[&str] = &["--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--network=none", VOLUME];

/// How long a container may take to start on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a user lacks who may not write the file: CAP_DAC_OVERRIDE.
const OVERRIDE: u32 = 1;

#[test]
fn the_kernel_looks_for_no_capability() {
    let scratch = Scratch::new();
    let host = Host::mounted();
    // What the engines start is seen from their beginning on.
    let trace = Trace::begin("registrar");
    let podman = podman();
    podman.run(&["import", "--quiet", scratch.archive(), "localhost/small"]);
    let docker = Docker::new(&scratch.folder.path().join("docker"));
    docker.run(&["import", scratch.archive(), "localhost/small"]);
    let engines: [(&str, &dyn Fn() -> Command); 2] =
        [("podman", &|| podman.command()), ("docker", &|| docker.command())];
    for (name, command) in engines {
        let engine = Engine { host: &host, hello: &scratch.hello, name, command };
        // Also those that it could get.
        assert_eq!(engine.sets_of_a_resident(), [0; 5], "{name}: capabilities of a container as documented");
        trace.take();
        engine.asks_for_nothing(&trace, DOCUMENTED);
        engine.asks_for_nothing(&trace, ALL);

        // And it would have shown.
        engine.run(&[DOCUMENTED, &["--user=1000:1000"]].concat(), &["register", "arm64"]);
        let seen = trace.take();
        assert!(seen.checks.iter().any(|check| check.capability == OVERRIDE && !check.is_held), "{seen:?}");
        assert_ne!(seen.refused, [], "{name}");
    }
}

impl Engine<'_> {
    /// The capabilities of a registrar that stays in a container as documented: inheritable, permitted, effective, bounding
    /// and ambient ones.
    fn sets_of_a_resident(&self) -> [u64; 5] {
        let call = |words: &[&str]| {
            let output = (self.command)().args(words).stdin(Stdio::null()).output().expect("running the engine");
            let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert!(output.status.success(), "{} {words:?}: {out}{err}", self.name);
            out.trim().to_owned()
        };
        let run = ["run", "--detach", "--pull=never"];
        let id = call(&[&run, DOCUMENTED, &["localhost/small", "/registrar", "register", "arm64", "--stay"]].concat());
        let start = Instant::now();
        while !self.runs() && start.elapsed() < TIMEOUT {
            thread::sleep(Duration::from_millis(50));
        }
        let (runs, process) = (self.runs(), call(&["inspect", "--format={{.State.Pid}}", &id]));
        let sets = sets(&process);
        call(&["rm", "--force", &id]);
        assert!(runs, "{}: a resident has registered nothing in {TIMEOUT:?}", self.name);
        println!(
            "{}: a resident's inheritable, permitted, effective, bounding and ambient sets: {sets:x?}\n",
            self.name
        );
        self.run(DOCUMENTED, &["unregister", "arm64"]);
        sets
    }

    /// Registers and unregisters, and fails if the kernel looked for any capability or refused anything.
    fn asks_for_nothing(&self, trace: &Trace, options: &[&str]) {
        for command in ["register", "unregister"] {
            let (code, _, err) = self.run(options, &[command, "arm64"]);
            assert_eq!((code, err.as_str()), (Some(0), ""), "{} {options:?}", self.name);
            let seen = trace.take();
            let of_memory: Vec<_> = seen.checks.iter().filter(|check| check.is_for_memory()).collect();
            let is_its_own = |check: &Check| of_memory.iter().any(|other| other.credentials == check.credentials);
            let others: Vec<_> = seen.checks.iter().filter(|check| !check.is_for_memory()).collect();
            // An image's file system looks into its layers as who has mounted it: the engine.
            let (own, engines): (Vec<_>, Vec<_>) = others.into_iter().partition(|check| is_its_own(check));
            println!(
                "{} system calls, {} refused; capabilities looked for: {}; for mappings of memory, as of every program: {}, \
                 held {}; of the engine, for what it has mounted: {}\n",
                seen.calls,
                seen.refused.len(),
                own.len(),
                of_memory.len(),
                of_memory.iter().filter(|check| check.is_held).count(),
                engines.len()
            );
            assert!(own.is_empty() && seen.refused.is_empty(), "{}: {own:?} {:?}", self.name, seen.refused);
            assert!(!of_memory.is_empty() && seen.calls > 0, "{}: nothing was traced", self.name);
            let is_of_the_image = |check: &&Check| check.asked_by.iter().any(|function| function.starts_with("ovl_"));
            assert!(engines.iter().all(is_of_the_image), "{}: {engines:?}", self.name);
        }
    }
}

/// The five sets of a process.
pub(crate) fn sets(process: &str) -> [u64; 5] {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("a process's status");
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| {
        let set = text.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(':')).expect(set);
        u64::from_str_radix(set.trim(), 16).expect("a set in hexadecimal digits")
    })
}
