//! Fedora's servers by a stand-in: releases, architectures, updates, keys, and the way from
//! the metalink to the root file system with every check on.

use std::fs;
use std::os::unix::fs::symlink;

use fedora_mirror::{Kind, Mirror, Options, Server, Updates, emulators};
use tempfile::TempDir;
use xtask::source::Release;

use crate::command::{Builds, CommandResult, names};
use crate::fake_fedora::FakeFedora;
use crate::fixture::{MIRROR, RELEASE, TARGETS, dist, emulator, key, other_key, release};

/// File names of the mirror's emulators.
fn all() -> Vec<String> {
    TARGETS.iter().map(|target| format!("qemu-{target}-static")).collect()
}

/// A mirror of a few small programs, and its server.
struct Small {
    folder: TempDir,
    mirror: Mirror,
    server: Server,
}

/// What it has emulators of.
const SMALL: &[&str] = &["alpha", "m68k"];

impl Small {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        Self::of(&[MIRROR.host], change)
    }

    /// With packages for these hosts.
    fn of(hosts: &[&str], change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut options = Options::quick(folder.path().join("mirror"), SMALL);
        options.emulators.clear();
        for host in hosts {
            let programs = folder.path().join(host);
            fs::create_dir(&programs).expect("a folder");
            emulators::write_fake_emulators(&programs, host, SMALL, "11.1.3").expect("emulators");
            options.emulators.push(programs);
        }
        change(&mut options);
        let mirror = fedora_mirror::make(&options).expect("a mirror");
        let server = fedora_mirror::serve(&mirror.root).expect("a server");
        Self { folder, mirror, server }
    }

    fn run(&self, more: &[&str]) -> CommandResult {
        self.again(tempfile::tempdir().expect("a temporary folder"), more)
    }

    /// Runs in the folder of an earlier run.
    fn again(&self, folder: TempDir, more: &[&str]) -> CommandResult {
        let (servers, fingerprint) = (self.server.url(""), &self.mirror.key.fingerprint);
        let arguments = ["--source", "fedora", "--servers", &servers, "--fingerprint", fingerprint];
        CommandResult::again(folder, &[&arguments, more].concat())
    }

    /// A file at the root of the servers.
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.mirror.root.join(name)
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).expect("removing a file of the servers");
    }
}

/// That the small mirror's emulators have come out; gives the record of the extraction.
#[track_caller]
fn assert_small(ran: &CommandResult) -> String {
    assert_eq!(ran.emulators(), SMALL.iter().map(|target| format!("qemu-{target}-static")).collect::<Vec<_>>());
    fs::read_to_string(ran.out().join("record.json")).expect("the record")
}

#[test]
fn from_the_metalink_to_the_root_file_system_with_every_check_on() {
    let server = fedora_mirror::serve(&MIRROR.root).expect("a server");
    let (servers, fingerprint) = (server.url(""), &MIRROR.key.fingerprint);
    let arguments =
        ["--source", "fedora", "--release", release(), "--servers", &servers, "--fingerprint", fingerprint, "-v"];
    let ran = CommandResult::build(tempfile::tempdir().expect("a temporary folder"), &arguments);
    assert!(ran.good, "{}", ran.stderr);
    let rootfs = ran.out().join(MIRROR.host).join("rootfs");
    assert_eq!(names(&rootfs.join("usr/bin")).iter().filter(|name| name.ends_with("-static")).count(), TARGETS.len());
    let proofs: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("proven: ")).collect();
    let is_proven = |words: &[&str]| {
        let is_it = |line: &&&str| words.iter().all(|word| line.contains(word));
        assert!(proofs.iter().any(|line| is_it(&line)), "no proof with {words:?} in {}", ran.stderr);
    };
    for repository in [format!("fedora-{RELEASE}"), format!("updates-released-f{RELEASE}")] {
        is_proven(&["metalink", &repository, MIRROR.host]);
        is_proven(&["repomd.xml", &repository, "SHA-512", "metalink"]);
        is_proven(&["primary.xml", &repository, "SHA-256", "repomd.xml"]);
    }
    is_proven(&[fingerprint, "fedora.gpg", "fingerprint"]);
    for package in ["", "-alpha", "-arm", "-x86"] {
        let name = format!("qemu-user-static{package}-2:{}-2{}.{}", MIRROR.version, dist(), MIRROR.host);
        is_proven(&[&name, "SHA-256", "payload", fingerprint]);
    }
}

