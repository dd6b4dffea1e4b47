//! `registrar` against the real kernel. Each test runs in a process of its own, in a user and mount namespace of its
//! own, so that it needs no root, disturbs nobody and runs beside the others. One that cannot run fails.

mod bytes;
mod compat_cli;
mod concurrent;
mod copies;
mod deployments;
mod doctor;
mod exchange;
mod fault_table;
mod faults;
mod find;
mod fleet;
mod foreign_entries;
mod load;
mod lost_races;
mod mount_lifetime;
mod names;
mod options;
mod output_format;
mod persist;
mod prerequisites;
mod probes;
mod programs;
mod register;
mod resident;
mod sandbox;
mod scope;
mod sigkill;
mod status;
mod unregister;
mod verify;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Failed, Trial};
use test_groups::kernel::{self, KERNEL_TESTS};
use tests::namespace::Users;
use tests::{binfmt_misc, fleet as nodes, registrar};

use sandbox::Sandbox;

/// First argument of a process that is one test.
const INSIDE: &str = "--inside";

/// Where the tested program is, for that process.
const REGISTRAR: &str = "TESTED_REGISTRAR";

/// A folder for that process to write to. It is not its own to remove: it may have mounted something there.
const SCRATCH: &str = "TEST_SCRATCH";

/// A test: its name, whom it runs as, what is mounted when it starts, and what it does.
struct Test {
    name: &'static str,
    uid: u32,
    mounted: bool,
    /// Whether the namespace has two users, 0 and 1, not only that one.
    second_user: bool,
    run: fn(&Sandbox),
}

/// A test as root of the namespace, with its `binfmt_misc` mounted at the usual place.
const fn test(name: &'static str, run: fn(&Sandbox)) -> Test {
    Test { name, uid: 0, mounted: true, second_user: false, run }
}

fn tests() -> impl Iterator<Item = &'static Test> {
    let kinds = [
        bytes::TESTS,
        concurrent::TESTS,
        copies::TESTS,
        deployments::TESTS,
        doctor::TESTS,
        exchange::TESTS,
        fault_table::TESTS,
        faults::TESTS,
        find::TESTS,
        fleet::TESTS,
        lost_races::TESTS,
        sigkill::TESTS,
        mount_lifetime::TESTS,
        output_format::TESTS,
        load::TESTS,
        names::TESTS,
        options::TESTS,
        foreign_entries::TESTS,
        prerequisites::TESTS,
        probes::TESTS,
        programs::TESTS,
        register::TESTS,
        resident::TESTS,
        scope::TESTS,
        status::TESTS,
        unregister::TESTS,
        verify::TESTS,
    ];
    kinds.into_iter().flatten().chain(compat_cli::tests()).chain(persist::tests())
}

fn main() -> ExitCode {
    if let Some(error) = nodes::become_node() {
        eprintln!("a node: {error}");
        return ExitCode::FAILURE;
    }
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(INSIDE) {
        let name = arguments.next().unwrap_or_default();
        let test = tests().find(|test| test.name == name).expect("a test of that name");
        let path = |name| PathBuf::from(env::var_os(name).expect(name));
        let users = if test.second_user { Users::Two } else { Users::One(test.uid) };
        (test.run)(&Sandbox::enter(users, test.mounted, path(REGISTRAR), path(SCRATCH)));
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    // One line, not one failure for each test.
    if let Some(error) = Some(&arguments).filter(|it| !it.list).and_then(|_| kernel::require(KERNEL_TESTS).err()) {
        eprintln!("the kernel tests cannot run: {error:#}");
        return ExitCode::FAILURE;
    }
    let before = host();
    let trials = tests().map(|test| Trial::test(test.name, || run_apart(test))).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let after = host();
    if after != before {
        eprintln!("the tests changed the host's binfmt_misc: {before:?} became {after:?}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Runs one test in a process of its own: only one with a single thread may enter a user namespace.
fn run_apart(test: &Test) -> Result<(), Failed> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let registrar = BUILT.get_or_init(registrar::build).as_ref()?;
    let scratch = tempfile::tempdir()?;
    // Signals that a shell's `&` or nohup(1) has this process ignore are for tests to send.
    let output = Command::new("env")
        .arg("--default-signal")
        .arg(env::current_exe()?)
        .args([INSIDE, test.name])
        .env(REGISTRAR, registrar)
        .env(SCRATCH, scratch.path())
        .env_remove("BINDIR")
        .env_remove("CHCON")
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        // Figures, of those that measure.
        print!("{}", String::from_utf8_lossy(&output.stdout));
        return Ok(());
    }
    Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

/// What the tests must leave as it is: where `binfmt_misc` is mounted, and the entries there.
fn host() -> Vec<(String, BTreeMap<String, String>)> {
    let mounts = binfmt_misc::mounts().expect("mounts can be read");
    let entries = |at: String| {
        let entries = binfmt_misc::entries(Path::new(&at)).unwrap_or_else(|error| panic!("{at}: {error}"));
        (at, entries)
    };
    mounts.into_iter().map(entries).collect()
}
