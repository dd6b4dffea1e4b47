//! Root among users: what another user owns, may write or locks is neither used nor waited for, and what another tool has
//! put somewhere stays there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{CONF, EMULATORS, HEADER, Host};
use crate::sandbox::{Sandbox, scoped};
use crate::{Test, test};

pub(super) const TESTS: &[Test] = &[
    Test { second_user: true, ..test("persist/others/nothing_of_another_user_is_used", nothing_is_used) },
    Test { second_user: true, ..test("persist/others/copies_are_not_put_beside_his", nothing_is_copied) },
    Test { second_user: true, ..test("persist/others/his_locks_do_not_matter", locks_do_not_matter) },
    Test { second_user: true, ..test("persist/others/access_control_lists", access_control_lists) },
    test("persist/others/folders_are_for_all_users", folders_are_for_all),
    test("persist/others/files_of_other_tools_stay", files_stay),
    test("persist/others/a_second_folder_leaves_the_first_known", a_second_folder),
    test("persist/others/the_folder_of_the_configuration", into_the_configuration),
    test("persist/others/runs_at_once_on_a_new_host", at_once),
];

/// The other user.
const HIS: u32 = 1;

/// What no run may wait for.
const AT_ONCE: Duration = Duration::from_secs(5);

const S390X: &str = "opt/registrar/bin/qemu-s390x-static";

