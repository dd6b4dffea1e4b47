//! Repositories as others make them with createrepo_c: other digests, packages elsewhere, compressions of other times.

use std::fs;
use std::process::Command;

use xtask::system;

use crate::command::CommandResult;
use crate::fixture::{RepoCopy, TARGETS, key, text};

/// Indexes a copy of the mirror anew, by createrepo_c with these options.
fn indexed(options: &[&str]) -> RepoCopy {
    let copy = RepoCopy::repository();
    index(&copy, options);
    copy
}

fn index(copy: &RepoCopy, options: &[&str]) {
    fs::remove_dir_all(copy.path().join("repodata")).expect("removing the index");
    system::run(Command::new("createrepo_c").arg("--quiet").args(options).arg(copy.path())).expect("another index");
}

/// All of a repository's emulators, from its folder and by http, and again from the cache.
#[track_caller]
fn assert_good(copy: &RepoCopy, what: &str) {
    let from_folder = CommandResult::new(&["--source", text(&copy.path()), "--key", key()]);
    assert_eq!(from_folder.emulators().len(), TARGETS.len(), "{what}");
    let server = fedora_mirror::serve(copy.path().parent().expect("a folder")).expect("a server");
    let url = server.url("os");
    let arguments = ["--source", &url, "--key", key()];
    let fetched = CommandResult::new(&arguments);
    assert_eq!(fetched.emulators().len(), TARGETS.len(), "{what}");
    drop(server);
    fs::remove_dir_all(fetched.out()).expect("removing what was extracted");
    let offline = CommandResult::again(fetched.into_folder(), &[&arguments[..], &["--offline"]].concat());
    assert_eq!(offline.emulators().len(), TARGETS.len(), "{what}, offline");
}

#[test]
fn digests_of_every_kind_that_proves_something() {
    for options in [
        // As openSUSE's Leap 16 has it: 128 digits in the name of the list, and as many of it in the cache.
        &["--checksum", "sha512"][..],
        &["--checksum", "sha384"],
        &["--checksum", "sha512", "--repomd-checksum", "sha256"],
        &["--checksum", "sha256", "--repomd-checksum", "sha384"],
    ] {
        assert_good(&indexed(options), &options.join(" "));
    }
    // The digest decides, whatever its kind.
    let copy = indexed(&["--checksum", "sha512"]);
    copy.flip(&copy.package("alpha"), |length| length / 2);
    let words = ["qemu-user-static-alpha", "not what its repository promises", "SHA-512"];
    CommandResult::new(&["--source", text(&copy.path()), "--key", key()]).assert_refused(&words);
}

#[test]
fn digests_and_compressions_that_are_refused_are_named() {
    // As createrepo_c 0.17 calls them (`--checksum`); 1.2 does not write them any more.
    for kind in ["md5", "sha", "sha224"] {
        let copy = indexed(&[]);
        let repomd = copy.path().join("repodata/repomd.xml");
        let index = fs::read_to_string(&repomd).expect("the index");
        fs::write(&repomd, index.replace("type=\"sha256\"", &format!("type=\"{kind}\""))).expect("another index");
        let words = ["no SHA-256, SHA-384 or SHA-512", &format!("{kind:?}"), "createrepo_c --checksum"];
        CommandResult::new(&["--source", text(&copy.path()), "--key", key()]).assert_refused(&words);
    }
    let bzip2 = indexed(&["--general-compress-type", "bz2"]);
    let words = ["bzip2", "primary", "createrepo_c --general-compress-type zstd"];
    CommandResult::new(&["--source", text(&bzip2.path()), "--key", key()]).assert_refused(&words);
}

#[test]
fn packages_that_are_elsewhere() {
    let pool = RepoCopy::repository();
    let server = fedora_mirror::serve(pool.path().parent().expect("a folder")).expect("a server");
    let base = server.url("os/");
    let copy = indexed(&["--baseurl", &base]);
    fs::remove_dir_all(copy.path().join("Packages")).expect("removing the packages");
    let path = copy.path();
    let folder = ["--source", text(&path), "--key", key()];
    let first = CommandResult::new(&folder);
    assert_eq!(first.emulators().len(), TARGETS.len());
    // What is locked is found there too.
    let lock = tempfile::tempdir().expect("a temporary folder");
    let file = lock.path().join("fetch.lock");
    let mut update = Command::new(env!("CARGO_BIN_EXE_tested-xtask"));
    update.args(["update", "--lock"]).arg(&file).args(folder).env("CARGO_TARGET_DIR", lock.path());
    system::run(&mut update).expect("a lock");
    assert!(
        fs::read_to_string(&file).expect("the lock").contains(&format!("\"base\": \"{}\"", base.trim_end_matches('/')))
    );
    let locked = [&folder[..], &["--locked", "--lock", text(&file)]].concat();
    assert_eq!(CommandResult::new(&locked).emulators().len(), TARGETS.len());

    // It is a server as any other: length and digest decide, and offline it is not asked.
    pool.flip(&pool.package("arm"), |length| length / 2);
    CommandResult::new(&folder).assert_refused(&[&base, "qemu-user-static-arm", "not what its repository promises"]);
    CommandResult::new(&[&folder[..], &["--offline"]].concat())
        .assert_refused(&["not in the cache", "without --offline"]);
    drop(server);
    fs::remove_dir_all(first.out()).expect("removing what was extracted");
    let offline = CommandResult::again(first.into_folder(), &[&folder[..], &["--offline"]].concat());
    assert_eq!(offline.emulators().len(), TARGETS.len());

    for base in [format!("file://{}", pool.path().display()), "ftp://mirror.example/os".into(), "../pool".into()] {
        let copy = indexed(&["--baseurl", &base]);
        CommandResult::new(&["--source", text(&copy.path()), "--key", key()]).assert_refused(&[
            &base,
            "xml:base",
            "no http or https",
        ]);
    }
}
