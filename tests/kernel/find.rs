//! Where `registrar` finds `binfmt_misc`, and where it mounts it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::unistd::chroot;
use tests::{binfmt_misc, namespace};

use crate::sandbox::{CommandResult, PYTHON, Sandbox, line, ran, scoped};
use crate::{Test, test};

/// How long to wait for another process, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const TESTS: &[Test] = &[
    Test { mounted: false, ..test("find/mounts_when_absent", mounts_when_absent) },
    Test { mounted: false, ..test("find/takes_its_mount_back", takes_its_mount_back) },
    Test {
        mounted: false,
        ..test("find/takes_its_mount_of_others_entries_back", takes_its_mount_of_others_entries_back)
    },
    Test {
        mounted: false,
        ..test("find/keeps_a_mount_with_what_it_registered", keeps_a_mount_with_what_it_registered)
    },
    Test { mounted: false, ..test("find/hides_nothing", hides_nothing) },
    Test { mounted: false, ..test("find/bound_before_the_host_mounted", bound_before_the_host_mounted) },
    Test { mounted: false, ..test("find/no_proc", no_proc) },
    test("find/another_run_mounted_meanwhile", another_run_mounted_meanwhile),
    test("find/another_run_unmounted_meanwhile", another_run_unmounted_meanwhile),
    test("find/register_that_is_never_there", register_that_is_never_there),
    Test { mounted: false, ..test("find/unregister_leaves_no_mount", unregister_leaves_no_mount) },
    Test { mounted: false, ..test("find/status_never_mounts", status_never_mounts) },
    Test { mounted: false, ..test("find/bind_mount_first", bind_mount_first) },
    Test { mounted: false, ..test("find/mount_option", mount_option) },
    Test { mounted: false, ..test("find/mount_option_without_folder", mount_option_without_folder) },
];

fn is_mounted(folder: &Path) -> bool {
    folder.join("status").exists()
}

fn mounts() -> Vec<String> {
    binfmt_misc::mounts().expect("mounts can be read")
}

fn mounts_when_absent(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

fn takes_its_mount_back(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&[]);
    let folder = folder.to_str().expect("text");
    // A third call would fail; there are two.
    let traced = "mount,umount2:error=EIO:when=3";
    let (ran, calls) = sandbox.run_injected(traced, None, &["register", "s390x", "--bindir", folder]);
    let err = format!(
        "registering qemu-s390x: {folder}/qemu-s390x-static: no such file; --bindir names the folder of the emulators\n"
    );
    assert_eq!((ran.code, ran.err), (Some(1), err));
    let calls: Vec<_> = calls.lines().map(|line| (line.split('(').next(), line.ends_with("= 0"))).collect();
    assert_eq!(calls, [(Some("mount"), true), (Some("umount2"), true)]);
    assert_eq!(mounts(), Vec::<String>::new());
}

/// The instance has entries, which another mount holds. What is not mounted in a user namespace is not looked for.
fn takes_its_mount_of_others_entries_back(sandbox: &Sandbox) {
    let held = sandbox.scratch().join("held");
    fs::create_dir(&held).expect("created");
    namespace::mount_binfmt_misc(&held).expect("mounted");
    let register = |line: &str| fs::write(held.join("register"), line).expect("registered");
    register(PYTHON.1);
    register(&line("s390x", "qemu-s390x", "/usr/bin/qemu-s390x-static", "F"));
    let held_alone = || {
        assert_eq!(mounts(), [held.to_str().expect("text")]);
        let entries = binfmt_misc::entries(&held).expect("read");
        assert_eq!(entries.into_keys().collect::<Vec<_>>(), [PYTHON.0, "qemu-s390x"]);
    };
    assert_eq!(sandbox.succeeds(&["unregister"]), "nothing was registered\n");
    held_alone();
    fs::write(held.join("status"), "0").expect("disabled");
    assert_eq!(sandbox.run(&["register"]).code, Some(1));
    held_alone();
}

fn keeps_a_mount_with_what_it_registered(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let ran = sandbox.run(&["register", "m68k,s390x", "--bindir", folder.to_str().expect("text")]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

fn hides_nothing(sandbox: &Sandbox) {
    let full = sandbox.emulators(&["s390x"]);
    for folder in [full.to_str().expect("text"), "/etc", "/", "/etc/passwd"] {
        for command in ["register", "unregister"] {
            let err = format!("{folder}: neither binfmt_misc nor an empty folder; a mount would hide what is there");
            assert_eq!(sandbox.fails(&[command, "--mount", folder], &err), "");
            assert_eq!(mounts(), Vec::<String>::new());
        }
    }
}

/// What `statfs` says once about the usual place is as it was before the other run mounted.
fn another_run_mounted_meanwhile(sandbox: &Sandbox) {
    let before = mounts();
    let (ran, calls) = sandbox.run_injected("statfs,mount:error=ENOENT:when=2", None, &["register", "s390x"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(calls.contains("EBUSY"), "{calls}");
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
    assert_eq!(mounts(), before);
}

/// After this run has opened `register`, and before it has the lock, for which it need not wait.
fn another_run_unmounted_meanwhile(sandbox: &Sandbox) {
    let folder = sandbox.folder();
    let register = folder.join("register");
    let has_register_open = |process: fs::DirEntry| {
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file == register)
    };
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            while !fs::read_dir("/proc").expect("processes").flatten().any(has_register_open) {
                assert!(start.elapsed() < TIMEOUT, "nobody has opened register");
                thread::sleep(Duration::from_millis(5));
            }
            umount2(folder, MntFlags::MNT_DETACH).expect("unmounted");
        });
        let words = ["register", "s390x", "--temporary"];
        sandbox.run_injected("flock:delay_enter=1000000:when=1", None, &words).0
    });
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(sandbox.names(), ["qemu-s390x"]);
}

