//! Fedora's servers by a stand-in, served by the real nginx: from the release list to the emulators.

use std::fs;

use xtask::mirror;

use crate::command::Ran;
use crate::fixture::{MIRROR, TARGETS, key};

/// File names of the mirror's emulators.
fn all() -> Vec<String> {
    TARGETS.iter().map(|target| format!("qemu-{target}-static")).collect()
}

#[test]
fn fedoras_servers_by_a_stand_in_with_updates() {
    let server = mirror::serve(&MIRROR.root).expect("a server");
    let ran = Ran::new(&["--source", "fedora", "--servers", &server.url(""), "--key", key()]);
    assert_eq!(ran.emulators(), all());
    let record = fs::read_to_string(ran.out().join("record.json")).expect("the record");
    assert!(record.contains("-2.fc45.") && !record.contains("-1.fc45."), "updates win: {record}");

    // The key that such a server offers is not the pinned one.
    let ran = Ran::new(&["--source", "fedora", "--servers", &server.url("")]);
    ran.assert_refused(&["fedora.gpg", "does not hold the key 4F50A6114CD5C6976A7F1179655A4B02F577861E"]);
}

#[test]
fn fedora_out_of_reach() {
    let servers = "http://no-such-host.invalid";
    let ran = Ran::new(&["--source", "fedora", "--servers", servers]);
    ran.assert_refused(&["asking Fedora for its releases", "no-such-host.invalid"]);

    // A server that is there and refuses is no reason to take other packages.
    let root = tempfile::tempdir().expect("a temporary folder");
    let server = mirror::serve(root.path()).expect("a server");
    let ran = Ran::new(&["--source", "auto", "--servers", &server.url("")]);
    ran.assert_refused(&["asking Fedora for its releases", "404"]);
}
