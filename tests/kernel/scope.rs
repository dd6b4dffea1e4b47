//! Namespaces in each other: the instance of the one above shows in a new one too, and is left alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use codegen::targets;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::pivot_root;
use tests::{binfmt_misc, namespace};

use crate::register::test_program;
use crate::sandbox::{CommandResult, PYTHON, SCOPE, Sandbox, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("scope/own_instance_over_that_of_the_same_root", own_over_that_of_the_same_root),
    Test { second_user: true, ..test("scope/own_instance_over_that_of_another_root", own_over_that_of_another_root) },
    test("scope/what_is_there_without_the_capability_to_mount", without_the_capability_to_mount),
    test("scope/run_over_an_instance", run_over_an_instance),
    Test { mounted: false, ..test("scope/run_beside_a_bound_folder", run_beside_a_bound_folder) },
    Test { mounted: false, ..test("scope/docker_in_docker", docker_in_docker) },
    Test { mounted: false, ..test("scope/running_already", running_already) },
    Test { mounted: false, ..test("scope/advice_of_rootless_engines", advice_of_rootless_engines) },
    test("scope/words_of_other_images", words_of_other_images),
    test("scope/lasting_instance_needs_no_option", lasting_instance_needs_no_option),
];

/// In a namespace of its own, of which it becomes root: says what is so before `register`, after it, and in the end.
const STEPS: &str = "
    anonymous() { sed 's/user:[^ ]*/user:[]/'; }
    look() { $registrar status | anonymous | head -n 1; $registrar doctor s390x | anonymous | grep ^scope; ls $folder | xargs; }
    trap 'echo failed' EXIT
    look
    $registrar unregister --scope userns
    $registrar unregister s390x --scope userns --dry-run
    $registrar register --scope userns --temporary --dry-run aarch64 | anonymous | tail -n 1
    look
    $s390x || echo $?
    $registrar register aarch64 --scope userns --temporary | anonymous | tail -n 1
    look
    $s390x 2>/dev/null || echo $?
    $registrar register aarch64 --scope userns | anonymous | tail -n 1
    $registrar unregister --scope userns --dry-run | tail -n 1
    $registrar unregister --scope userns | tail -n 1
    look
    trap - EXIT";

/// What it says of the instance above, with one entry.
const ABOVE: &str = "binfmt_misc at /proc/sys/fs/binfmt_misc
scope     ok       programs of a parent user namespace, and of its children without own handlers
qemu-s390x register status
";

const SAID: [&str; 7] = [
    ABOVE,
    "nothing was registered\nqemu-s390x  absent        was not registered\nnothing was registered\n\
     nothing done: 1 to register, 0 to replace, 0 unchanged; binfmt_misc to be mounted at /proc/sys/fs/binfmt_misc; for \
     programs of user:[] only\n",
    ABOVE,
    "29\n1 registered, 0 replaced, 0 unchanged; for programs of user:[] only\n\
     binfmt_misc at /proc/sys/fs/binfmt_misc, for programs of user:[] only\n\
     scope     ok       programs of user:[] only\nqemu-aarch64 register status\n",
    "126\n0 registered, 0 replaced, 1 refreshed, 0 unchanged; for programs of user:[] only\n",
    "nothing done: 1 to remove\n1 unregistered\n",
    "binfmt_misc at /proc/sys/fs/binfmt_misc, for programs of user:[] only\n\
     scope     ok       programs of user:[] only\nregister status\n",
];

/// Copies what is needed where every user may read it.
fn shared(sandbox: &Sandbox) -> [String; 2] {
    fs::set_permissions(sandbox.scratch(), Permissions::from_mode(0o755)).expect("open to all");
    let registrar = sandbox.scratch().join("registrar");
    fs::copy(sandbox.registrar(), &registrar).expect("copied");
    let program = test_program(sandbox, targets::by_qemu_name("s390x").expect("known"));
    [registrar, program].map(|path| path.display().to_string())
}

/// What the steps say in a namespace made by this command, which changes nothing here.
fn steps(sandbox: &Sandbox, words: &[&str]) -> String {
    let [registrar, program] = shared(sandbox);
    let before = sandbox.entries();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["unshare", "--user", "--map-root-user", "--mount", "sh", "-e", "-c", STEPS]);
    command.env("registrar", registrar).env("s390x", program).env("folder", binfmt_misc::DEFAULT_MOUNT_POINT);
    let CommandResult { out, err, .. } = ran(&mut command);
    assert_eq!(sandbox.entries(), before, "the entries above");
    assert!(!out.contains("failed\n"), "{out}{err}");
    out
}

fn own_over_that_of_the_same_root(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    assert_eq!(steps(sandbox, &["env"]), SAID.concat());
}