#[test]
fn updates_win_where_they_are_newer() {
    for (updates, build) in [(Updates::Newer, 2), (Updates::Older, 1), (Updates::Empty, 1)] {
        let small = Small::new(|options| options.updates = updates);
        let record = assert_small(&small.run(&["--release", release()]));
        for other in 0..=2 {
            let is_there = record.contains(&format!("-{other}{}.", dist()));
            assert_eq!(is_there, other == build, "{updates:?}: {record}");
        }
    }
}

#[test]
fn the_release_is_the_newest_or_the_one_that_is_named() {
    let small = Small::new(|_| {});
    // Of the one before, this one, and the next one's beta.
    for release in [&[][..], &["--release", "latest"], &["--release", release()]] {
        let ran = small.run(release);
        assert!(assert_small(&ran).contains(&format!("{}.", dist())));
        assert_eq!(ran.stderr, "", "{release:?}");
    }
    let next = (RELEASE + 1).to_string();
    small.run(&["--release", &next]).assert_refused(&[&format!("Fedora {next}"), "404"]);

    for (change, word) in [(None, "404"), (Some("[]"), "no release"), (Some("<html>"), "reading")] {
        match change {
            None => small.remove("releases.json"),
            Some(text) => fs::write(small.file("releases.json"), text).expect("another list"),
        }
        let ran = small.run(&[]);
        assert!(assert_small(&ran).contains(&format!("{}.", dist())), "the newest that the source knows");
        assert!(
            ran.stderr.starts_with(&format!("warning: taking Fedora {RELEASE}")) && ran.stderr.contains(word),
            "{}",
            ran.stderr
        );
    }
    let list = format!(r#"[{{"version":"{RELEASE}"}},{{"version":"99"}}]"#);
    fs::write(small.file("releases.json"), list).expect("another list");
    let ran = small.run(&[]);
    assert_small(&ran);
    assert!(ran.stderr.starts_with("warning: Fedora 99 is out"), "{}", ran.stderr);
}

#[test]
fn rawhide_and_releases_of_the_archive() {
    let small = Small::new(|options| options.kind = Kind::Rawhide);
    assert_small(&small.run(&["--release", "rawhide"]));
    small.run(&["--release", release()]).assert_refused(&[release()]);

    let small = Small::new(|options| {
        options.kind = Kind::Archived;
        options.release = 41;
        options.updates = Updates::Newer;
    });
    let ran = small.run(&["--release", "41", "-v"]);
    assert!(assert_small(&ran).contains("-2.fc41."));
    assert!(!ran.stderr.contains("unproven"), "its metalink leads to the archive: {}", ran.stderr);

    // Without metalinks, as of very old releases: only this server's word, and the packages' signatures.
    let server = Server::new(&small.mirror.root).expect("a server");
    let arguments = ["--source", "fedora", "--release", "41", "--servers", &server.url("")];
    let ran = CommandResult::new(&[&arguments[..], &["--fingerprint", &small.mirror.key.fingerprint]].concat());
    assert!(assert_small(&ran).contains("-2.fc41."));
    assert!(ran.stderr.contains("unproven") && ran.stderr.contains("archive"), "{}", ran.stderr);
    let packages = server.requests("/Packages/");
    assert!(
        packages.iter().all(|request| request.path.starts_with("/pub/archive/fedora/linux/updates/41/")),
        "{packages:?}"
    );
}

#[test]
fn each_host_has_its_own_place() {
    let hosts = ["aarch64", "ppc64le", "s390x", "x86_64"];
    for kind in [Kind::Release, Kind::Archived] {
        let small = Small::of(&hosts, |options| options.kind = kind);
        for host in hosts {
            let record = assert_small(&small.run(&["--release", release(), "--host", host]));
            assert!(record.contains(&format!("-1{}.{host}", dist())), "{host}: {record}");
            assert!(hosts.iter().all(|other| *other == host || !record.contains(other)), "{host}: {record}");
        }
    }
}

#[test]
fn every_compression_of_metadata_and_payload() {
    for (metadata, end, payload) in
        [("gz", ".xml.gz", "w6.gzdio"), ("xz", ".xml.xz", "w2.xzdio"), ("zstd", ".xml.zst", "w19.zstdio")]
    {
        let small = Small::new(|options| {
            options.metadata = metadata.into();
            options.payload = payload.into();
        });
        let ran = small.run(&["--release", release()]);
        assert_small(&ran);
        let kept = names(&ran.out().join("../target/fetch/cache/files"));
        assert!(kept.iter().any(|name| name.ends_with(&format!("-primary{end}"))), "{metadata}: {kept:?}");
    }
}

#[test]
fn the_key_is_the_one_with_the_pinned_fingerprint_wherever_it_comes_from() {
    let small = Small::new(|_| {});
    let fingerprint = &small.mirror.key.fingerprint;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = other_key(folder.path());
    let read = |path: &std::path::Path| fs::read(path).expect("a key");
    let (right, wrong) = (read(&small.mirror.key.public), read(&other.public));
    for (what, keyring, from) in [
        ("binary, between others", Some(read(&small.file("fedora.gpg"))), "fedora.gpg"),
        ("binary, alone", Some(read(&small.mirror.key.keyring)), "fedora.gpg"),
        ("armored", Some(right.clone()), "fedora.gpg"),
        ("armored, among others", Some([&wrong[..], &right].concat()), "fedora.gpg"),
        ("another one", Some(wrong.clone()), "fedora-gpg-keys"),
        ("another one, binary", Some(read(&other.keyring)), "fedora-gpg-keys"),
        ("something else", Some(b"<html>".to_vec()), "fedora-gpg-keys"),
        ("missing", None, "fedora-gpg-keys"),
    ] {
        match &keyring {
            Some(keyring) => fs::write(small.file("fedora.gpg"), keyring).expect("another keyring"),
            None => small.remove("fedora.gpg"),
        }
        let ran = small.run(&["--release", release(), "-v"]);
        assert!(ran.good, "{what}: {}", ran.stderr);
        assert!(assert_small(&ran).contains(&format!("\"signer\": \"{fingerprint}\"")), "{what}");
        let is_it = |line: &str| line.starts_with("proven: ") && line.contains(fingerprint) && line.contains(from);
        assert!(ran.stderr.lines().any(is_it), "{what}: no proof of {from} in {}", ran.stderr);
    }

    // A key of the keyring that is not the pinned one has signed the packages.
    fs::write(small.file("fedora.gpg"), [wrong, right].concat()).expect("a keyring of both");
    let servers = small.server.url("");
    let pinned = |fingerprint: &str| {
        let arguments = ["--source", "fedora", "--release", release(), "--servers", &servers];
        CommandResult::new(&[&arguments[..], &["--fingerprint", fingerprint]].concat())
    };
    pinned(&other.fingerprint).assert_refused(&["qemu-user-static", "is signed by", fingerprint]);
    let nobodys = &Release::Number(RELEASE).fingerprints().expect("the pinned key")[0];
    pinned(nobodys).assert_refused(&["fedora.gpg", nobodys]);
    let ran = CommandResult::new(&["--source", "fedora", "--servers", &servers]);
    ran.assert_refused(&["fedora.gpg", "does not hold the key", nobodys]);
    let ran = CommandResult::new(&["--source", "fedora", "--servers", &servers, "--key", key()]);
    ran.assert_refused(&["qemu-user-static", "is signed by", fingerprint]);
}

#[test]
fn what_a_run_has_fetched_serves_another_offline() {
    let Small { folder: _folder, mirror, server } = Small::new(|options| options.updates = Updates::Newer);
    let (servers, fingerprint) = (server.url(""), &mirror.key.fingerprint);
    let arguments = ["--source", "fedora", "--servers", &servers, "--fingerprint", fingerprint];
    let ran = CommandResult::new(&arguments);
    assert_small(&ran);
    drop(server);
    for release in ["latest", release()] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = ran.out().join("../target").canonicalize().expect("the cache");
        symlink(target, folder.path().join("target")).expect("the cache of the first run");
        let offline = CommandResult::again(folder, &[&arguments[..], &["--offline", "--release", release]].concat());
        assert!(assert_small(&offline).contains(&format!("-2{}.", dist())));
    }
    let older = (RELEASE - 1).to_string();
    let other =
        CommandResult::again(ran.into_folder(), &[&arguments[..], &["--offline", "--release", &older]].concat());
    assert!(!other.good && other.stderr.contains("not in the cache; run once without --offline"), "{}", other.stderr);
    CommandResult::new(&[&arguments[..], &["--offline"]].concat()).assert_refused(&["without --offline"]);
}

