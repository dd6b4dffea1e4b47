//! What `deploy/` and `action.yml` say, carried out: their options, scripts and probes are read from the files, and given
//! to the engines of this machine. Whether the files are well-formed is for `cargo xtask test --deploy`.

pub(crate) mod action;
mod compose;
mod kubernetes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::registrar;

/// What engines call the image; nothing is asked of a registry.
const IMAGE: &str = "localhost/deployed:1";

/// How its program is started.
const ENTRYPOINT: &str = "ENTRYPOINT [\"/registrar\"]";

/// The handler that tests look at.
const HANDLER: &str = "qemu-aarch64";

/// How long something may take that takes a moment on a machine with nothing else to do.
const TIMEOUT: Duration = Duration::from_secs(60);

/// This machine's emulators.
fn emulators() -> Vec<PathBuf> {
    let files = fs::read_dir("/usr/bin").expect("programs");
    let paths = files.map(|file| file.expect("a file").path());
    paths.filter(|path| is_emulator(&path.file_name().unwrap_or_default().to_string_lossy())).collect()
}

fn is_emulator(name: &str) -> bool {
    name.starts_with("qemu-") && name.ends_with("-static")
}

/// Packs `registrar` and all emulators, as an image has them.
fn pack(folder: &Path) -> String {
    let archive = folder.join("image.tar").to_str().expect("text").to_owned();
    let registrar = registrar::build().expect("registrar");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--dereference", "--file", &archive]);
    tar.arg("--directory").arg(registrar.parent().expect("a folder")).arg("registrar");
    tar.args(["--directory", "/"]).args(emulators().iter().map(|path| path.strip_prefix("/").expect("a full path")));
    assert!(tar.status().expect("running tar").success());
    archive
}

/// Whether an arm64 program runs on the host.
fn runs(hello: &Path) -> bool {
    Command::new(hello).output().is_ok_and(|output| output.stdout == b"aarch64\n")
}

/// As anybody may who is root.
fn remove_handler() {
    fs::write(Path::new(DEFAULT_MOUNT_POINT).join(HANDLER), "-1").expect("a handler that is there");
}

fn is_handler_there() -> bool {
    Path::new(DEFAULT_MOUNT_POINT).join(HANDLER).exists()
}

/// How long it took.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < TIMEOUT, "{what}: not in {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(100));
    }
    start.elapsed()
}