fn own_over_that_of_another_root(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    assert_eq!(steps(sandbox, &["setpriv", "--reuid=1", "--regid=1", "--clear-groups"]), SAID.concat());
}

/// Its own instance is there, and it may write there.
fn without_the_capability_to_mount(sandbox: &Sandbox) {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(sandbox.registrar());
    let ran = ran(command.args(["register", SCOPE, "s390x"]));
    assert_eq!((ran.code, ran.err.as_str(), sandbox.names()), (Some(0), "", vec!["qemu-s390x".into()]));
}

fn run_over_an_instance(sandbox: &Sandbox) {
    sandbox.add(PYTHON.1);
    let program = test_program(sandbox, targets::by_qemu_name("s390x").expect("known"));
    let ran = sandbox.run(&["run", program.to_str().expect("text")]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(29), ""));
    assert_eq!(sandbox.names(), [PYTHON.0]);
}

/// Advice for a container of an ordinary user's engine, which its mark tells: `podman unshare` is none for docker.
fn advice_of_rootless_engines(sandbox: &Sandbox) {
    let root = prepared_root(sandbox);
    fs::create_dir(root.join("run")).expect("a folder");
    let advice = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", &format!("--mount-proc={}", root.join("proc").display()), "chroot"]);
        let ran = ran(command.arg(root).arg("/registrar").args(words));
        assert_eq!(ran.code, Some(1), "{words:?}: {}", ran.err);
        ran.err.trim_end().rsplit_once(", not the host's: ").expect("the advice").1.to_owned()
    };
    let docker = "run the container as the host's root, or enter rootlesskit's namespace (docs/rootless.md)";
    let podman = "run the container as the host's root, or: podman unshare registrar register --scope userns";
    let in_words_of_others = "run the container as the host's root, or with REGISTRAR_SCOPE=userns by podman unshare";
    for (mark, own, others) in [(".dockerenv", docker, docker), ("run/.containerenv", podman, in_words_of_others)] {
        fs::write(root.join(mark), "").expect("a mark");
        assert_eq!(advice(&["register", "s390x"]), own);
        for words in [&["--install", "s390x"][..], &["--reset", "-p", "yes"], &["-s", "--", "-p", "s390x"]] {
            assert_eq!(advice(words), others, "{words:?}");
        }
        fs::remove_file(root.join(mark)).expect("removed");
    }
}

/// Words of another image's line, which advice there names, mean the same on our own.
fn words_of_other_images(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let run = |words: &[&str]| {
        let mut command = Command::new(sandbox.registrar());
        ran(command.args(words).env("REGISTRAR_SCOPE", "userns").env("QEMU_BINARY_PATH", &folder))
    };
    for (words, names) in
        [(&["register", "s390x"][..], &["qemu-s390x"][..]), (&["status", "--check", "s390x"], &["qemu-s390x"])]
    {
        let ran = run(words);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{words:?}");
        assert_eq!(sandbox.names(), names);
    }
    let interpreter = format!("interpreter {}/qemu-s390x-static\n", folder.display());
    assert!(sandbox.entries()["qemu-s390x"].contains(&interpreter), "{:?}", sandbox.entries());
    assert_eq!(run(&["unregister"]).code, Some(0));
    assert!(sandbox.names().is_empty());
}

/// Enters a root with an emulator and the program, where `bound` is what an engine has bound to `/binfmt_misc`. A user
/// namespace is made in no root but that of the mount namespace.
fn enter_root(sandbox: &Sandbox, bound: impl FnOnce(&Path)) {
    let root = prepared_root(sandbox);
    bind(Path::new("/proc"), &root.join("proc"));
    bound(&root.join("binfmt_misc"));
    std::env::set_current_dir(root).expect("inside");
    pivot_root(".", ".").expect("another root");
    umount2(".", MntFlags::MNT_DETACH).expect("the old one goes");
    std::env::set_current_dir("/").expect("inside");
}

/// Mounts this namespace's instance where no root will show it.
fn own_instance(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.scratch().join("instance");
    fs::create_dir(&folder).expect("a folder");
    namespace::mount_binfmt_misc(&folder).expect("mounted");
    folder
}

fn prepared_root(sandbox: &Sandbox) -> &Path {
    let root = sandbox.scratch();
    for folder in ["binfmt_misc", "proc", "usr/bin", "tmp"] {
        fs::create_dir_all(root.join(folder)).expect(folder);
    }
    fs::copy("/usr/bin/qemu-s390x-static", root.join("usr/bin/qemu-s390x-static")).expect("copied");
    fs::copy(sandbox.registrar(), root.join("registrar")).expect("copied");
    test_program(sandbox, targets::by_qemu_name("s390x").expect("known"));
    bind(root, root);
    root
}

fn bind(from: &Path, to: &Path) {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>).expect("bound");
}

