//! `persist`, `unpersist` and `export`: what a host's own programs make of it, and that nothing of others is touched.

mod boot;
mod others;
mod unit;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use codegen::targets;
use nix::mount::{MsFlags, mount};
use tests::{packages, random};

use crate::register::runs;
use crate::sandbox::{CommandResult, Sandbox, line, ran};
use crate::{Test, test};

pub(crate) fn tests() -> impl Iterator<Item = &'static Test> {
    [TESTS, boot::TESTS, others::TESTS, unit::TESTS].into_iter().flatten()
}

const TESTS: &[Test] = &[
    test("persist/read_by_systemd_binfmt", read_by_systemd),
    test("persist/read_by_openrc", read_by_openrc),
    test("persist/again_changes_nothing", again_changes_nothing),
    test("persist/leaves_what_is_of_others", leaves_what_is_of_others),
    test("persist/leaves_what_another_serves_now", leaves_what_another_serves_now),
    test("persist/links_of_the_host_stay_in_it", links_stay_inside),
    test("persist/emulators_in_a_folder_of_the_users", emulators_elsewhere),
    test("persist/killed_at_random_moments", killed),
    test("persist/folders_that_a_killed_run_has_made", folders_of_a_killed_run),
    test("persist/export", export),
];

/// Where emulators are, for the host.
const EMULATORS: &str = "/opt/registrar/bin";

const CONF: &str = "etc/binfmt.d/registrar.conf";

/// First line of each file of ours.
const HEADER: &str = "# Written by registrar persist; registrar unpersist removes it.\n";

/// What reads the rules at boot: systemd's unit, OpenRC's script, and the link that enables it.
const SERVICE: &str = "usr/lib/systemd/system/systemd-binfmt.service";
const SCRIPT: &str = "etc/init.d/binfmt";
const RUNLEVEL: &str = "etc/runlevels/boot/binfmt";

const RANDOM_KILLS: usize = 30;

const SIGKILL: i32 = 9;

/// All is not taken from a translator, which runs; with `--keep` not from another QEMU either.
fn leaves_what_another_serves_now(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    for (target, name) in [("s390x", "translator"), ("m68k", "qemu-other")] {
        let path = sandbox.scratch().join(name);
        fs::copy(format!("/usr/bin/qemu-{target}-static"), &path).expect("copied");
        sandbox.add(&line(target, name, path.to_str().expect("text"), "F"));
    }
    for (options, left) in [(&[][..], &["s390x"][..]), (&["--keep"], &["m68k", "s390x"]), (&["s390x"], &[])] {
        let out = host.succeeds("persist", "systemd", options);
        let rules = fs::read_to_string(host.root.join(CONF)).expect("rules");
        for target in ["m68k", "s390x"] {
            let is_left = left.contains(&target);
            assert_eq!(out.contains(&format!("{target} skipped: served by ")), is_left, "{options:?}: {out}");
            let is_meant = !is_left && (options != ["s390x"] || target == "s390x");
            assert_eq!(rules.contains(&format!(":qemu-{target}:")), is_meant, "{options:?}");
        }
    }
}

/// A host's root, in memory.
struct Host<'a> {
    sandbox: &'a Sandbox,
    root: PathBuf,
}

