//! The test programs through the kernel: each starts itself a second time, which only a handler makes possible, and
//! shows what the handler gives it as `argv[0]`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use codegen::targets::{EXIT_STATUS, NOT_EXECUTED_STATUS, SHOWN_BYTES, Target};
use tests::emulators::TARGETS;

use crate::register::{runs, test_program};
use crate::sandbox::{Sandbox, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("probes/each_starts_itself", each_starts_itself),
    test("probes/each_keeps_its_name_where_that_is_asked_for", each_keeps_its_name_where_that_is_asked_for),
    test("probes/each_says_that_nothing_serves_the_second_program", each_says_that_nothing_serves_the_second_program),
];

/// Given as `argv[0]`: as long as what is shown of it.
const ARGV0: &str = "a name..";

/// What a program shows, and how it ends, with another one as argument.
fn shown(program: &Path, second: &Path) -> (String, Option<i32>) {
    let ran = ran(Command::new(program).arg0(ARGV0).arg(second));
    assert_eq!(ran.err, "", "{}", program.display());
    (ran.out, ran.code)
}

/// What is shown of a program that was started by its path.
fn path_shown(program: &Path) -> String {
    program.to_str().expect("text")[..SHOWN_BYTES].to_owned()
}

/// Those that this machine does not run by itself. To be asked before anything is registered.
fn foreign(sandbox: &Sandbox) -> Vec<&'static Target> {
    let foreign: Vec<_> = TARGETS.iter().filter(|target| !runs(sandbox, target)).collect();
    assert!(foreign.len() + 3 > TARGETS.len(), "{} of {} are foreign", foreign.len(), TARGETS.len());
    foreign
}

fn each_starts_itself(sandbox: &Sandbox) {
    let foreign = foreign(sandbox);
    sandbox.succeeds(&["register", "--flags=F"]);
    let status = Some(i32::from(EXIT_STATUS));
    for target in TARGETS.iter() {
        let program = test_program(sandbox, target);
        let is_foreign = foreign.iter().any(|foreign| foreign.qemu == target.qemu);
        let name = if is_foreign { path_shown(&program) } else { ARGV0.into() };
        assert_eq!(shown(&program, &program), (name, status), "{}", target.qemu);
    }
}

fn each_keeps_its_name_where_that_is_asked_for(sandbox: &Sandbox) {
    for target in foreign(sandbox) {
        let interpreter = format!("/usr/bin/qemu-{}-static", target.qemu);
        sandbox.add(&line(target.qemu, target.qemu, &interpreter, "PF"));
        let program = test_program(sandbox, target);
        let expected = (ARGV0.to_owned(), Some(i32::from(EXIT_STATUS)));
        assert_eq!(shown(&program, &program), expected, "{}", target.qemu);
    }
}

fn each_says_that_nothing_serves_the_second_program(sandbox: &Sandbox) {
    let foreign = foreign(sandbox);
    for (index, target) in foreign.iter().enumerate() {
        let interpreter = format!("/usr/bin/qemu-{}-static", target.qemu);
        sandbox.add(&line(target.qemu, target.qemu, &interpreter, "F"));
        let program = test_program(sandbox, target);
        let second = test_program(sandbox, foreign[(index + 1) % foreign.len()]);
        let expected = (path_shown(&program), Some(i32::from(NOT_EXECUTED_STATUS)));
        assert_eq!(shown(&program, &second), expected, "{}", target.qemu);
        sandbox.write(target.qemu, "-1");
    }
}
