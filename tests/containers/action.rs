//! What docker/setup-qemu-action runs, word for word, each in a privileged container of its own: on a host that has not
//! mounted `binfmt_misc`, and on one that has, which such a container does not show.

use std::fs;
use std::path::Path;
use std::process::Command;

use codegen::rule::Rule;
use codegen::targets;
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::host::{self, Host};
use tests::podman::Podman;
use tests::registrar;
use xtask::workspace::target_dir;

use crate::{hello, mount_lifetime};

#[test]
fn setup_qemu_actions_calls_do_what_it_expects() {
    let scratch = target_dir().join("containers");
    fs::create_dir_all(&scratch).expect("a folder for podman");
    let podman = Podman::new(&scratch);
    mount_lifetime::import(&podman);
    let folder = tempfile::tempdir().expect("a folder");
    let hello = hello(folder.path());
    let runs = || Command::new(&hello).output().is_ok_and(|output| output.stdout == b"aarch64\n");
    let call = |words: &[&str]| {
        let run = ["run", "--rm", "--privileged", "--network=none", "--entrypoint=/registrar", "localhost/small"];
        let output = podman.command().args(run).args(words).output().expect("running podman");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let status = |words: &[&str]| {
        let (code, out, err) = call(words);
        assert_eq!(code, Some(0), "{words:?}: {err}");
        let json: serde_json::Value = serde_json::from_str(out.trim()).expect(&out);
        let list = |key: &str| {
            let names = json[key].as_array().unwrap_or_else(|| panic!("no list {key}: {out}"));
            names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        (list("supported").contains(&"linux/arm64".to_owned()), list("emulators"), err)
    };

    let _host = Host::not_mounted();
    let nothing = || (false, Vec::new(), String::new());
    assert_eq!(status(&[]), nothing());
    // On the host itself, where a mount would stay.
    let looked = Command::new(registrar::build().expect("registrar")).status();
    assert!(looked.expect("registrar starts").success() && !host::is_mounted());
    let (code, _, err) = call(&["--install", "linux/arm64"]);
    let last = err.lines().last().unwrap_or_default();
    assert!(code == Some(1) && last.starts_with("handlers would disappear with this container: "), "{code:?}: {err}");
    assert!(!host::is_mounted() && !runs());

    host::mount_it();
    let s390x = targets::by_qemu_name("s390x").expect("known");
    let theirs = Rule::for_target(s390x, s390x.machines[0]).line("qemu-s390x", "/bin/false", "F");
    fs::write(Path::new(DEFAULT_MOUNT_POINT).join("register"), theirs).expect("somebody else's handler");
    assert_eq!(call(&["--version"]).0, Some(0));
    assert_eq!(status(&[]), (false, vec!["qemu-s390x".into()], String::new()));
    let (_, emulators, err) = status(&["--uninstall", "qemu-*"]);
    assert_eq!((emulators.len(), err.as_str()), (0, "uninstalling: qemu-s390x OK\n"));
    let installed = (true, vec!["qemu-aarch64".to_owned()]);
    let (is_arm64, emulators, err) = status(&["--install", "linux/arm64"]);
    assert_eq!(((is_arm64, emulators), err.as_str()), (installed.clone(), "installing: arm64 OK\n"));
    assert_eq!(status(&[]), (installed.0, installed.1, String::new()));
    assert!(runs(), "the containers are gone, and with them the handler");
    assert_eq!(status(&["--uninstall", "arm64"]).1, Vec::<String>::new());
    assert!(!runs());
}
