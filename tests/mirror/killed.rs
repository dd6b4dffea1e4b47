//! A build may be killed at any moment: the next one ends right, with nothing in the root file system but what was
//! verified.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use xtask::digest::Sha256;
use xtask::mirror;

use crate::command::{files, names};
use crate::fixture::{MIRROR, key};

/// How often a build is killed.
const TIMES: u32 = 50;

/// Paths, modes and digests of all that is below a folder.
fn state(folder: &Path) -> Vec<String> {
    names(folder)
        .into_iter()
        .flat_map(|name| {
            let path = folder.join(name);
            let metadata = path.symlink_metadata().expect("a file");
            let content = match metadata.is_dir() {
                true => Sha256::of(b""),
                false => Sha256::of(&fs::read(&path).unwrap_or_default()),
            };
            let below = if metadata.is_dir() { state(&path) } else { Vec::new() };
            let own = format!("{} {:o} {content}", path.display(), metadata.permissions().mode());
            std::iter::once(own).chain(below)
        })
        .collect()
}

#[test]
fn a_killed_build_does_no_harm() {
    let server = mirror::serve(&MIRROR.root).expect("a server");
    let url = server.url(&MIRROR.repo_path);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("killed");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out");
    let build = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["fetch-and-build", "--source", &url, "--key", key(), "--out"]).arg(&out);
        command.env("CARGO_TARGET_DIR", &target).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        command.spawn().expect("starting xtask")
    };
    let finish = || {
        let begun = Instant::now();
        let output = build().wait_with_output().expect("waiting for xtask");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        begun.elapsed()
    };
    // Everything is to be fetched, verified, extracted and laid out again; only what is compiled stays.
    let forget = || {
        for made in [&target.join("fetch/cache"), &target.join("fetch").join(MIRROR.host).join("stage"), &out] {
            let _ = fs::remove_dir_all(made);
        }
    };
    forget();
    finish();
    forget();
    let whole = finish();
    let rootfs = out.join(MIRROR.host).join("rootfs");
    let right = state(&rootfs);
    assert!(right.len() > 10, "{right:?}");
    let mut killed = 0;
    for _ in 0..TIMES {
        forget();
        let mut running = build();
        sleep(whole.mul_f64(fastrand::f64()));
        let pid = i32::try_from(running.id()).expect("a process id");
        // Its own group, so that cargo and the compiler go too.
        killpg(Pid::from_raw(pid), Signal::SIGKILL).expect("killing xtask");
        killed += u32::from(!running.wait().expect("waiting for xtask").success());
        if rootfs.exists() {
            assert_eq!(state(&rootfs), right, "what a killed build has put in place is whole");
        }
        finish();
        assert_eq!(state(&rootfs), right, "after a build that was killed");
    }
    assert!(killed > TIMES / 2, "only {killed} of {TIMES} builds were killed before they were done");
    let left: Vec<_> = files(&out).into_iter().filter(|name| name.contains("partial")).collect();
    assert_eq!(left, Vec::<String>::new());
}