impl<'a> Host<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        let root = sandbox.scratch().join("root");
        fs::create_dir(&root).expect("a folder");
        in_memory(&root);
        for folder in ["etc/runlevels/boot", "etc/init.d", "opt", "usr/lib/systemd/system"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        let host = Self { sandbox, root };
        host.write(SERVICE, "[Service]\nExecStart=/usr/lib/systemd/systemd-binfmt\n");
        host.write(SCRIPT, "#!/sbin/openrc-run\n");
        symlink("/etc/init.d/binfmt", host.root.join(RUNLEVEL)).expect("a link");
        host
    }

    /// Another one, in place of the last.
    fn renewed(sandbox: &'a Sandbox) -> Self {
        let last = sandbox.scratch().join("root");
        if last.exists() {
            nix::mount::umount(&last).expect("unmounted");
            fs::remove_dir(&last).expect("removed");
        }
        Self::new(sandbox)
    }

    /// Runs a command of ours for this host.
    fn run(&self, command: &str, format: &str, more: &[&str]) -> CommandResult {
        let root = self.root.to_str().expect("text");
        self.sandbox.run(&[&[command, "--root", root, "--format", format], more].concat())
    }

    fn succeeds(&self, command: &str, format: &str, more: &[&str]) -> String {
        let CommandResult { code, out, err } = self.run(command, format, more);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{command} {format} {more:?}: {out}");
        out
    }

    fn fails(&self, command: &str, format: &str, more: &[&str], err: &str) {
        let before = self.files();
        let ran = self.run(command, format, more);
        assert_eq!((ran.code, ran.err.trim_end()), (Some(1), err), "{command} {format} {more:?}");
        assert_eq!(self.files(), before);
    }

    /// Every file and folder, with what is in it.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for file in fs::read_dir(&folder).expect("a folder") {
                let path = file.expect("a file").path();
                let kind = fs::symlink_metadata(&path).expect("a file").file_type();
                let content = if kind.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
                if kind.is_dir() {
                    folders.push(path.clone());
                }
                files.insert(path, content);
            }
        }
        files
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    /// From here on this process sees the host's emulators where the host has them.
    fn show_emulators(&self) {
        let opt = Path::new("/opt");
        let bound = mount(Some(&self.root.join("opt")), opt, None::<&str>, MsFlags::MS_BIND, None::<&str>);
        bound.expect("/opt of the host");
    }
}

fn in_memory(folder: &Path) {
    tests::namespace::cover(folder).expect("a tmpfs");
}

fn runs_programs(sandbox: &Sandbox, name: &str) -> bool {
    runs(sandbox, targets::by_qemu_name(name).expect("known"))
}

/// What `register` makes of the same options, and then nothing.
fn registered(sandbox: &Sandbox, emulators: &str, options: &[&str]) -> BTreeMap<String, String> {
    sandbox.succeeds(&[&["register", "--bindir", emulators], options].concat());
    let entries = sandbox.entries();
    sandbox.succeeds(&["unregister"]);
    assert!(sandbox.names().is_empty());
    entries
}

/// Runs a host's program, which must be content.
fn host_runs(command: &mut Command) -> String {
    let CommandResult { code, out, err } = ran(command);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{command:?}: {out}");
    out
}

/// All handlers, as they come at the start of a machine, and some with flags.
fn read_by_systemd(sandbox: &Sandbox) {
    let program = "/usr/lib/systemd/systemd-binfmt";
    assert!(Path::new(program).exists(), "no {program}; install systemd");
    let host = Host::new(sandbox);
    host.succeeds("persist", "systemd", &[]);
    host.show_emulators();
    for folder in ["/usr/lib/binfmt.d", "/usr/local/lib/binfmt.d", "/run/binfmt.d", "/etc/binfmt.d"] {
        if Path::new(folder).exists() {
            in_memory(Path::new(folder));
        }
    }
    // What a distribution has under the same name, which comes first.
    let theirs = crate::sandbox::line("s390x", "qemu-s390x", "/bin/false", "");
    fs::write("/usr/lib/binfmt.d/qemu-s390x.conf", theirs).expect("written");
    for options in [&[][..], &["--credentials", "--preserve-argv0", "s390x,m68k"]] {
        host.succeeds("persist", "systemd", options);
        let expected = registered(sandbox, EMULATORS, options);
        fs::copy(host.root.join(CONF), "/etc/binfmt.d/registrar.conf").expect("copied");
        host_runs(&mut Command::new(program));
        assert_eq!(sandbox.entries(), expected, "{options:?}");
        assert!(runs_programs(sandbox, "s390x") && runs_programs(sandbox, "m68k"));
        sandbox.succeeds(&[&["status", "--check", "--bindir", EMULATORS], options].concat());
        sandbox.succeeds(&["unregister"]);
    }
}