/// As in a container with `-v /proc/sys/fs/binfmt_misc:/binfmt_misc`.
fn run_beside_a_bound_folder(sandbox: &Sandbox) {
    enter_root(sandbox, |at| namespace::mount_binfmt_misc(at).expect("mounted"));
    let ran = ran(Command::new("/registrar").args(["run", "--quiet", "/s390x"]));
    assert_eq!((ran.code, ran.err.as_str()), (Some(29), ""));
    assert!(binfmt_misc::entries(Path::new("/binfmt_misc")).expect("read").is_empty());
}

/// The inner engine binds a directory of proc, since its mount namespace has no `binfmt_misc`.
fn docker_in_docker(sandbox: &Sandbox) {
    // Else handlers of this machine would run what is asked for.
    own_instance(sandbox);
    enter_root(sandbox, |at| bind(Path::new("/proc/sys/kernel"), at));
    let refused = "/binfmt_misc is proc's empty directory, not binfmt_misc: in docker-in-docker use --privileged without \
                   -v; else on the host: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc";
    let run = |words: &[&str]| ran(Command::new("/registrar").args(words).env("REGISTRAR_SCOPE", "userns"));
    for words in [&["register", "s390x"][..], &["unregister"], &["status"], &["verify"], &["--install", "s390x"]] {
        let ran = run(words);
        let last = ran.err.lines().last();
        assert_eq!((ran.code, last), (Some(1), Some(refused)), "{words:?}");
    }
}

/// What was asked for runs by a handler that does not show here, as one of the host in docker-in-docker. The root has
/// no `/dev/null`, as some chroots.
fn running_already(sandbox: &Sandbox) {
    let folder = own_instance(sandbox);
    let theirs = line("s390x", "theirs", "/usr/bin/qemu-s390x-static", "F");
    fs::write(folder.join("register"), theirs).expect("registered");
    enter_root(sandbox, |at| bind(Path::new("/proc/sys/kernel"), at));
    let run = |words: &[&str]| ran(Command::new("/registrar").args(words).env("REGISTRAR_SCOPE", "userns"));
    let said = "running already: s390x; nothing was registered: /binfmt_misc is proc's empty directory";
    for words in [&["register", "s390x"][..], &["register", "--verify", "s390x"], &["-s", "--", "-p", "s390x"]] {
        let ran = run(words);
        assert!(ran.code == Some(0) && ran.out.starts_with(said), "{words:?}: {ran:?}");
    }
    let ran_all = run(&["--install", "s390x"]);
    assert_eq!(ran_all.code, Some(0), "{}", ran_all.err);
    assert!(ran_all.err.starts_with("installing: s390x runs already\n"), "{}", ran_all.err);
    assert!(ran_all.out.contains("\"linux/s390x\""), "{}", ran_all.out);
    // One that runs does not make up for others, and none stays as if it were registered.
    for words in [&["register", "s390x,m68k"][..], &["register"], &["register", "--stay", "s390x"]] {
        let ran = run(words);
        assert!(
            ran.code == Some(1) && ran.err.contains("/binfmt_misc is proc's empty directory"),
            "{words:?}: {ran:?}"
        );
    }
}

/// As in a system container, whose init has mounted an instance.
fn lasting_instance_needs_no_option(sandbox: &Sandbox) {
    let run = |words: &[&str]| ran(Command::new(sandbox.registrar()).args(words));
    // Nothing but this test is there.
    let refused = run(&["--install", "s390x"]);
    let last = refused.err.lines().last().unwrap_or_default();
    assert!(refused.code == Some(1) && last.starts_with("handlers would serve programs of user:["), "{last}");
    assert!(last.contains("REGISTRAR_SCOPE=userns") && !last.contains("--scope"), "{last}");
    let mut init = Command::new("setsid").args(["sleep", "60"]).spawn().expect("setsid starts");
    // It begins its session once it runs.
    std::thread::sleep(std::time::Duration::from_millis(500));
    // `ran` leaves out what this is about.
    let done = Command::new(sandbox.registrar()).args(["register", "s390x"]).output().expect("it ran");
    let out = String::from_utf8_lossy(&done.stdout);
    let expected = format!("1 registered, 0 replaced, 0 unchanged; {}\n", crate::sandbox::remark());
    assert!(done.status.success() && out.ends_with(&expected), "{out}");
    for (words, names) in [
        (&["--install", "m68k"][..], &["qemu-m68k", "qemu-s390x"][..]),
        (&["--uninstall", "qemu-m68k"], &["qemu-s390x"]),
        (&["-s", "--", "-p", "arm"], &["qemu-arm", "qemu-s390x"]),
        (&["unregister"], &[]),
    ] {
        assert_eq!(run(words).code, Some(0), "{words:?}");
        assert_eq!(sandbox.names(), names, "{words:?}");
    }
    init.kill().and_then(|()| init.wait()).expect("ended");
}
