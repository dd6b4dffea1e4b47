//! Names and paths that are not UTF-8, and paths with lines in them that look like the kernel's own.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use codegen::targets;

use crate::register::{runs, test_program};
use crate::sandbox::{CommandResult, SCOPE, Sandbox, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("bytes/uninstall", uninstall),
    test("bytes/interpreters_with_lines_in_them", interpreters_with_lines_in_them),
    test("bytes/extensions_with_lines_in_them", extensions_with_lines_in_them),
    test("bytes/magic_that_only_a_path_has", magic_that_only_a_path_has),
    test("bytes/an_emulator_in_a_folder_of_any_name", an_emulator_in_a_folder_of_any_name),
    test("bytes/folders_and_names_of_emulators", folders_and_names_of_emulators),
    Test { mounted: false, ..test("bytes/mount_points", mount_points) },
    Test { mounted: false, ..test("bytes/processes", processes) },
    Test { mounted: false, second_user: true, ..test("bytes/the_program_itself", the_program_itself) },
];

/// An interpreter of somebody else, which fails.
const THEIRS: &str = "/bin/false";

fn add(sandbox: &Sandbox, line: impl AsRef<[u8]>) {
    fs::write(sandbox.folder().join("register"), line).expect("registered");
}

/// The rule of s390x with a name, path and flags of any bytes, such as the usual delimiter.
fn rule(name: &[u8], path: &[u8], flags: &str) -> Vec<u8> {
    let line = line("s390x", "NAME", "PATH", flags).replace(':', "|");
    let (before, rest) = line.split_once("NAME").expect("a name");
    let (magic, after) = rest.split_once("PATH").expect("a path");
    [before.as_bytes(), name, magic.as_bytes(), path, after.as_bytes()].concat()
}

fn names(sandbox: &Sandbox) -> Vec<OsString> {
    let files = fs::read_dir(sandbox.folder()).expect("a folder");
    let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
    names.retain(|name| name != "register" && name != "status");
    names.sort();
    names
}

/// Runs tonistiigi's command line.
fn tonistiigi(sandbox: &Sandbox, words: &[&[u8]]) -> CommandResult {
    let words = words.iter().map(|word| OsStr::from_bytes(word));
    ran(Command::new(sandbox.registrar()).args(words).env("REGISTRAR_SCOPE", "userns"))
}

fn uninstall(sandbox: &Sandbox) {
    const ALL: [&[u8]; 5] = [b"b-\x80", b"qemu-\xc3\xa9", b"qemu-\xfe", b"qemu-\xff", b"qemu-\xff.registrar"];
    let expect = |expected: &[&[u8]]| {
        assert_eq!(names(sandbox), expected.iter().map(|name| OsStr::from_bytes(name)).collect::<Vec<_>>());
    };
    ALL.iter().for_each(|name| add(sandbox, rule(name, THEIRS.as_bytes(), "")));
    expect(&ALL);
    // It stands for what is not UTF-8 where that is printed.
    let typed = tonistiigi(sandbox, &[b"--uninstall", "qemu-\u{fffd}".as_bytes()]);
    assert_eq!((typed.code, typed.err.as_str()), (Some(0), "uninstalling: qemu-\u{fffd} not found\n"));
    expect(&ALL);
    let typed = tonistiigi(sandbox, &[b"--uninstall=qemu-\xff,\x80"]);
    let expected = "uninstalling: b-\u{fffd} OK\nuninstalling: qemu-\u{fffd} OK\n\
                    uninstalling: qemu-\u{fffd}.registrar OK\n";
    assert_eq!((typed.code, typed.err.as_str()), (Some(0), expected));
    expect(&[ALL[1], ALL[2]]);
    let all = tonistiigi(sandbox, &[b"-uninstall", b"qemu-*"]);
    assert_eq!((all.code, all.err.lines().count()), (Some(0), 2), "{}", all.err);
    expect(&[]);
}

fn interpreters_with_lines_in_them(sandbox: &Sandbox) {
    const OURS: &str = "/usr/bin/qemu-s390x-static";
    let paths = [
        format!("{OURS}\nflags: F\noffset 0"),
        format!("{OURS}\n"),
        format!("{THEIRS}\ninterpreter {OURS}"),
        format!("{THEIRS}\ninterpreter {OURS}\nflags: POF"),
    ];
    for path in paths {
        add(sandbox, rule(b"qemu-s390x", path.as_bytes(), ""));
        let before = sandbox.entries();
        let status = sandbox.succeeds(&["status", "s390x"]);
        assert!(status.contains("served") && status.contains("\\n"), "{path:?}: {status}");
        let left = sandbox.succeeds(&["unregister"]);
        assert!(left.contains("\nnothing was registered; left on: qemu-s390x ("), "{path:?}: {left}");
        sandbox.succeeds(&["register", "s390x"]);
        assert_eq!(sandbox.names(), ["qemu-s390x", "qemu-s390x.registrar"], "{path:?}");
        sandbox.succeeds(&["unregister"]);
        assert_eq!(sandbox.entries(), before, "{path:?}");
        sandbox.write("qemu-s390x", "-1");
    }
}

