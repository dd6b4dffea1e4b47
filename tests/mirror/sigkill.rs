//! A build may be killed at any moment: the next one ends right, with nothing in the root file system but what was
//! verified.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use xtask::system;
use xtask::verify::digest::Sha256;

use crate::build;
use crate::command::{Builds, QUICKLY_COMPILED, files, names};
use crate::fixture::{MIRROR, key};
use crate::inspect::inspect;

/// How often a build is killed.
const TIMES: u32 = 50;

/// How often that is tried: some builds are done before.
const TRIES: u32 = 4 * TIMES;

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
    let server = fedora_mirror::serve(&MIRROR.root).expect("a server");
    let url = server.url(&MIRROR.repo_path);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("killed");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out");
    let build = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tested-xtask"));
        command.args(["fetch-and-build", "--source", &url, "--key", key(), "--out"]).arg(&out);
        command
            .env("CARGO_TARGET_DIR", &target)
            .envs(QUICKLY_COMPILED)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
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
    let mut whole = finish();
    let rootfs = out.join(MIRROR.host).join("rootfs");
    let right = state(&rootfs);
    assert!(right.len() > 10, "{right:?}");
    let (mut killed, mut tries) = (0, 0);
    while killed < TIMES {
        assert!(tries < TRIES, "only {killed} of {tries} builds were killed before they were done");
        tries += 1;
        forget();
        let moment = whole.mul_f64(fastrand::f64());
        let mut running = build();
        sleep(moment);
        let pid = i32::try_from(running.id()).expect("a process id");
        // Its own group, so that cargo and the compiler go too.
        killpg(Pid::from_raw(pid), Signal::SIGKILL).expect("killing xtask");
        let status = running.wait().expect("waiting for xtask");
        let was_killed = status.signal() == Some(Signal::SIGKILL as i32);
        assert!(was_killed || status.success(), "{status}");
        if rootfs.exists() {
            assert_eq!(state(&rootfs), right, "what a killed build has put in place is whole");
        }
        let rest = finish();
        assert_eq!(state(&rootfs), right, "after a build that was killed");
        killed += u32::from(was_killed);
        // How busy the machine is changes. Both are no less than what a whole build took just now.
        whole = if was_killed { moment + rest } else { moment };
    }
    let left: Vec<_> = files(&out).into_iter().filter(|name| name.contains("partial")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_killed_run_leaves_all_of_the_old_or_all_of_the_new() {
    /// So many runs are killed, each a little later after it has begun to lay out.
    const RUNS: u32 = 24;
    const LATER: Duration = Duration::from_millis(4);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (out, target) = (folder.path().join("out"), build::kept_target());
    let _alone = Builds::alone();
    let partial = out.join(format!("{}.partial", MIRROR.host));
    let at = |time: u32| {
        let mut build = build::build(&out, target);
        build.env("SOURCE_DATE_EPOCH", time.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        build
    };
    let time = |number: u32| format!("1970-01-01T00:00:{number:02}Z");
    let found = |when: &str| {
        let printed = inspect(&out, &["--json"]);
        assert!(printed.status.success(), "{when}: {}", String::from_utf8_lossy(&printed.stderr));
        let document: Value = serde_json::from_slice(&printed.stdout).expect("an SBOM");
        document["creationInfo"]["created"].as_str().expect("a time").to_owned()
    };
    system::run(&mut at(0)).expect("a build");
    let (mut before, mut interrupted) = (time(0), 0);
    for number in 1..=RUNS {
        let mut run = at(number).spawn().expect("starting a build");
        while !partial.exists() && run.try_wait().expect("its state").is_none() {
            sleep(Duration::from_millis(1));
        }
        sleep(LATER * (number - 1));
        // Or it has ended.
        let _ = run.kill();
        run.wait().expect("the end of it");
        let after = found(&format!("killed at {number}"));
        assert!(after == before || after == time(number), "{after} is neither {before} nor the new");
        interrupted += u32::from(after == before);
        before = after;
    }
    assert!(interrupted > 0, "none was killed in time");
    // The last is not killed but watched: a moment too short for a kill is seen.
    let host = out.join(MIRROR.host);
    let mut run = at(RUNS + 1).spawn().expect("starting a build");
    while run.try_wait().expect("its state").is_none() {
        for name in ["packages", "rootfs", "sbom.spdx.json"] {
            assert!(host.join(name).exists(), "for a moment there is no {name}");
        }
    }
    assert!(run.wait().expect("the end of it").success(), "a build after all that");
    assert_eq!(found("not killed"), time(RUNS + 1));
    assert_eq!(names(&out), [MIRROR.host], "nothing is left");
}
