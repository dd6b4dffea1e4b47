//! Command lines of other images, word for word: what each prints, how it ends, and which entries are in the kernel
//! after it. The lines are those that people type and that docker/setup-qemu-action runs.

mod other_images;
mod qemu_binfmt_conf;
mod tonistiigi;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use codegen::targets::{self, Target};

use crate::Test;
use crate::register::runs;
use crate::sandbox::{CommandResult, PYTHON, Sandbox, entry_names, host, line, ran};

pub(crate) fn tests() -> impl Iterator<Item = &'static Test> {
    [other_images::TESTS, qemu_binfmt_conf::TESTS, tonistiigi::TESTS].into_iter().flatten()
}

/// What a private user namespace needs, since handlers for the host's programs are what these lines ask for.
const SCOPE: (&str, &str) = ("REGISTRAR_SCOPE", "userns");

/// An interpreter of somebody else, which fails.
const THEIRS: &str = "/bin/false";

/// Entries that are none of an emulator's: by magic, with an offset, and by the end of a name.
const NOT_ELF: [(&str, &str); 3] =
    [PYTHON, ("WSLInterop", ":WSLInterop:M::MZ::/init:P"), ("qemu-jar", ":qemu-jar:E::jar::/usr/bin/jexec:")];

/// How a program is started: its own name, its words, and variables beside the scope.
struct Line<'a> {
    name: &'a str,
    words: &'a [&'a str],
    environment: &'a [(&'a str, &'a str)],
}

impl<'a> From<&'a [&'a str]> for Line<'a> {
    fn from(words: &'a [&'a str]) -> Self {
        Self { name: "/registrar", words, environment: &[] }
    }
}

impl Line<'_> {
    fn run(&self, sandbox: &Sandbox) -> CommandResult {
        let mut command = Command::new(sandbox.registrar());
        command.arg0(self.name).args(self.words).env_clear().envs([SCOPE]).envs(self.environment.iter().copied());
        ran(&mut command)
    }
}

/// Runs words, of which all is expected.
fn says(sandbox: &Sandbox, words: &[&str], code: i32, out: &str, err: &str) {
    let ran = Line::from(words).run(sandbox);
    assert_eq!(ran, CommandResult { code: Some(code), out: out.into(), err: err.into() }, "{words:?}");
}

/// Adds somebody else's entries: an emulator under our name, one under another, and those that are no emulators'.
fn add_others(sandbox: &Sandbox) {
    sandbox.add(&line("s390x", "qemu-s390x", THEIRS, "P"));
    sandbox.add(&line("m68k", "box-m68k", THEIRS, ""));
    NOT_ELF.iter().for_each(|(_, line)| sandbox.add(line));
}

/// Names of what is registered where all is asked for, sorted; to be asked before anything is.
fn all(sandbox: &Sandbox) -> Vec<String> {
    entry_names(|target| target.qemu != host().qemu && !runs(sandbox, target))
}

/// Interpreter and flags of every entry.
fn registered(sandbox: &Sandbox) -> BTreeMap<String, (String, String)> {
    let field = |text: &str, name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().trim().to_owned()
    };
    let entries = sandbox.entries().into_iter();
    entries.map(|(name, text)| (name, (field(&text, "interpreter "), field(&text, "flags:")))).collect()
}

/// The same of our emulators in their usual folder.
fn ours(names: &[impl AsRef<str>], flags: &str) -> BTreeMap<String, (String, String)> {
    let of = |name: &str| (interpreter(name), flags.to_owned());
    names.iter().map(|name| (name.as_ref().to_owned(), of(name.as_ref()))).collect()
}

/// Our emulator for an entry.
fn interpreter(name: &str) -> String {
    let (target, _) = targets::by_entry_name(&name["qemu-".len()..]).expect("a known entry");
    format!("/usr/bin/qemu-{}-static", target.qemu)
}

/// The target of an entry.
fn target(name: &str) -> &'static Target {
    targets::by_entry_name(&name["qemu-".len()..]).expect("a known entry").0
}

/// What the status prints where these platforms run and these entries are in use.
fn status(supported: &[String], emulators: &[impl AsRef<str>]) -> String {
    let list = |names: Vec<&str>| match names.as_slice() {
        [] => "[]".into(),
        names => format!("[\n    \"{}\"\n  ]", names.join("\",\n    \"")),
    };
    let supported = list(supported.iter().map(String::as_str).collect());
    let emulators = list(emulators.iter().map(AsRef::as_ref).collect());
    format!("{{\n  \"supported\": {supported},\n  \"emulators\": {emulators}\n}}\n")
}

/// The platforms that run where these targets do, in BuildKit's order.
fn platforms(is_running: impl Fn(&Target) -> bool) -> Vec<String> {
    const ORDER: [(&str, &[&str]); 11] = [
        ("x86_64", &["amd64"]),
        ("aarch64", &["arm64"]),
        ("riscv64", &["riscv64"]),
        ("ppc64", &["ppc64"]),
        ("ppc64le", &["ppc64le"]),
        ("s390x", &["s390x"]),
        ("i386", &["386"]),
        ("mips64el", &["mips64le"]),
        ("mips64", &["mips64"]),
        ("loongarch64", &["loong64"]),
        ("arm", &["arm/v7", "arm/v6"]),
    ];
    let mut supported = vec![host().platform()];
    supported.extend(variants());
    for (target, names) in ORDER.iter().filter(|(target, _)| *target != host().qemu) {
        let is_running = is_running(targets::by_qemu_name(target).expect("known"));
        supported.extend(names.iter().filter(|_| is_running).map(|name| format!("linux/{name}")));
    }
    supported
}

/// Of an amd64 machine, as its processor tells.
#[cfg(target_arch = "x86_64")]
fn variants() -> Vec<String> {
    macro_rules! has {
        ($($feature:tt)*) => { $(std::arch::is_x86_feature_detected!($feature))&&* };
    }
    let levels = [
        has!("cmpxchg16b" "popcnt" "sse3" "ssse3" "sse4.1" "sse4.2"),
        has!("avx" "avx2" "bmi1" "bmi2" "f16c" "fma" "lzcnt" "movbe"),
        has!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl"),
    ];
    let count = levels.iter().take_while(|has_it| **has_it).count();
    (2..2 + count).map(|level| format!("linux/amd64/v{level}")).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn variants() -> Vec<String> {
    Vec::new()
}