fn read_by_openrc(sandbox: &Sandbox) {
    let script = packages::unpacked(&["openrc"]).expect("openrc").join("lib/rc/sh/binfmt.sh");
    let host = Host::new(sandbox);
    host.succeeds("persist", "openrc", &["s390x,m68k,riscv64"]);
    host.show_emulators();
    let expected = registered(sandbox, EMULATORS, &["s390x,m68k,riscv64"]);
    host_runs(Command::new("sh").arg(script).arg(host.root.join(CONF)));
    assert_eq!(sandbox.entries(), expected);
    assert!(runs_programs(sandbox, "s390x"));
}

fn again_changes_nothing(sandbox: &Sandbox) {
    for (format, reader) in [("systemd", "systemd-binfmt"), ("openrc", "OpenRC's service binfmt")] {
        let host = Host::renewed(sandbox);
        let before = host.files();
        let out = host.succeeds("persist", format, &["s390x,m68k"]);
        let command = out.rsplit_once("; to register them now: ").expect("a command").1;
        assert_eq!(
            out,
            format!(
                "emulators in {EMULATORS}: 2 copied, 0 unchanged\n\
                 /{CONF}: written\n\
                 read at boot by {reader}\n\
                 2 handlers will be registered at each boot; to register them now: {command}"
            )
        );
        let after = host.files();
        let again = host.succeeds("persist", format, &["s390x,m68k"]);
        assert!(again.contains(": 0 copied, 2 unchanged\n"), "{again}");
        assert!(again.contains(&format!("/{CONF}: unchanged\n")), "{again}");
        assert_eq!(host.files(), after);
        // What is asked for now is all that is there.
        let less = host.succeeds("persist", format, &["s390x"]);
        assert!(less.contains(&format!("/{CONF}: written\n")) && less.contains("\n1 handlers "), "{less}");
        let out = host.succeeds("unpersist", format, &[]);
        let expected = format!("/{CONF}: removed\nemulators in {EMULATORS}: 2 removed\nregistered handlers");
        assert!(out.starts_with(&expected), "{out}");
        // A folder that any host has, if it uses the format, may stay.
        let mut left = host.files();
        left.remove(&host.root.join("etc/binfmt.d"));
        assert_eq!(left, before);
        let out = host.succeeds("unpersist", format, &[]);
        assert!(out.starts_with(&format!("/{CONF}: not there\nregistered handlers")), "{out}");
        assert!(sandbox.names().is_empty(), "it registers nothing");
    }
}

fn leaves_what_is_of_others(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    host.write(CONF, "# mine\n");
    host.write("etc/binfmt.d/qemu-arm.conf", "theirs");
    let advice = "nothing was changed; remove it first";
    host.fails("persist", "systemd", &["arm"], &format!("/{CONF} belongs to another tool; {advice}"));
    assert_eq!(
        host.succeeds("unpersist", "systemd", &[]).lines().next(),
        Some("/etc/binfmt.d/registrar.conf: not there")
    );
    fs::remove_file(host.root.join(CONF)).expect("removed");
    // An emulator of the administrator's own in the same folder, and one that is as ours would be.
    host.write("opt/registrar/bin/qemu-mine", "mine");
    fs::copy("/usr/bin/qemu-m68k-static", host.root.join("opt/registrar/bin/qemu-m68k-static")).expect("copied");
    let before = host.files();
    host.succeeds("persist", "systemd", &["s390x"]);
    host.succeeds("unpersist", "systemd", &[]);
    assert_eq!(host.files(), before);
    let err = "this machine runs programs of these architectures natively";
    host.fails("persist", "openrc", &[std::env::consts::ARCH], err);
}

/// As on hosts whose `/opt` is a link: followed from the host's root, not from the container's.
fn links_stay_inside(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    let outside = sandbox.scratch().join("var/opt");
    fs::remove_dir(host.root.join("opt")).expect("removed");
    for (link, to) in [("/var/opt", "var/opt"), ("../../../../../../../var/opt", "var/opt")] {
        fs::create_dir_all(host.root.join(to)).expect("a folder");
        symlink(link, host.root.join("opt")).expect("a link");
        host.succeeds("persist", "systemd", &["s390x"]);
        assert!(host.root.join(to).join("registrar/bin/qemu-s390x-static").exists(), "{link}");
        assert!(!outside.exists() && !Path::new("/var/opt/registrar").exists(), "{link}");
        host.succeeds("unpersist", "systemd", &[]);
        assert!(!host.root.join(to).join("registrar").exists(), "{link}");
        fs::remove_file(host.root.join("opt")).expect("removed");
    }
}