fn give(path: &Path) {
    lchown(path, Some(HIS), Some(HIS)).expect("given to another user");
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// Lets the other user do what `his` says as far as `mask` goes, in the kernel's format: version, then tag, rights and id.
fn allow_him(path: &Path, attribute: &str, his: u16, mask: u16) {
    const NOBODY: u32 = u32::MAX;
    let entries = [(1, 7, NOBODY), (2, his, HIS), (4, 5, NOBODY), (0x10, mask, NOBODY), (0x20, 5, NOBODY)];
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        list.extend([u16::to_le_bytes(tag), rights.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    rustix::fs::setxattr(path, attribute, &list, rustix::fs::XattrFlags::empty()).expect("a list");
}

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// Cases: what is exposed, the path that is named, and how.
type Case = (fn(&Host), &'static str, &'static str);

const OWNED: &str = "belongs to uid 1, who may change it; nothing was changed; first: chown root:";
const WRITABLE: &str = "other users may write to it; nothing was changed; first: chmod go-w";

fn copied(host: &Host) {
    fs::create_dir_all(host.root.join(EMULATORS.trim_start_matches('/'))).expect("a folder");
    fs::copy("/usr/bin/qemu-s390x-static", host.root.join(S390X)).expect("copied");
}

const CASES: &[Case] = &[
    (|host| give(&host.root.join("opt")), "/opt", OWNED),
    (|host| allow(&host.root.join("opt"), 0o777), "/opt", WRITABLE),
    (|host| allow(&host.root.join("opt"), 0o757), "/opt", WRITABLE),
    (
        |host| {
            chown(host.root.join("opt"), None, Some(HIS)).expect("a group");
            allow(&host.root.join("opt"), 0o775);
        },
        "/opt",
        WRITABLE,
    ),
    (
        |host| {
            copied(host);
            give(&host.root.join("opt/registrar"));
        },
        "/opt/registrar",
        OWNED,
    ),
    (
        |host| {
            copied(host);
            give(&host.root.join(S390X));
        },
        "/opt/registrar/bin/qemu-s390x-static",
        OWNED,
    ),
    (
        |host| {
            copied(host);
            allow(&host.root.join(S390X), 0o757);
        },
        "/opt/registrar/bin/qemu-s390x-static",
        WRITABLE,
    ),
    (|host| allow_him(&host.root.join("opt"), ACCESS, 7, 7), "/opt", WRITABLE),
    (
        |host| {
            copied(host);
            allow_him(&host.root.join(S390X), ACCESS, 6, 7);
        },
        "/opt/registrar/bin/qemu-s390x-static",
        WRITABLE,
    ),
    (
        // A folder where each user's names are his own, and a link of his to a folder of root's.
        |host| {
            fs::remove_dir(host.root.join("opt")).expect("removed");
            fs::create_dir_all(host.root.join("shared")).expect("a folder");
            fs::create_dir_all(host.root.join("good")).expect("a folder");
            allow(&host.root.join("shared"), 0o1777);
            symlink("/good", host.root.join("shared/link")).expect("a link");
            give(&host.root.join("shared/link"));
            symlink("/shared/link", host.root.join("opt")).expect("a link");
        },
        "/shared/link",
        OWNED,
    ),
];

fn refused(host: &Host, arguments: &[&str], message: &str) {
    let (before, start) = (host.files(), Instant::now());
    let ran = host.sandbox.run(arguments);
    assert_eq!((ran.code, ran.err.trim_end()), (Some(1), message), "{arguments:?}");
    assert!(start.elapsed() < AT_ONCE, "{arguments:?}: {:?}", start.elapsed());
    assert_eq!(host.files(), before, "{arguments:?}");
    assert!(host.sandbox.names().is_empty());
}

fn nothing_is_used(sandbox: &Sandbox) {
    let of_the_configuration: &[Case] = &[
        (|host| give(&host.root.join("etc")), "/etc", OWNED),
        (
            |host| {
                host.write(CONF, HEADER);
                give(&host.root.join(CONF));
            },
            "/etc/binfmt.d/registrar.conf",
            OWNED,
        ),
        (
            |host| {
                host.write("opt/registrar/bin/.registrar", "");
                give(&host.root.join("opt/registrar/bin/.registrar"));
            },
            "/opt/registrar/bin/.registrar",
            OWNED,
        ),
        (|host| give(&host.root), "/", OWNED),
    ];
    for (change, path, cause) in CASES.iter().chain(of_the_configuration) {
        let host = Host::renewed(sandbox);
        change(&host);
        let root = host.root.to_str().expect("text");
        let path = if *path == "/" { root } else { path };
        let arguments = ["persist", "--root", root, "--format", "systemd", "s390x"];
        refused(&host, &arguments, &format!("{path}: {cause} {path}"));
    }
    // The list that another user has written removes nothing.
    let host = Host::renewed(sandbox);
    host.succeeds("persist", "systemd", &["s390x"]);
    give(&host.root.join("opt/registrar/bin/.registrar"));
    assert_eq!(host.run("unpersist", "systemd", &[]).code, Some(1));
    assert!(host.root.join(S390X).exists());
}

/// `register --copy-to`, whose root is the machine's own.
fn nothing_is_copied(sandbox: &Sandbox) {
    for (change, path, cause) in CASES {
        // Absolute links lead elsewhere there.
        if *path == "/shared/link" {
            continue;
        }
        let host = Host::renewed(sandbox);
        change(&host);
        let below = |path: &str| format!("{}{path}", host.root.display());
        let arguments = ["register", "--copy-to", &below(EMULATORS), "s390x"];
        refused(&host, &arguments, &format!("{0}: {cause} {0}", below(path)));
    }
    // An emulator that another user may change is no original either, and a FIFO of his is not waited for.
    let host = Host::renewed(sandbox);
    let from = host.root.join("from");
    fs::create_dir(&from).expect("a folder");
    let original = from.join("qemu-s390x-static");
    fs::copy("/usr/bin/qemu-s390x-static", &original).expect("copied");
    give(&original);
    let (to, from) = (format!("{}/to", host.root.display()), from.display().to_string());
    let arguments = ["register", "--bindir", &from, "--copy-to", &to, "s390x"];
    let ran = sandbox.run(&arguments);
    assert_eq!((ran.code, ran.err), (Some(1), format!("{}: {OWNED} {from}/*\n", original.display())));
    fs::remove_file(&original).expect("removed");
    nix::unistd::mkfifo(&original, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    give(&original);
    let start = Instant::now();
    assert_eq!(sandbox.run(&arguments).code, Some(1));
    assert!(start.elapsed() < AT_ONCE);
    assert!(sandbox.names().is_empty());
}

/// Holds the lock of a file or folder as the other user, if he can open it.
fn locked(path: &Path) -> Child {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=1", "--clear-groups", "flock", "--no-fork"]).arg(path).args(["sleep", "60"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started")
}

fn locks_do_not_matter(sandbox: &Sandbox) {
    let host = Host::renewed(sandbox);
    // Others may pass through the folders of this test, as through a host's.
    for folder in [sandbox.scratch(), &host.root] {
        allow(folder, 0o755);
    }
    host.succeeds("persist", "systemd", &["s390x"]);
    let folders = ["etc", "etc/binfmt.d", "etc/systemd", "opt", "opt/registrar", "opt/registrar/bin"];
    let folders = folders.map(|folder| host.root.join(folder));
    let there = folders.iter().filter(|folder| folder.exists());
    let mut held: Vec<_> = there.flat_map(|folder| [locked(folder), locked(&folder.join(".registrar-lock"))]).collect();
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    host.succeeds("persist", "systemd", &["s390x,m68k"]);
    let copies = format!("{}/opt/registrar/bin", host.root.display());
    sandbox.succeeds(&["register", "--copy-to", &copies, "s390x"]);
    host.succeeds("unpersist", "systemd", &[]);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    for child in &mut held {
        // Some could not open what they were to lock.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn folders_are_for_all(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(sandbox.registrar());
    command.args(["persist", "--format", "systemd", "s390x", "--root"]).arg(&host.root);
    assert!(command.stdout(Stdio::null()).status().expect("started").success());
    let paths = ["opt/registrar", "opt/registrar/bin", "etc/binfmt.d", S390X, CONF];
    let modes = paths.map(|path| fs::metadata(host.root.join(path)).expect("a file").mode() & 0o7777);
    assert_eq!(modes, [0o755, 0o755, 0o755, 0o755, 0o644]);
}

/// The mask keeps him from writing, and what is made in a folder whose list is inherited has one.
fn access_control_lists(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    copied(&host);
    allow_him(&host.root.join(S390X), ACCESS, 7, 5);
    host.succeeds("persist", "systemd", &["s390x"]);
    host.succeeds("unpersist", "systemd", &[]);
    for made in ["opt/registrar", "etc/binfmt.d"] {
        fs::remove_dir_all(host.root.join(made)).expect("removed");
    }
    for folder in ["opt", "etc"] {
        allow_him(&host.root.join(folder), ACCESS, 7, 5);
        allow_him(&host.root.join(folder), DEFAULT, 7, 7);
    }
    host.succeeds("persist", "systemd", &["s390x"]);
    for made in ["opt/registrar", "opt/registrar/bin", S390X, "etc/binfmt.d", CONF] {
        let path = host.root.join(made);
        let list = rustix::fs::getxattr(&path, ACCESS, &mut [0; 64]);
        assert!(list.is_ok_and(|length| length > 0), "{made} has a list");
        let his =
            Command::new("setpriv").args(["--reuid=1", "--regid=1", "--groups=1", "test", "-w"]).arg(&path).status();
        assert_eq!(his.expect("started").code(), Some(1), "{made}");
    }
}

fn files_stay(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    let theirs = "usr/bin/qemu-s390x-static";
    host.write(theirs, "a packaged emulator");
    let message = format!("/{theirs} belongs to another tool; nothing was changed; remove it first");
    host.fails("persist", "systemd", &["--copy-to", "/usr/bin", "s390x"], &message);
    host.succeeds("persist", "systemd", &["--copy-to", "/usr/bin", "m68k"]);
    host.succeeds("unpersist", "systemd", &[]);
    assert_eq!(fs::read_to_string(host.root.join(theirs)).expect("theirs"), "a packaged emulator");
    let from = sandbox.scratch().join("from");
    fs::create_dir(&from).expect("a folder");
    let mut bytes = fs::read("/usr/bin/qemu-s390x-static").expect("an emulator");
    bytes.push(0);
    fs::write(from.join("qemu-s390x-static"), bytes).expect("written");
    allow(&from.join("qemu-s390x-static"), 0o755);
    let from = from.to_str().expect("text");
    // A folder of this namespace covers one of the machine's, which is never written to.
    let covering = host.root.join("usr/bin");
    let bound =
        nix::mount::mount(Some(&covering), "/usr/src", None::<&str>, nix::mount::MsFlags::MS_BIND, None::<&str>);
    bound.expect("covered");
    let message = "/usr/src/qemu-s390x-static belongs to another tool; nothing was changed; remove it first";
    sandbox.fails(&["register", "--bindir", from, "--copy-to", "/usr/src", "s390x"], message);
}

fn a_second_folder(sandbox: &Sandbox) {
    let host = Host::new(sandbox);
    let before = host.files();
    for folder in ["/opt/one", "/opt/two", "/opt/three"] {
        host.succeeds("persist", "systemd", &["--copy-to", folder, "s390x"]);
    }
    let out = host.succeeds("unpersist", "systemd", &[]);
    for folder in ["/opt/one", "/opt/two", "/opt/three"] {
        assert!(out.contains(&format!("emulators in {folder}: 1 removed\n")), "{out}");
    }
    let mut left = host.files();
    left.remove(&host.root.join("etc/binfmt.d"));
    assert_eq!(left, before);
}

fn into_the_configuration(sandbox: &Sandbox) {
    for folder in ["/etc/binfmt.d", "/opt/link", "/etc/systemd/system"] {
        let host = Host::renewed(sandbox);
        fs::create_dir_all(host.root.join("etc/systemd/system")).expect("a folder");
        symlink("../etc/binfmt.d", host.root.join("opt/link")).expect("a link");
        let start = Instant::now();
        host.succeeds("persist", "systemd", &["--unit", "--copy-to", folder, "s390x"]);
        assert!(host.root.join(&folder[1..]).join("qemu-s390x-static").exists());
        host.succeeds("unpersist", "systemd", &[]);
        assert!(start.elapsed() < AT_ONCE, "{folder}: {:?}", start.elapsed());
        assert!(!host.root.join(&folder[1..]).join("qemu-s390x-static").exists(), "{folder}");
    }
}

fn at_once(sandbox: &Sandbox) {
    for turn in 0..10 {
        let host = Host::renewed(sandbox);
        fs::create_dir_all(host.root.join("etc/systemd/system")).expect("a folder");
        let (root, copies) = (host.root.display().to_string(), format!("{}{EMULATORS}", host.root.display()));
        let persist = ["persist", "--root", &root, "--format", "systemd", "m68k"];
        let with_unit = [&persist[..], &["--unit"]].concat();
        let register = ["register", "--copy-to", &copies, "m68k"];
        let runs = [&persist[..], &with_unit, &register, &persist].map(|arguments| {
            // By themselves they rarely meet; in the first turn each is held up where it has missed a folder and makes it.
            let mut command = Command::new(if turn == 0 { "strace" } else { "env" });
            if turn == 0 {
                let inject = "-einject=?mkdir,mkdirat:delay_enter=200ms";
                command.args(["--quiet=all", "-e", "trace=?mkdir,mkdirat", inject, "-o", "/dev/null"]);
            }
            command.arg(sandbox.registrar()).args(scoped(arguments)).stdout(Stdio::null()).spawn().expect("started")
        });
        for mut run in runs {
            assert!(run.wait().expect("it ends").success(), "turn {turn}");
        }
        sandbox.succeeds(&["unregister"]);
    }
}
