//! Many registrars and unregistrars at once, in one container and in two: what is left is what some order of them
//! would leave, and none of them fails. And two of them on a host that has no `binfmt_misc` mounted, which both must
//! refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::umount;
use nix::sched::{CloneFlags, unshare};
use tests::emulators::TARGETS;
use tests::{binfmt_misc, namespace, random};

use crate::sandbox::{CommandResult, SCOPE, Sandbox, host};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("concurrent/in_one_container", |sandbox| in_containers(sandbox, 1)),
    test("concurrent/in_two_containers", |sandbox| in_containers(sandbox, 2)),
    Test { mounted: false, ..test("concurrent/two_that_would_disappear", two_that_would_disappear) },
];

const ROUNDS: usize = 100;

/// How many run at once.
const RUNS: usize = 50;

/// How many of those want the same.
const TWINS: usize = 10;

/// Targets that they contend for: few, so that many want the same.
const TARGETS_OF_ALL: usize = 8;

/// Most targets of one run.
const TARGETS_OF_ONE: usize = 5;

const FLAGS: [&str; 3] = ["F", "PF", "OCF"];

/// Name and text of every entry.
type Entries = BTreeMap<String, String>;

/// What one run is asked to do.
#[derive(Clone, Debug)]
struct Invocation {
    targets: BTreeSet<&'static str>,
    /// To be registered with these, or unregistered.
    flags: Option<&'static str>,
}

