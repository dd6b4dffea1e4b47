//! Every operation of `registrar`, failing with every error that the kernel may give: what it exits with, the last line
//! that it says, and what is there then. All of that is in `fault_table/table.txt`, which is written anew where `BLESS`
//! is in the environment; a change of it is to be read.
//!
//! Whatever fails: a handler that was there goes on serving, exit status 0 means that programs run, the last line is
//! short, and the next run ends clean. Real conditions are in `faults`, those that can be had only here in
//! [`real`].

mod operations;
mod real;

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use codegen::targets;
use nix::mount::{MntFlags, umount2};
use tests::{binfmt_misc, namespace};

use crate::register::runs;
use crate::sandbox::{CommandResult, Sandbox, line, way_out};
use crate::{Test, test};

use operations::{ON_X86_64, OPERATIONS, Operation, Setup};

pub(crate) const TESTS: &[Test] = &[
    Test { mounted: false, ..test("fault_table/is_as_committed", is_as_committed) },
    test("fault_table/real_conditions", real::conditions),
];

/// As `facts` about the kernel name them, and others that any system call may give.
const ERRNOS: [&str; 16] = [
    "EPERM",
    "ENOENT",
    "EIO",
    "ENOMEM",
    "EACCES",
    "EBUSY",
    "EEXIST",
    "ENODEV",
    "ENOTDIR",
    "EINVAL",
    "EMFILE",
    "ETXTBSY",
    "ENOSPC",
    "EROFS",
    "ELOOP",
    "ENAMETOOLONG",
];

/// The handler that is registered, replaced or removed.
const NAME: &str = "qemu-s390x";
const INTERPRETER: &str = "/usr/bin/qemu-s390x-static";

/// Longest last line, in characters.
const LONGEST: usize = 200;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kernel/fault_table/table.txt");

/// Of what only that host does.
const TABLE_ON_X86_64: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kernel/fault_table/table.x86_64.txt");

/// Asks for the tables to be written.
const BLESS: &str = "BLESS";

fn is_as_committed(sandbox: &Sandbox) {
    let begin = Instant::now();
    let mut tables = vec![(TABLE, OPERATIONS)];
    if cfg!(target_arch = "x86_64") {
        tables.push((TABLE_ON_X86_64, ON_X86_64));
    }
    for (file, operations) in &tables {
        let table = table(sandbox, operations);
        if env::var_os(BLESS).is_some() {
            fs::write(file, &table).expect("written");
        }
        print!("{table}");
        let committed = fs::read_to_string(file).unwrap_or_default();
        let new: Vec<_> = table.lines().filter(|line| !committed.lines().any(|known| known == *line)).collect();
        assert!(table == committed, "{file} differs; if that is right, run with {BLESS}=1; new:\n{}", new.join("\n"));
    }
    let count: usize = tables.iter().map(|(_, operations)| operations.len()).sum();
    println!(
        "fault table: {count} operations with {} errors each: {} cases in {:.1} s",
        ERRNOS.len(),
        count * ERRNOS.len(),
        begin.elapsed().as_secs_f64()
    );
}

fn table(sandbox: &Sandbox, operations: &[Operation]) -> String {
    let mut table =
        String::from("OPERATION (command; system calls that fail)\n  ERRORS: exit status | entries | last line\n\n");
    for operation in operations {
        let Operation { name, arguments, calls, path, .. } = operation;
        let on = path.map(|path| format!(" on {path}")).unwrap_or_default();
        let calls = calls.replace('?', "");
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{name} (registrar {}; {calls}{on})", arguments.join(" "));
        for row in rows(sandbox, operation) {
            let _ = writeln!(table, "{row}");
        }
        table.push('\n');
    }
    table
}

/// How one operation ends with each error; those that end alike are one row.
fn rows(sandbox: &Sandbox, operation: &Operation) -> Vec<String> {
    let mut ends: Vec<(String, Vec<&str>)> = Vec::new();
    for errno in ERRNOS {
        let end = end(sandbox, operation, errno);
        match ends.iter_mut().find(|(known, _)| *known == end) {
            Some((_, errnos)) => errnos.push(errno),
            None => ends.push((end, vec![errno])),
        }
    }
    let row = |(end, errnos): (String, Vec<&str>)| {
        let errnos = if errnos.len() == ERRNOS.len() { "any".into() } else { errnos.join(" ") };
        format!("  {errnos}: {end}")
    };
    ends.into_iter().map(row).collect()
}