#[test]
fn a_build_asks_the_servers_again_only_when_told() {
    let fedora = FakeFedora::new(1);
    let (servers, fingerprint) = (fedora.front.url(""), &MIRROR.key.fingerprint);
    let arguments = ["--source", "fedora", "--release", release(), "--servers", &servers, "--fingerprint", fingerprint];
    let arguments = [&arguments[..], &["--target", "alpha"]].concat();
    let builds = Builds::alone();
    let build = |folder: TempDir, more: &[&str]| {
        fedora.front.clear_log();
        let ran = builds.build(folder, &[&arguments[..], more].concat());
        assert!(ran.good, "{}", ran.stderr);
        let requests: Vec<_> = fedora.front.requests("").into_iter().map(|request| request.status).collect();
        (ran.into_folder(), requests)
    };
    let (folder, requests) = build(tempfile::tempdir().expect("a temporary folder"), &[]);
    assert!(!requests.is_empty() && requests.iter().all(|status| *status == 200), "{requests:?}");
    let (folder, requests) = build(folder, &[]);
    assert_eq!(requests, [0; 0]);
    let (_folder, requests) = build(folder, &["--refresh"]);
    assert!(!requests.is_empty() && requests.iter().all(|status| *status == 304), "{requests:?}");
}

#[test]
fn fedora_out_of_reach() {
    let servers = "http://no-such-host.invalid";
    let ran = CommandResult::new(&["--source", "fedora", "--servers", servers]);
    ran.assert_refused(&["asking Fedora for its releases", "no-such-host.invalid"]);

    // A server that is there and refuses is no reason to take other packages.
    let root = tempfile::tempdir().expect("a temporary folder");
    let server = fedora_mirror::serve(root.path()).expect("a server");
    let ran = CommandResult::new(&["--source", "auto", "--servers", &server.url("")]);
    assert!(!ran.good && ran.stderr.contains("404") && !ran.stderr.contains("apt"), "{}", ran.stderr);
}

#[test]
fn a_real_mirrors_emulators_are_those_that_were_packaged() {
    let server = fedora_mirror::serve(&MIRROR.root).expect("a server");
    let ran = CommandResult::new(&["--source", "fedora", "--servers", &server.url(""), "--key", key()]);
    assert_eq!(ran.emulators(), all());
    for (name, target) in all().iter().zip(TARGETS) {
        let original = fs::read(emulator(target)).expect("an emulator");
        assert!(fs::read(ran.out().join("emulators").join(name)).expect("an emulator") == original, "{name} differs");
    }
}
