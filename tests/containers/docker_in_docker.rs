//! dockerd in a container, as GitLab's `docker:dind` and ARC have it, and in a system container, as Incus, LXD and Sysbox
//! make it: what README, other images and the action run there, and whose programs are served then.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use codegen::rule::Rule;
use codegen::targets;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tests::action;
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::docker::Docker;
use tests::emulators::{self, TARGETS};
use tests::host::{self, Host};
use tests::podman::Podman;
use tests::registrar;
use xtask::workspace::{target_dir, workspace_root};

use crate::hello;

const IMAGE: &str = "localhost/inner";

/// README's lines, the second for docker in docker.
const BOUND: &str =
    "docker run --rm --cap-drop=ALL --network=none -v /proc/sys/fs/binfmt_misc:/binfmt_misc IMAGE register";
const PRIVILEGED: &str = "docker run --rm --privileged IMAGE register";

/// What a folder of proc's is told by.
const REFUSED: &str = "/binfmt_misc is proc's empty directory, not binfmt_misc: in docker-in-docker use --privileged without \
                       -v; else on the host: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc";

/// dockerd's default runtime: `--privileged` asks for all capabilities, of which the machine may lack this one.
const RUNTIME: &str = "#!/bin/sh
for word; do [ \"$before\" != --bundle ] || sed -i 's/\"CAP_SYS_RESOURCE\",//g' \"$word/config.json\"; before=$word; done
exec runc \"$@\"
";

/// Ids of the system container, which nobody has.
const FIRST_ID: u32 = 200_000;
const IDS: u32 = 65_536;

/// Starts dockerd as the first process of a system container, which has a `/run` and a configuration of docker of its own:
/// `$1` says whether it mounts `binfmt_misc`.
const INIT: &str = "mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /etc/docker
    [ $1 = no ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc; shift; exec \"$@\"";

/// A folder with the image, and an arm64 program that is in there too.
struct Files {
    folder: TempDir,
    hello: PathBuf,
}

impl Files {
    fn new() -> Self {
        let scratch = target_dir().join("containers");
        fs::create_dir_all(&scratch).expect("a folder for podman");
        let folder = tempfile::tempdir_in(&scratch).expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("open to all");
        let hello = hello(folder.path());
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("usr/bin")).expect("folders");
        fs::copy(registrar::build().expect("registrar"), root.join("registrar")).expect("copied");
        fs::copy(&hello, root.join("hello")).expect("copied");
        // One file by all names, since the storage of the inner engine copies all of them for each container.
        let emulator = root.join("usr/bin/qemu-aarch64-static");
        fs::copy(emulators::path("aarch64"), &emulator).expect("copied");
        for target in TARGETS.iter().filter(|target| target.qemu != "aarch64") {
            fs::hard_link(&emulator, root.join(format!("usr/bin/qemu-{}-static", target.qemu))).expect("a link");
        }
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(folder.path().join("image.tar")).arg("-C").arg(&root).arg(".");
        assert!(tar.status().expect("running tar").success());
        let files = Self { folder, hello };
        fs::write(files.path("runtime"), RUNTIME).expect("a script");
        fs::set_permissions(files.path("runtime"), Permissions::from_mode(0o755)).expect("executable");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Options of dockerd that it takes in another place than the host.
    fn options(&self) -> [String; 3] {
        let runtime = format!("--add-runtime=own={}", self.path("runtime").display());
        ["--storage-driver=vfs".into(), runtime, "--default-runtime=own".into()]
    }

    fn import(&self, docker: &Docker) {
        let archive = self.path("image.tar");
        let change = "ENTRYPOINT [\"/registrar\"]";
        docker.run(&["import", "--change", change, archive.to_str().expect("text"), IMAGE]);
    }

    /// Whether the program runs on the host.
    fn runs_on_the_host(&self) -> bool {
        Command::new(&self.hello).output().is_ok_and(|output| output.stdout == b"aarch64\n")
    }
}

/// How a call of the inner docker ended.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs a command line of README's, or one alike, with more words.
fn run(docker: &Docker, line: &str, more: &[&str]) -> Ran {
    let words = line.split_whitespace().skip(1).map(|word| if word == "IMAGE" { IMAGE } else { word });
    let output = docker.command().args(words).args(more).stdin(Stdio::null()).output().expect("running docker");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    println!("$ {line} {}\n{out}{err}exit status {:?}\n", more.join(" "), output.status.code());
    Ran { code: output.status.code(), out, err }
}

#[track_caller]
fn succeeds(docker: &Docker, line: &str, more: &[&str]) -> Ran {
    let ran = run(docker, line, more);
    assert_eq!(ran.code, Some(0), "{line} {more:?}: {}{}", ran.out, ran.err);
    ran
}

#[track_caller]
fn fails(docker: &Docker, line: &str, more: &[&str], last: &str) {
    let ran = run(docker, line, more);
    let found = ran.err.lines().last().unwrap_or_default();
    assert!(ran.code == Some(1) && found.contains(last), "{line} {more:?}: {}{}", ran.out, ran.err);
}

/// The same line with other words after the image's name.
fn with_words(line: &str, words: &str) -> String {
    line.replace("IMAGE register", &format!("IMAGE {words}"))
}

fn run_action(docker: &Docker, inputs: &[(&str, &str)]) -> Result<String, String> {
    let inputs = [&[("image", IMAGE), ("platforms", "linux/arm64")], inputs].concat();
    let outputs = action::run(&inputs, |bash| {
        bash.env("DOCKER_HOST", docker.host());
    });
    outputs.map(|outputs| format!("{outputs:?}"))
}

#[test]
fn docker_in_docker_registers_on_the_host_or_says_how() {
    let readme = fs::read_to_string(workspace_root().join("README.md")).expect("README.md");
    let readme = readme.replace("localhost/registrar", "IMAGE");
    assert!(readme.contains(BOUND) && readme.contains(PRIVILEGED));
    let files = Files::new();
    let podman = Podman::new(&target_dir().join("containers"));
    let host = Host::mounted();
    let docker = Docker::started(&files.path("docker"), Signal::SIGTERM, || {
        let folder = files.folder.path().display();
        let mut command = podman.command();
        command.args(["run", "--rm", "--replace", "--name=registrar-dind", "--privileged", "--network=none"]);
        command.arg(format!("--volume={folder}:{folder}")).args(["--rootfs", "/:O", "dockerd"]).args(files.options());
        command
    });
    files.import(&docker);
    let is_as_before = || assert!(host::entries() == host.before && !files.runs_on_the_host());

    // The folder to bind is the inner engine's, and empty.
    fails(&docker, BOUND, &[], REFUSED);
    fails(&docker, &with_words(BOUND, "--install all"), &[], REFUSED);
    is_as_before();
    for (register, unregister) in [("register", "unregister"), ("--install all", "--uninstall qemu-*")] {
        let ran = succeeds(&docker, &with_words(PRIVILEGED, register), &[]);
        assert!(!ran.out.contains("user:["), "{}", ran.out);
        assert!(files.runs_on_the_host(), "{register}");
        // Again, and what runs is counted.
        succeeds(&docker, &with_words(PRIVILEGED, register), &[]);
        let status = succeeds(&docker, &with_words(PRIVILEGED, ""), &[]);
        assert!(status.out.contains("linux/arm64") && status.out.contains("qemu-aarch64"), "{}", status.out);
        succeeds(&docker, &with_words(PRIVILEGED, unregister), &[]);
        is_as_before();
    }

    let said = run_action(&docker, &[("privileged", "false")]).expect_err("a failure");
    assert!(said.contains(&format!("::error title=registrar::{REFUSED}")), "{said}");
    is_as_before();
    for inputs in [&[][..], &[("reset", "true")], &[("privileged", "true")]] {
        let outputs = run_action(&docker, inputs).expect("success");
        assert!(outputs.contains("linux/arm64") && files.runs_on_the_host(), "{outputs}");
        succeeds(&docker, &with_words(PRIVILEGED, "unregister"), &[]);
        is_as_before();
    }

    // What was asked for runs already by the host's handler, which does not show in there.
    add_theirs();
    let ran = succeeds(&docker, BOUND, &["arm64"]);
    assert!(
        ran.out.starts_with("running already: aarch64; nothing was registered: /binfmt_misc is proc's"),
        "{}",
        ran.out
    );
    let ran = succeeds(&docker, &with_words(BOUND, "--install arm64"), &[]);
    assert!(ran.err.starts_with("installing: arm64 runs already\n"), "{}", ran.err);
    fails(&docker, BOUND, &["arm64,riscv64"], REFUSED);
    assert!(host::entries().keys().filter(|name| !host.before.contains_key(*name)).eq(["theirs"]));
}

/// A user namespace with ids of its own, as long as this lives.
struct Ids(Child);

impl Ids {
    fn new() -> Self {
        let held = Self(Command::new("unshare").args(["--user", "sleep", "600"]).spawn().expect("unshare starts"));
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).expect("a namespace");
        while namespace(&held.0.id().to_string()) == namespace("self") {
            thread::sleep(Duration::from_millis(10));
        }
        for map in ["uid_map", "gid_map"] {
            let text = format!("0 {FIRST_ID} {IDS}\n");
            fs::write(format!("/proc/{}/{map}", held.0.id()), text).expect("the map of a new namespace");
        }
        held
    }

    /// dockerd as the first process of a container with all that a system container has of its own. With `--rootless` it
    /// does without control groups, which are the host's.
    fn docker(&self, files: &Files, is_mounted: bool) -> Docker {
        let folder = files.path("docker");
        // What is in its process namespace ends with it.
        Docker::started(&folder, Signal::SIGKILL, || {
            chown(&folder, Some(FIRST_ID), Some(FIRST_ID)).expect("a folder of that root's");
            // Any dockerd makes it.
            fs::create_dir_all("/etc/docker").expect("a folder to mount at");
            let mut command = Command::new("nsenter");
            command.args(["--user", "--setuid=0", "--setgid=0", "--target", &self.0.id().to_string()]);
            command.args(["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--mount-proc"]);
            command.args(["--fork", "--kill-child", "sh", "-c", INIT, "init", if is_mounted { "yes" } else { "no" }]);
            command.args(["dockerd", "--rootless"]).args(files.options());
            command.env("HOME", &folder).env("XDG_RUNTIME_DIR", folder.join("runtime"));
            command
        })
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Registers an emulator of somebody else's on the host.
fn add_theirs() {
    let target = targets::by_qemu_name("aarch64").expect("known");
    let emulator = emulators::path("aarch64");
    let rule = Rule::for_target(target, target.machines[0]).line("theirs", emulator.to_str().expect("text"), "F");
    fs::write(Path::new(DEFAULT_MOUNT_POINT).join("register"), rule).expect("somebody else's handler");
}

/// Whether the program runs in a container.
fn runs(docker: &Docker) -> bool {
    run(docker, "docker run --rm --network=none --entrypoint=/hello IMAGE", &[]).out == "aarch64\n"
}

#[test]
fn docker_in_docker_of_a_system_container_serves_that_one() {
    let files = Files::new();
    let host = Host::mounted();
    let ids = Ids::new();
    let docker = ids.docker(&files, true);
    files.import(&docker);
    assert!(!runs(&docker));
    for line in [BOUND, PRIVILEGED] {
        for (register, unregister) in [("register", "unregister"), ("--install all", "--uninstall qemu-*")] {
            let ran = succeeds(&docker, &with_words(line, register), &[]);
            assert!(
                register != "register" || ran.out.ends_with(" only\n") && ran.out.contains("; for programs of user:[")
            );
            assert!(runs(&docker), "{line}: {register}");
            // While foreign programs run, too.
            succeeds(&docker, &with_words(line, register), &[]);
            let status = succeeds(&docker, &with_words(line, ""), &[]);
            assert!(status.out.contains("linux/arm64") && status.out.contains("qemu-aarch64"), "{}", status.out);
            succeeds(&docker, &with_words(line, "verify"), &["arm64"]);
            if register == "register" {
                let dry_run = succeeds(&docker, &with_words(line, "unregister --dry-run"), &["arm64"]);
                assert!(dry_run.out.ends_with("nothing done: 1 to remove\n"), "{}", dry_run.out);
            }
            succeeds(&docker, &with_words(line, unregister), &[]);
            assert!(!runs(&docker), "{line}: {unregister}");
        }
    }
    for inputs in [&[][..], &[("reset", "true")], &[("privileged", "true"), ("reset", "true")]] {
        let outputs = run_action(&docker, inputs).expect("success");
        assert!(outputs.contains("linux/arm64") && runs(&docker), "{outputs}");
        assert!(!files.runs_on_the_host() && host::entries() == host.before);
        succeeds(&docker, &with_words(BOUND, "unregister"), &[]);
    }
}

/// A mount would put a new instance before the host's handlers, which serve all that is in there.
#[test]
fn docker_in_docker_of_a_system_container_keeps_the_hosts_handlers() {
    let files = Files::new();
    let _host = Host::mounted();
    add_theirs();
    let ids = Ids::new();
    let docker = ids.docker(&files, false);
    files.import(&docker);
    assert!(runs(&docker));
    let ran = succeeds(&docker, PRIVILEGED, &["arm64"]);
    assert!(
        ran.out.starts_with("running already: aarch64; nothing was registered: handlers would serve"),
        "{}",
        ran.out
    );
    fails(
        &docker,
        PRIVILEGED,
        &["arm64,riscv64"],
        "run the container with --userns=host, or if that is wanted add --scope",
    );
    fails(&docker, &with_words(PRIVILEGED, "--install riscv64"), &[], "set REGISTRAR_SCOPE=userns");
    succeeds(&docker, &with_words(PRIVILEGED, ""), &[]);
    assert!(runs(&docker), "the host's handlers are hidden");
}