fn emulators_elsewhere(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    host.succeeds("persist", "openrc", &["s390x", "--copy-to", "/opt/mine"]);
    assert!(host.succeeds("unpersist", "openrc", &[]).contains("emulators in /opt/mine: 1 removed\n"));
    assert!(!host.root.join("opt/mine").exists());
}

/// What is there is the old configuration or the new one, and each emulator that it names is whole; so is what systemd
/// would start.
fn killed(sandbox: &Sandbox) {
    let mut random = random::seeded("persist");
    let host = unit::systemd_host(sandbox);
    let root = host.root.to_str().expect("text");
    let names = ["m68k", "s390x"];
    let options = [&["--unit"][..], &names].concat();
    let start = host.files();
    let begin = Instant::now();
    host.succeeds("persist", "systemd", &options);
    let mut span = begin.elapsed();
    let whole = host.files();
    let mut between = 0;
    for turn in 0..RANDOM_KILLS {
        host.succeeds("unpersist", "systemd", &[]);
        let delay = span.mul_f64(random.f64());
        let mut command = Command::new(sandbox.registrar());
        command.args(["persist", "--root", root, "--format", "systemd"]).args(&options).stdout(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        thread::sleep(delay);
        child.kill().expect("killed, or ended");
        let is_killed = child.wait().expect("it ended").signal() == Some(SIGKILL);
        span = span.mul_f64(if is_killed { 1.05 } else { 0.9 });
        let context = format!("kill {turn} after {delay:?}");
        let found = host.files();
        for (path, content) in &found {
            let is_in_the_making = path.to_string_lossy().ends_with(".registrar-new");
            assert!(is_in_the_making || content.is_empty() || whole.get(path) == Some(content), "{context}: {path:?}");
        }
        let emulators = found.keys().filter(|path| path.to_string_lossy().ends_with("-static")).count();
        assert!(!host.root.join(CONF).exists() || emulators == names.len(), "{context}");
        let is_there = |path: &str| fs::symlink_metadata(host.root.join(path)).is_ok();
        assert!(!is_there(unit::UNIT) || is_there("opt/registrar/bin/registrar"), "{context}");
        assert!(!is_there(unit::LINK) || is_there(unit::UNIT), "{context}");
        between += usize::from(found != whole && found.len() > start.len() + 1);
        // Without another run in between, too.
        if turn % 2 == 0 {
            host.succeeds("persist", "systemd", &options);
            assert_eq!(host.files(), whole, "{context}");
        }
        host.succeeds("unpersist", "systemd", &[]);
        let mut left = host.files();
        for folder in ["etc/binfmt.d", "etc/systemd/system/multi-user.target.wants"] {
            left.remove(&host.root.join(folder));
        }
        assert_eq!(left, start, "{context}");
    }
    println!(
        "persist: {RANDOM_KILLS} kills, {between} of them halfway: nothing half-written, and all of it removed again"
    );
    assert!(between >= RANDOM_KILLS / 10, "too few kills hit: {between}");
}

/// Before the list of emulators is written, nothing but its name tells that a folder is ours.
fn folders_of_a_killed_run(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    let before = host.files();
    for made in ["opt/registrar", "opt/registrar/bin"] {
        fs::create_dir_all(host.root.join(made)).expect("a folder");
        host.succeeds("unpersist", "systemd", &[]);
        assert_eq!(host.files(), before, "{made}");
    }
    // One of another name is the administrator's.
    fs::create_dir(host.root.join("opt/mine")).expect("a folder");
    host.succeeds("unpersist", "systemd", &["--copy-to", "/opt/mine"]);
    assert!(host.root.join("opt/mine").exists());
}

fn export(sandbox: &Sandbox) {
    let expected = registered(sandbox, "/usr/bin", &[]);
    let rules = sandbox.succeeds(&["export"]);
    assert_eq!(rules.lines().count(), expected.len());
    for rule in rules.lines() {
        sandbox.add(rule);
    }
    assert_eq!(sandbox.entries(), expected);
}