/// Exit status, what is there, and the last line.
fn end(sandbox: &Sandbox, operation: &Operation, errno: &str) -> String {
    let Operation { name, setup, arguments, calls, path, when } = operation;
    prepare(sandbox, setup);
    let inject = format!("{calls}:error={errno}:when={when}");
    let (ran, log) = sandbox.run_injected(&inject, *path, arguments);
    assert!(log.contains("(INJECTED)"), "{name}: nothing was made to fail: {log}");
    let entries = if is_mounted() { shown(sandbox) } else { "not mounted".into() };
    let broken = broken(sandbox, operation, &ran);
    assert!(broken.is_empty(), "{name}, {errno}: {broken:?}: {ran:?}, then {entries}");
    let last = ran.err.lines().last().unwrap_or("-");
    let printed = if ran.code == Some(0) { ran.out.lines().next().unwrap_or_default() } else { last };
    format!("{} | {entries} | {}", ran.code.map_or("killed".into(), |code| code.to_string()), plain(sandbox, printed))
}

/// What must be so however a run ended, and is not. Ends with a run that nothing hinders.
fn broken(sandbox: &Sandbox, operation: &Operation, ran: &CommandResult) -> Vec<&'static str> {
    let mut broken = Vec::new();
    let last = ran.err.lines().last().unwrap_or_default();
    match ran.code {
        Some(0) if !ran.err.is_empty() => broken.push("success with words on standard error"),
        Some(1) if last.is_empty() => broken.push("failure without a word"),
        Some(0 | 1) => {}
        _ => broken.push("another exit status"),
    }
    if last.chars().count() > LONGEST {
        broken.push("a long last line");
    }
    if last.contains('…') {
        broken.push("a last line of which something is cut out");
    }
    let is_register = operation.arguments.contains(&"register");
    let was_there = matches!(operation.setup, Setup::Different | Setup::AsWanted | Setup::DifferentBesideOthers);
    let program = targets::by_qemu_name("s390x").expect("known");
    if is_register && (ran.code == Some(0) || was_there) && !runs(sandbox, program) {
        broken.push("programs do not run");
    }
    if is_mounted() {
        let next = sandbox.run(&["register", "s390x"]);
        let clean = match operation.setup {
            Setup::DifferentBesideOthers => format!("{NAME} P, {NAME}.registrar POF"),
            _ => format!("{NAME} POF"),
        };
        if (next.code, next.err.as_str(), shown(sandbox)) != (Some(0), "", clean) {
            broken.push("the next run does not end clean");
        }
    }
    broken
}

fn is_mounted() -> bool {
    Path::new(binfmt_misc::DEFAULT_MOUNT_POINT).join("status").exists()
}

fn prepare(sandbox: &Sandbox, setup: &Setup) {
    while umount2(sandbox.folder(), MntFlags::MNT_DETACH).is_ok() {}
    if matches!(setup, Setup::NotMounted) {
        return;
    }
    namespace::mount_binfmt_misc(sandbox.folder()).expect("nothing is left of the last one");
    match setup {
        Setup::Nothing | Setup::NotMounted => {}
        Setup::Different => sandbox.add(&line("s390x", NAME, INTERPRETER, "OCF")),
        Setup::AsWanted => sandbox.add(&line("s390x", NAME, INTERPRETER, "POF")),
        Setup::DifferentBesideOthers => {
            sandbox.add(&line("s390x", NAME, "/bin/false", "P"));
            sandbox.add(&line("s390x", &format!("{NAME}.registrar"), INTERPRETER, "OCF"));
        }
    }
}

/// The entries with their flags.
fn shown(sandbox: &Sandbox) -> String {
    let flags = |text: &str| text.lines().find_map(|line| line.strip_prefix("flags: ")).unwrap_or_default().to_owned();
    let entries: Vec<_> = sandbox.entries().iter().map(|(name, text)| format!("{name} {}", flags(text))).collect();
    if entries.is_empty() { "nothing".into() } else { entries.join(", ") }
}

/// Without what is another each time.
fn plain(sandbox: &Sandbox, text: &str) -> String {
    let namespace = fs::read_link("/proc/self/ns/user").expect("a namespace").display().to_string();
    let scratch = sandbox.scratch().display().to_string();
    text.replace(&namespace, "user:[NAMESPACE]")
        .replace(&scratch, "SCRATCH")
        .replace(way_out(), "run as the host's root")
}