impl Invocation {
    fn random(random: &mut fastrand::Rng, targets: &[&'static str]) -> Self {
        let count = random.usize(1..=TARGETS_OF_ONE);
        let targets = (0..count).map(|_| targets[random.usize(..targets.len())]).collect();
        let flags = (random.usize(..3) > 0).then(|| FLAGS[random.usize(..FLAGS.len())]);
        Self { targets, flags }
    }

    fn command(&self, sandbox: &Sandbox) -> Command {
        let mut command = Command::new(sandbox.registrar());
        match self.flags {
            Some(flags) => command.args(["register", "--flags", flags]),
            None => command.arg("unregister"),
        };
        command.args(&self.targets).arg(SCOPE);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The same, with some system call delayed.
    fn held_up(&self, sandbox: &Sandbox, inject: &str) -> Command {
        let calls = inject.split(':').next().unwrap_or_default();
        let plain = self.command(sandbox);
        let mut command = Command::new("strace");
        command.args(["--quiet=all", "-o", "/dev/null"]).arg(format!("-etrace={calls}"));
        command.arg(format!("-einject={inject}")).arg(plain.get_program()).args(plain.get_args());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Whether these entries are as if it had been the last.
    fn is_so_in(&self, entries: &Entries, settled: &BTreeSet<&str>, wanted: &BTreeMap<&str, Entries>) -> bool {
        let is_so = |target: &&str| {
            let name = format!("qemu-{target}");
            let expected = self.flags.map(|flags| &wanted[flags][&name]);
            entries.get(&name) == expected
        };
        self.targets.difference(settled).all(is_so)
    }
}

/// Whether some order of the runs makes `after` of `before`.
///
/// It is made from its end: whichever run could have been the last one of those that are left is taken, which only makes
/// it easier for the others, since its targets may be anything before it.
fn has_order(invocations: &[Invocation], before: &Entries, after: &Entries, wanted: &BTreeMap<&str, Entries>) -> bool {
    let mut left: Vec<_> = invocations.iter().collect();
    let mut settled = BTreeSet::new();
    while let Some(last) = left.iter().position(|invocation| invocation.is_so_in(after, &settled, wanted)) {
        settled.extend(&left.swap_remove(last).targets);
    }
    let is_untouched = |name: &String| !settled.iter().any(|target| *name == format!("qemu-{target}"));
    let rest =
        |entries: &Entries| entries.clone().into_iter().filter(|(name, _)| is_untouched(name)).collect::<Entries>();
    left.is_empty() && rest(before) == rest(after)
}

/// Runs them all at once, divided among the containers, and waits.
fn at_once(sandbox: &Sandbox, invocations: &[Invocation], containers: usize) -> Vec<CommandResult> {
    let start = Barrier::new(containers);
    let (command, start) = (|invocation: &Invocation| invocation.command(sandbox), &start);
    thread::scope(|scope| {
        let contained: Vec<_> = invocations
            .chunks(invocations.len().div_ceil(containers))
            .map(|invocations| {
                let mut commands: Vec<_> = invocations.iter().map(command).collect();
                scope.spawn(move || {
                    if containers > 1 {
                        mount_anew();
                    }
                    start.wait();
                    let started: Vec<_> =
                        commands.iter_mut().map(|command| command.spawn().expect("it starts")).collect();
                    started.into_iter().map(ended).collect::<Vec<_>>()
                })
            })
            .collect();
        contained.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    })
}

fn ended(child: std::process::Child) -> CommandResult {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    CommandResult { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// From here on this thread, and what it starts, is in a mount namespace of its own, with a mount of its own of the
/// same instance.
fn mount_anew() {
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    umount(binfmt_misc::DEFAULT_MOUNT_POINT).expect("it was mounted");
    mount_again();
}

fn mount_again() {
    let none = None::<&str>;
    nix::mount::mount(
        Some("binfmt_misc"),
        binfmt_misc::DEFAULT_MOUNT_POINT,
        Some("binfmt_misc"),
        nix::mount::MsFlags::empty(),
        none,
    )
    .expect("mounted");
}

fn in_containers(sandbox: &Sandbox, containers: usize) {
    let mut random = random::seeded("concurrent");
    let foreign = TARGETS.iter().filter(|target| target.family != host().family && target.machines.len() == 1);
    let targets: Vec<_> = foreign.map(|target| target.qemu).take(TARGETS_OF_ALL).collect();
    let wanted = FLAGS.map(|flags| {
        sandbox.succeeds(&[&["register", "--flags", flags], targets.as_slice()].concat());
        (flags, sandbox.entries())
    });
    let wanted = BTreeMap::from(wanted);
    let begin = Instant::now();
    let mut before = sandbox.entries();
    for round in 0..ROUNDS {
        let mut invocations: Vec<_> = (0..RUNS - TWINS).map(|_| Invocation::random(&mut random, &targets)).collect();
        let twin = Invocation::random(&mut random, &targets);
        invocations.extend((0..TWINS).map(|_| twin.clone()));
        let ran = at_once(sandbox, &invocations, containers);
        for (invocation, ran) in invocations.iter().zip(ran) {
            assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "round {round}: {invocation:?}: {}", ran.out);
        }
        let after = sandbox.entries();
        assert!(
            has_order(&invocations, &before, &after, &wanted),
            "round {round}: {before:#?} became {after:#?} by {invocations:#?}"
        );
        before = after;
    }
    println!(
        "concurrent: {ROUNDS} rounds of {RUNS} runs at once in {containers} mount namespace(s), {:.1} s: none failed, \
         each end is that of some order",
        begin.elapsed().as_secs_f64()
    );
}

/// How one of two runs is held up, and how long after it the other one starts.
struct HeldUp {
    what: &'static str,
    inject: Option<&'static str>,
    later: Duration,
    rounds: usize,
}

/// A run that holds an instance for a second counts as one that keeps it: those that are held up end long before.
const HELD_UP: &[HeldUp] = &[
    HeldUp { what: "at any moment", inject: None, later: Duration::ZERO, rounds: ROUNDS },
    HeldUp {
        what: "mounted, not locked",
        inject: Some("flock:delay_enter=300000"),
        later: Duration::from_millis(100),
        rounds: 1,
    },
    // Its instance is no longer young when the other one mounts it.
    HeldUp {
        what: "locked, not given up",
        inject: Some("umount2:delay_enter=2000000"),
        later: Duration::from_millis(1500),
        rounds: 1,
    },
    HeldUp {
        what: "given up, not unlocked",
        inject: Some("?chmod,?fchmod,fchmodat:delay_exit=300000"),
        later: Duration::from_millis(100),
        rounds: 1,
    },
];

/// In two containers of which neither has it mounted, and which nothing keeps: each may see what the other has mounted.
fn two_that_would_disappear(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let mut random = random::seeded("concurrent");
    let expected = format!(
        "handlers would disappear with this process: nothing else keeps the binfmt_misc mount of {}; \
         see run, --stay and --temporary in registrar --help\n",
        fs::read_link("/proc/self/ns/user").expect("a namespace").display()
    );
    let invocation = Invocation { targets: ["s390x"].into(), flags: Some("F") };
    for HeldUp { what, inject, later, rounds } in HELD_UP {
        for round in 0..*rounds {
            let first =
                inject.map_or_else(|| invocation.command(sandbox), |inject| invocation.held_up(sandbox, inject));
            let jitter = Duration::from_micros(random.u64(..3000));
            for ran in one_after_the_other([first, invocation.command(sandbox)], *later + jitter) {
                let context = format!("{what}, round {round}: {}", ran.out);
                assert_eq!((ran.code, ran.err.as_str()), (Some(1), expected.as_str()), "{context}");
            }
            // A new instance: nothing is left of any.
            namespace::mount_binfmt_misc(sandbox.folder()).expect("no entry is left");
            umount(sandbox.folder()).expect("unmounted");
        }
        println!("concurrent: two whose handlers would disappear, one {what}, {rounds} times: both refused");
    }
}

/// Runs both, the second one somewhat later, each in a mount namespace of its own.
fn one_after_the_other(commands: [Command; 2], later: Duration) -> [CommandResult; 2] {
    let start = &Barrier::new(2);
    thread::scope(|scope| {
        let mut wait = Duration::ZERO;
        let running = commands.map(|mut command| {
            let delay = wait;
            wait = later;
            scope.spawn(move || {
                unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).expect("a mount namespace");
                start.wait();
                thread::sleep(delay);
                ended(command.spawn().expect("it starts"))
            })
        });
        running.map(|run| run.join().expect("it ends"))
    })
}