fn register_that_is_never_there(sandbox: &Sandbox) {
    let path = "/proc/sys/fs/binfmt_misc/register";
    let (ran, _) = sandbox.run_injected("?open,openat:error=ENOENT", Some(path), &["register", "s390x"]);
    let err =
        format!("{path}: not there, for 30 s; see what mounts and unmounts binfmt_misc there, then run this again\n");
    assert_eq!((ran.code, ran.err, ran.out.as_str()), (Some(1), err, ""));
}

fn unregister_leaves_no_mount(sandbox: &Sandbox) {
    assert_eq!(sandbox.succeeds(&["unregister"]), "nothing was registered\n");
    assert!(!is_mounted(sandbox.folder()));
}

fn status_never_mounts(sandbox: &Sandbox) {
    sandbox.fails(
        &["status"],
        "binfmt_misc is not mounted at /proc/sys/fs/binfmt_misc; `registrar register` as root mounts it, \
         a container needs -v /proc/sys/fs/binfmt_misc:/binfmt_misc",
    );
    assert!(!is_mounted(sandbox.folder()));
}

/// A root folder with an emulator and these folders, as a container's.
fn container<'s>(sandbox: &'s Sandbox, folders: &[&str]) -> &'s Path {
    let root = sandbox.scratch();
    for folder in folders.iter().chain(&["usr/bin"]) {
        fs::create_dir_all(root.join(folder)).expect(folder);
    }
    fs::copy("/usr/bin/qemu-s390x-static", root.join("usr/bin/qemu-s390x-static")).expect("copied");
    fs::copy(sandbox.registrar(), root.join("registrar")).expect("copied");
    if folders.iter().any(|folder| folder.starts_with("proc/")) {
        // So much of /proc is needed to try rules.
        fs::create_dir_all(root.join("proc/thread-self")).expect("created");
        fs::copy(sandbox.registrar(), root.join("proc/thread-self/exe")).expect("copied");
    }
    root
}

fn enter(root: &Path) {
    chroot(root).expect("another root");
    std::env::set_current_dir("/").expect("inside");
}

fn run_inside(arguments: &[&str]) -> CommandResult {
    ran(Command::new("/registrar").args(scoped(arguments)))
}

/// As with `-v /proc/sys/fs/binfmt_misc:/binfmt_misc`, in a container whose user namespace has an instance of its own.
fn bind_mount_first(sandbox: &Sandbox) {
    let root = container(sandbox, &["binfmt_misc", "proc/sys/fs/binfmt_misc"]);
    namespace::mount_binfmt_misc(&root.join("binfmt_misc")).expect("mounted");
    namespace::enter(namespace::Users::One(0)).expect("a namespace inside");
    namespace::mount_binfmt_misc(&root.join("proc/sys/fs/binfmt_misc")).expect("mounted");
    enter(root);
    let ran = run_inside(&["register", "s390x"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let names = |folder| binfmt_misc::entries(Path::new(folder)).expect("read").into_keys().collect::<Vec<_>>();
    assert_eq!(names("/binfmt_misc"), ["qemu-s390x"]);
    assert_eq!(names(binfmt_misc::DEFAULT_MOUNT_POINT), Vec::<String>::new());
}

fn bound_before_the_host_mounted(sandbox: &Sandbox) {
    enter(container(sandbox, &["binfmt_misc", "proc/sys/fs/binfmt_misc"]));
    for command in ["register", "unregister", "status"] {
        let ran = run_inside(&[command]);
        let err = "/binfmt_misc is not binfmt_misc; on the host: mount -t binfmt_misc binfmt_misc \
                   /proc/sys/fs/binfmt_misc, or systemctl start proc-sys-fs-binfmt_misc.mount; then run this again\n";
        assert_eq!((ran.code, ran.err.as_str(), ran.out.as_str()), (Some(1), err, ""));
        assert!(!is_mounted(Path::new(binfmt_misc::DEFAULT_MOUNT_POINT)));
    }
}

fn no_proc(sandbox: &Sandbox) {
    enter(container(sandbox, &[]));
    let ran = run_inside(&["register"]);
    let err = "mounting binfmt_misc at /proc/sys/fs/binfmt_misc: no /proc here; mount it, or run in a container with \
               -v /proc/sys/fs/binfmt_misc:/binfmt_misc\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), err));
}

fn mount_option(sandbox: &Sandbox) {
    let here = sandbox.scratch().join("here");
    fs::create_dir(&here).expect("created");
    let option = here.to_str().expect("text");
    for expected in ["registered", "refreshed"] {
        let out = sandbox.succeeds(&["--mount", option, "register", "s390x"]);
        assert!(out.contains(expected), "{out}");
        assert!(binfmt_misc::entries(&here).expect("read").contains_key("qemu-s390x"));
        assert!(!is_mounted(sandbox.folder()));
    }
    assert!(
        sandbox.succeeds(&["status", "s390x", "--mount", option]).starts_with(&format!("binfmt_misc at {option}\n"))
    );
}

fn mount_option_without_folder(sandbox: &Sandbox) {
    let cases = [
        ("/nonexistent", "mounting binfmt_misc at /nonexistent: no such directory; create it"),
        ("", "--mount '': no folder"),
    ];
    for (folder, err) in cases {
        assert_eq!(sandbox.fails(&["register", "--mount", folder], err), "");
    }
}