fn extensions_with_lines_in_them(sandbox: &Sandbox) {
    add(sandbox, format!(":qemu-jar:E::jar\noffset 0\nmagic 7f454c46::{THEIRS}:"));
    let ran = tonistiigi(sandbox, &[b"--uninstall", b"qemu-*"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(sandbox.names(), ["qemu-jar"]);
    assert!(sandbox.succeeds(&["status", "s390x"]).contains("absent"));
}

/// The mask of an entry that has none.
fn magic_that_only_a_path_has(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let before = sandbox.entries();
    add(sandbox, format!("|theirs|M||\\x7fELF\\x02\\x02\\x01\\x09||{THEIRS}\nflags: \nmask 0000000000000000|"));
    assert!(runs(sandbox, targets::by_qemu_name("s390x").expect("known")));
    assert!(sandbox.succeeds(&["register", "s390x"]).contains("1 refreshed"));
    assert!(sandbox.succeeds(&["status", "--check", "s390x"]).contains("registered"));
    sandbox.write("theirs", "-1");
    assert_eq!(sandbox.entries(), before);
}

fn an_emulator_in_a_folder_of_any_name(sandbox: &Sandbox) {
    let folder = sandbox.scratch().join(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&folder).expect("a folder");
    let path = folder.join("qemu-s390x-static");
    fs::copy("/usr/bin/qemu-s390x-static", &path).expect("copied");
    add(sandbox, rule(b"qemu-s390x", path.as_os_str().as_bytes(), "POF"));
    let found = sandbox.succeeds(&["doctor", "s390x"]);
    assert!(found.contains("/qemu-s390x-static is static"), "{found}");
    // It is no other folder's of a name that is printed the same.
    let other = sandbox.scratch().join("\u{fffd}");
    fs::create_dir(&other).expect("a folder");
    symlink(&path, other.join("qemu-s390x-static")).expect("a link");
    let status = ran(Command::new(sandbox.registrar()).args(["status", "s390x", "--bindir"]).arg(&other));
    assert!(status.out.contains("different") && status.out.contains("emulator in another folder"), "{status:?}");
}

fn folders_and_names_of_emulators(sandbox: &Sandbox) {
    let value = OsStr::from_bytes(b"/opt/\xff");
    let expected =
        |of: &str, error: &str| CommandResult { code: Some(1), out: String::new(), err: format!("{of}{error}\n") };
    let folder = |of: &str| expected(of, " '/opt/\u{fffd}': not UTF-8");
    let run = |words: &[&OsStr], name: &str| {
        ran(Command::new(sandbox.registrar()).args(words).env("REGISTRAR_SCOPE", "userns").env(name, value))
    };
    let [register, install, target] = ["register", "--install", "s390x"].map(OsStr::new);
    assert_eq!(run(&[register, target], "QEMU_BINARY_PATH"), folder("QEMU_BINARY_PATH"));
    assert_eq!(run(&[install, target], "QEMU_BINARY_PATH"), folder("QEMU_BINARY_PATH"));
    assert_eq!(run(&[OsStr::new("--reset")], "QEMU_BIN_DIR"), folder("QEMU_BIN_DIR"));
    assert_eq!(
        run(&["--reset", "--qemu-path"].map(OsStr::new).iter().copied().chain([value]).collect::<Vec<_>>(), "X"),
        folder("--qemu-path")
    );
    for words in [[register, target], [install, target]] {
        let refused = run(&words, "QEMU_BINARY_PREFIX");
        assert!(refused.code == Some(1) && refused.err.contains("must be UTF-8"), "{refused:?}");
    }
    assert_eq!(names(sandbox), Vec::<OsString>::new());
}

fn mount_points(sandbox: &Sandbox) {
    let folder = sandbox.scratch().join(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&folder).expect("a folder");
    let attached = [b"--mount=", folder.as_os_str().as_bytes()].concat();
    for words in [&[b"--mount", folder.as_os_str().as_bytes()][..], &[&attached]] {
        let words = [words, &[b"--install", b"s390x"]].concat();
        let installed = tonistiigi(sandbox, &words);
        assert_eq!((installed.code, installed.err.as_str()), (Some(0), "installing: s390x OK\n"));
        assert!(folder.join("qemu-s390x").exists());
    }
}

/// What keeps a mount is found whatever it is called.
fn processes(sandbox: &Sandbox) {
    sandbox.lose_keeper();
    let sleep = sandbox.scratch().join(OsStr::from_bytes(b"\xff"));
    symlink("/bin/sleep", &sleep).expect("a link");
    let mut keeper = Command::new("setsid").arg(&sleep).arg("60").stdout(Stdio::null()).spawn().expect("started");
    while fs::read(format!("/proc/{}/comm", keeper.id())).expect("it runs") != b"\xff\n" {
        thread::yield_now();
    }
    let registered = sandbox.run(&["register", "s390x"]);
    keeper.kill().and_then(|()| keeper.wait()).expect("ended");
    assert_eq!((registered.code, registered.err.as_str()), (Some(0), ""));
}

/// The kernel shows its name beside what it may do.
fn the_program_itself(sandbox: &Sandbox) {
    let path: PathBuf = sandbox.scratch().join(OsString::from_vec(b"\xff".into()));
    symlink(sandbox.registrar(), &path).expect("a link");
    let program = test_program(sandbox, targets::by_qemu_name("s390x").expect("known"));
    let command = format!("setpriv --reuid=1 --regid=1 --groups=1 id -u; {}; echo $?", program.display());
    let all = ran(Command::new(&path).args(["run", "sh", "-c", &command]));
    assert_eq!((all.code, all.out.as_str()), (Some(0), "1\n29\n"), "{}", all.err);
    let refused = ran(Command::new("setpriv")
        .args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"])
        .arg(&path)
        .args(["register", SCOPE, "--dry-run", "s390x"]));
    assert_eq!(refused.code, Some(1), "{}", refused.out);
}
