//! `register` killed at any moment while it replaces handlers: every one that was there is still served, each entry is
//! the old one or the new one, and the next run ends clean.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use codegen::targets::{self, Target};

use tests::random;

use crate::register::runs;
use crate::sandbox::{SCOPE, Sandbox, line};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("sigkill/at_random_moments", at_random_moments),
    test("sigkill/at_each_system_call", |sandbox| at_each_call(sandbox, "all", &[])),
    test("sigkill/at_each_write_beside_others", at_each_write_beside_others),
];

const RANDOM_KILLS: usize = 200;

/// Replaced by turns.
const FLAGS: [&str; 2] = ["F", "PF"];

/// End the name of an entry that serves while another is exchanged: the own one, or, beside others, the second.
const HELPERS: [&str; 2] = [".registrar", "2"];

const SIGKILL: i32 = 9;

/// Name and text of every entry.
type Entries = BTreeMap<String, String>;

/// What kills have left, to tell that they hit.
#[derive(Default)]
struct Left {
    /// Entries of before alone, and of after alone: nothing had been done, or all.
    old: usize,
    new: usize,
    /// Some of each, or second names.
    between: usize,
    with_spare: usize,
}

impl Left {
    /// Notes what is there now, which must serve all that was there.
    fn note(&mut self, sandbox: &Sandbox, [old, new]: [&Entries; 2], context: &str) {
        let now = sandbox.entries();
        // Beside others, those are among what was there.
        let helper = HELPERS[usize::from(old.keys().any(|name| name.ends_with(HELPERS[0])))];
        for (name, text) in &now {
            let own = name.strip_suffix(helper).unwrap_or(name);
            assert!(old.get(own) == Some(text) || new.get(own) == Some(text), "{context}: {name}: {text}");
        }
        for name in old.keys() {
            let is_served = now.contains_key(name) || now.contains_key(&format!("{name}{helper}"));
            assert!(is_served, "{context}: {name} is gone: {:?}", now.keys());
        }
        match () {
            () if now == *old => self.old += 1,
            () if now == *new => self.new += 1,
            () => self.between += 1,
        }
        self.with_spare += usize::from(now.keys().any(|name| name.ends_with(helper)));
    }
}

/// The entries of these targets, or of all, with each of the flags.
fn wanted(sandbox: &Sandbox, targets: &[&str]) -> [Entries; 2] {
    FLAGS.map(|flags| {
        sandbox.succeeds(&[&["register", "--flags", flags], targets].concat());
        sandbox.entries()
    })
}

fn target(name: &str) -> &'static Target {
    targets::by_qemu_name(name).expect("known")
}

fn at_random_moments(sandbox: &Sandbox) {
    let mut random = random::seeded("sigkill");
    let wanted = wanted(sandbox, &[]);
    let (mut left, mut killed) = (Left::default(), 0);
    // How long a run may take: other tests run beside.
    let mut span = Duration::ZERO;
    for turn in 0..=RANDOM_KILLS {
        // Last came the second of the flags.
        let [old, new] = [&wanted[(turn + 1) % 2], &wanted[turn % 2]];
        let arguments = ["register", "--flags", FLAGS[turn % 2]];
        if turn > 0 {
            let delay = span.mul_f64(random.f64());
            let mut command = Command::new(sandbox.registrar());
            let mut child = command.args(arguments).arg(SCOPE).stdout(Stdio::null()).spawn().expect("it starts");
            thread::sleep(delay);
            child.kill().expect("killed, or ended");
            let is_killed = child.wait().expect("it ended").signal() == Some(SIGKILL);
            killed += usize::from(is_killed);
            span = span.mul_f64(if is_killed { 1.05 } else { 0.9 });
            left.note(sandbox, [old, new], &format!("kill {turn} after {delay:?}"));
            for name in ["s390x", "xtensaeb"] {
                assert!(runs(sandbox, target(name)), "kill {turn} after {delay:?}: {name} does not run");
            }
        }
        let begin = Instant::now();
        sandbox.succeeds(&arguments);
        if turn == 0 {
            span = begin.elapsed();
        }
        assert_eq!(sandbox.entries(), *new, "turn {turn}");
    }
    let Left { old, new, between, with_spare } = left;
    println!(
        "sigkill: {RANDOM_KILLS} at random moments of a run over {} handlers, {killed} before its end: all were served; \
         {old} had done nothing yet, {new} all, {between} some ({with_spare} left a second name); each next run ended \
         clean",
        wanted[0].len()
    );
    assert!(between >= RANDOM_KILLS / 10, "too few kills hit: {between}");
}

/// Where the own names are somebody else's, whose entries would serve in a gap, and fail.
fn at_each_write_beside_others(sandbox: &Sandbox) {
    for target in ["m68k", "s390x"] {
        sandbox.add(&line(target, &format!("qemu-{target}"), "/bin/false", "P"));
    }
    at_each_call(sandbox, "write", &[]);
}

/// Two handlers suffice here, since the others are treated alike. `calls` are those at which to kill.
fn at_each_call(sandbox: &Sandbox, calls: &str, more: &[&str]) {
    let names = ["m68k", "s390x"];
    let wanted = wanted(sandbox, &names);
    let arguments = |turn: usize| [&["register", "--flags", FLAGS[turn % 2]], more, &names].concat();
    let (ran, log) = sandbox.run_injected(&format!("{calls}:delay_enter=0"), None, &arguments(0));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let mut moments = Vec::new();
    // The first is the execve(2) that starts it; the last has no return. How often the version is asked depends on the flags.
    for line in log.lines().filter(|line| !line.starts_with("execve(") && !line.starts_with("uname(")) {
        let name = line.split('(').next().unwrap_or_default();
        let count = 1 + moments.iter().filter(|(known, _)| *known == name).count();
        moments.push((name, count));
    }
    let mut left = Left::default();
    for (turn, (name, count)) in (1..).zip(&moments) {
        let [old, new] = [&wanted[(turn + 1) % 2], &wanted[turn % 2]];
        let context = format!("killed at {name} {count}");
        let (ran, _) = sandbox.run_injected(&format!("{name}:signal=KILL:when={count}"), None, &arguments(turn));
        assert_eq!(ran.code, None, "{context}");
        left.note(sandbox, [old, new], &context);
        for name in names {
            assert!(runs(sandbox, target(name)), "{context}: {name} does not run");
        }
        sandbox.succeeds(&[&["register", "--flags", FLAGS[turn % 2]], names.as_slice()].concat());
        assert_eq!(sandbox.entries(), *new, "{context}");
    }
    let Left { old, new, between, with_spare } = left;
    println!(
        "sigkill: at each of {} system calls ({calls}) of register {}: all were served; {old} had done nothing yet, {new} \
         all, {between} some ({with_spare} left a second name); each next run ended clean",
        moments.len(),
        more.concat()
    );
    // Eight writes replace two handlers, so that there are seven states between them.
    assert!(between >= 7 && old > 0 && new > 0, "{old} {between} {new}");
}
