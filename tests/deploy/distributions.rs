//! Emulators of other Debian releases than this machine's, by `--source apt`: their real packages, named in APT_CONFIG,
//! built and registered in a user namespace with a `binfmt_misc` of its own, where every one of them has to run its target's
//! test program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use codegen::targets;
use serde_json::Value;
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::debian::{self, KEYS};
use xtask::build::compile;
use xtask::system;
use xtask::system::host::Host;
use xtask::workspace::target_dir;

/// Builds of a release's packages; gives the folder of what was built, and how the image calls their origin.
fn built(suite: &str) -> (PathBuf, String) {
    let folder = target_dir().join("deploy/apt").join(suite);
    fs::create_dir_all(&folder).expect("a folder");
    let (list, configuration) = (folder.join("sources.list"), folder.join("apt.conf"));
    fs::write(&list, format!("deb [signed-by={KEYS}] {} {suite} main\n", debian::mirror())).expect("apt's sources");
    // The archive may be a copy of some days ago, and sid's lists are valid for a week only.
    let words = format!(
        "Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"none\";\nAcquire::Check-Valid-Until \"false\";\n",
        list.display()
    );
    fs::write(&configuration, words).expect("apt's configuration");
    let out = folder.join("dist");
    let mut command = compile::cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--target-dir"]).arg(target_dir()).arg("--");
    command.args(["fetch-and-build", "--source", "apt", "--out"]).arg(&out);
    // What a user's builds know of this machine's archives stays as it is.
    command.env("CARGO_TARGET_DIR", folder.join("target")).env("APT_CONFIG", &configuration);
    system::run(&mut command).unwrap_or_else(|error| panic!("{suite}: {error:#}"));
    let packages = fs::read_to_string(out.join(host()).join("packages")).expect("the list of packages");
    let origin = packages.lines().find_map(|line| line.strip_prefix("# Origin: ")).expect("an origin");
    (out.join(host()).join("rootfs"), origin.to_owned())
}

/// This machine.
fn host() -> &'static str {
    Host::named(None).expect("this machine").name
}

/// What `verify` says of each handler, once all are registered.
fn verified(rootfs: &Path) -> Value {
    let script = format!(
        "mount -t binfmt_misc binfmt_misc {DEFAULT_MOUNT_POINT} && cd \"$0\" && \
         ./registrar register --scope userns --bindir \"$0/usr/bin\" >&2 && ./registrar verify --bindir \"$0/usr/bin\" --json"
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(rootfs);
    let output = system::run(&mut unshare).unwrap_or_else(|error| panic!("{}: {error:#}", rootfs.display()));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Builds a release's emulators and runs a program under each.
fn check(suite: &str, origin: &str) {
    let (rootfs, found) = built(suite);
    assert!(found.starts_with("Debian ") && found.ends_with(origin), "{suite}: {found}");
    let names = fs::read_dir(rootfs.join("usr/bin")).expect("emulators");
    let names = names.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    let emulators: BTreeSet<_> =
        names.filter_map(|name| Some(name.strip_prefix("qemu-")?.strip_suffix("-static")?.to_owned())).collect();
    // QEMU 9.2 and later have 33; which they are is for each release to say.
    assert!(emulators.len() >= 30, "{suite}: {emulators:?}");
    let printed = verified(&rootfs);
    println!("{suite}: {found}, {} emulators: {printed}", emulators.len());
    assert_eq!(printed["good"], true, "{suite}: {printed}");
    let handlers = printed["handlers"].as_array().expect("handlers");
    let tried: BTreeSet<_> = handlers.iter().map(|handler| handler["target"].as_str().expect("text")).collect();
    // What this machine runs itself is not registered.
    let family = |target: &str| targets::by_qemu_name(target).expect("known").family;
    let foreign: Vec<_> = emulators.iter().filter(|target| family(target) != family(host())).collect();
    assert!(foreign.len() >= 28 && foreign.iter().all(|target| tried.contains(target.as_str())), "{suite}: {printed}");
    assert!(rootfs.join("usr/share/licenses/qemu-user/copyright").exists(), "{suite}: no license file");
}

/// The package `qemu-user-static` is there and holds links.
#[test]
fn trixie() {
    check("trixie", " (trixie)");
}

/// There is no such package: `qemu-user-binfmt` provides its name.
#[test]
fn sid() {
    check("sid", " (sid)");
}
