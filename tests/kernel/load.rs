//! Whether foreign programs start while their handlers are replaced: as `registrar` does it, and as a script does that
//! deletes entries and adds them again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use codegen::targets::{self, EXIT_STATUS};

use crate::register::test_program;
use crate::sandbox::Sandbox;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[test("load/no_start_fails", no_start_fails)];

/// How often all handlers are replaced, each way.
const ROUNDS: usize = 1_000;

/// How many start programs, each as soon as its last one has ended.
const LOADERS: usize = 4;

/// Targets whose programs are started in turn, with emulators that start fast.
const LOADED: [&str; 4] = ["s390x", "aarch64", "m68k", "riscv64"];

/// What is asked for in turn: each round differs from the one before in all handlers.
const FLAGS: [&[&str]; 4] = [&["--flags", "PF"], &["--credentials"], &["--no-fix-binary"], &["--flags", "F"]];

/// Programs that were started, and that were not, or did not end as they should.
#[derive(Default)]
struct Starts {
    all: AtomicUsize,
    failed: AtomicUsize,
}

impl Starts {
    fn start(&self, program: &Path) {
        let status = Command::new(program).status();
        self.all.fetch_add(1, Ordering::Relaxed);
        if status.is_ok_and(|status| status.code() == Some(i32::from(EXIT_STATUS))) {
            return;
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many starts failed, of how many, while something was done to the handlers.
struct Loaded {
    failed: usize,
    all: usize,
    took: Duration,
}

/// Does something while programs are started without pause.
fn under_load(programs: &[PathBuf], act: impl FnOnce()) -> Loaded {
    let (starts, is_over) = (Starts::default(), AtomicBool::new(false));
    let begin = Instant::now();
    thread::scope(|scope| {
        // At the end also where `act` panics, or the loaders would be waited for.
        let _end = End(&is_over);
        for loader in 0..LOADERS {
            let in_turn = programs.iter().cycle().skip(loader);
            let (starts, is_over) = (&starts, &is_over);
            scope.spawn(move || in_turn.take_while(|_| !is_over.load(Ordering::Relaxed)).for_each(|p| starts.start(p)));
        }
        act();
    });
    Loaded { failed: starts.failed.into_inner(), all: starts.all.into_inner(), took: begin.elapsed() }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn no_start_fails(sandbox: &Sandbox) {
    sandbox.succeeds(&["register"]);
    let names = sandbox.names();
    let programs = LOADED.map(|target| test_program(sandbox, targets::by_qemu_name(target).expect("known")));
    let ours = under_load(&programs, || {
        for flags in FLAGS.iter().cycle().take(ROUNDS) {
            let out = sandbox.succeeds(&[&["register"], *flags].concat());
            let sum = format!("0 registered, {} replaced, 0 unchanged", names.len());
            assert!(out.lines().last().is_some_and(|line| line.starts_with(&sum)), "{out}");
        }
    });
    let rules: Vec<_> = sandbox.entries().iter().map(|(name, text)| rule(name, text)).collect();
    let theirs = under_load(&programs, || {
        for _ in 0..ROUNDS {
            names.iter().for_each(|name| sandbox.write(name, "-1"));
            rules.iter().for_each(|rule| sandbox.add(rule));
        }
    });
    for (what, Loaded { failed, all, took }) in [("registrar", &ours), ("delete, then add", &theirs)] {
        println!(
            "load: {what}: failed {failed} of {all} starts, while {} handlers were replaced {ROUNDS} times in {:.1} s",
            names.len(),
            took.as_secs_f64()
        );
    }
    assert_eq!(sandbox.names(), names);
    assert_eq!(ours.failed, 0, "of {}", ours.all);
    assert!(ours.all >= ROUNDS, "{} starts are too few to tell", ours.all);
    assert!(theirs.failed > 0, "this test does not see starts that fail: none of {}", theirs.all);
}

/// The rule that an entry came from.
fn rule(name: &str, text: &str) -> String {
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    let escaped = |hex: &str| {
        let digits: Vec<_> = hex.chars().collect();
        digits.chunks(2).map(|byte| format!("\\x{}{}", byte[0], byte[1])).collect::<String>()
    };
    let (magic, mask) = (escaped(field("magic ")), escaped(field("mask ")));
    format!(":{name}:M:{}:{magic}:{mask}:{}:{}", field("offset "), field("interpreter "), field("flags: "))
}
