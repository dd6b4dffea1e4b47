//! Every kind of source gives the same emulators, byte for byte those that were packaged.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::{CommandResult, files, names};
use crate::fixture::Content::Bytes;
use crate::fixture::{MIRROR, RepoCopy, TARGETS, emulator, key, package, text};

/// File names of the mirror's emulators.
fn all() -> Vec<String> {
    TARGETS.iter().map(|target| format!("qemu-{target}-static")).collect()
}

/// That what came out is what the machine's emulators are.
#[track_caller]
fn assert_original(ran: &CommandResult) {
    for name in ran.emulators() {
        let target = name.trim_start_matches("qemu-").trim_end_matches("-static");
        let read = |path: &Path| fs::read(path).expect("an emulator");
        assert!(read(&ran.out().join("emulators").join(&name)) == read(&emulator(target)), "{name} differs");
    }
}

#[test]
fn a_folder_with_a_repository() {
    let ran = CommandResult::new(&["--source", text(&MIRROR.repo()), "--key", key()]);
    assert_eq!(ran.emulators(), all());
    assert_original(&ran);
    let confs: Vec<_> =
        TARGETS.iter().filter(|target| **target != "i386").map(|target| format!("qemu-{target}.conf")).collect();
    assert_eq!(names(&ran.out().join("binfmt.d")), confs, "confs of the host's own family are not packaged");
    let unwanted: Vec<_> = files(&ran.out()).into_iter().filter(|name| name.ends_with(".stp")).collect();
    assert_eq!(unwanted, Vec::<String>::new());
    assert!(!files(&ran.out().join("licenses")).is_empty());
    let record = fs::read_to_string(ran.out().join("record.json")).expect("the record");
    assert!(record.contains(&format!("\"signer\": \"{}\"", MIRROR.key.fingerprint)), "{record}");
}

#[test]
fn a_folder_of_packages() {
    let copy = RepoCopy::packages();
    let ran = CommandResult::new(&["--source", text(&copy.path()), "--key", key()]);
    assert_eq!(ran.emulators(), all());
    assert_original(&ran);
}

#[test]
fn a_folder_with_something_else_named_as_a_package() {
    let copy = RepoCopy::packages();
    let (arm, moved) = (copy.package("arm"), copy.path().join("elsewhere"));
    fs::rename(&arm, &moved).expect("moving a package");
    symlink(&moved, &arm).expect("a link");
    let folder = copy.path();
    let arguments = ["--source", text(&folder), "--key", key()];
    assert_eq!(CommandResult::new(&arguments).emulators(), all(), "a link to a package is as good");

    let odd = folder.join("qemu-user-static-odd-1-1.x86_64.rpm");
    nix::unistd::mkfifo(&odd, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    CommandResult::new(&arguments).assert_refused(&["qemu-user-static-odd", "no regular file"]);
    fs::remove_file(&odd).expect("removing the pipe");
    fs::create_dir(&odd).expect("a folder");
    CommandResult::new(&arguments).assert_refused(&["qemu-user-static-odd", "no regular file"]);
    fs::remove_dir(&odd).expect("removing the folder");
    symlink("nowhere", &odd).expect("a link to nothing");
    CommandResult::new(&arguments).assert_refused(&["qemu-user-static-odd", "No such file"]);
}

#[test]
fn a_url_and_then_its_cache() {
    let server = fedora_mirror::serve(&MIRROR.root).expect("a server");
    let url = server.url(&MIRROR.repo_path);
    let arguments = ["--source", url.as_str(), "--key", key()];
    let first = CommandResult::new(&arguments);
    assert_eq!(first.emulators(), all());
    assert_original(&first);
    let again = CommandResult::again(first.into_folder(), &arguments);
    assert!(again.stdout.contains(", unchanged in "), "{}", again.stdout);
    drop(server);
    fs::remove_dir_all(again.out()).expect("removing what was extracted");
    let offline = CommandResult::again(again.into_folder(), &[&arguments[..], &["--offline"]].concat());
    assert_eq!(offline.emulators(), all());
    assert_original(&offline);
}

#[test]
fn a_damaged_cache_is_fetched_again() {
    let server = fedora_mirror::serve(&MIRROR.root).expect("a server");
    let url = server.url(&MIRROR.repo_path);
    let arguments = ["--source", url.as_str(), "--key", key()];
    let first = CommandResult::new(&arguments);
    first.emulators();
    let folder = first.into_folder();
    let cache = folder.path().join("target/fetch/cache/files");
    for name in names(&cache) {
        fs::write(cache.join(name), "damaged").expect("damaging the cache");
    }
    fs::remove_dir_all(folder.path().join("out")).expect("removing what was extracted");
    let again = CommandResult::again(folder, &arguments);
    assert_eq!(again.emulators(), all());
    assert_original(&again);
}

#[test]
fn offline_without_a_cache() {
    let ran = CommandResult::new(&["--source", "http://127.0.0.1:9/os", "--key", key(), "--offline"]);
    ran.assert_refused(&["repomd.xml", "not in the cache", "without --offline"]);
}

#[test]
fn a_selection_fetches_only_what_it_needs() {
    let server = fedora_mirror::serve(&MIRROR.root).expect("a server");
    let url = server.url(&MIRROR.repo_path);
    let ran = CommandResult::new(&["--source", &url, "--key", key(), "--target", "linux/386,armhf"]);
    assert_eq!(ran.emulators(), ["qemu-arm-static", "qemu-i386-static"]);
    let fetched = files(&ran.out().join("../target/fetch/cache/files"));
    assert!(fetched.iter().any(|name| name.contains("qemu-user-static-arm-")), "{fetched:?}");
    assert!(!fetched.iter().any(|name| name.contains("qemu-user-static-alpha-")), "{fetched:?}");
}

#[test]
fn this_machines_packages_where_fedora_has_no_address() {
    let arguments = ["--source", "auto", "--servers", "http://no-such-host.invalid", "--target", "alpha"];
    let ran = CommandResult::new(&arguments);
    assert_eq!(ran.emulators(), ["qemu-alpha-static"]);
    assert!(ran.stderr.contains("\nwarning: Fedora's packages cannot be had"), "{}", ran.stderr);
    assert!(ran.stdout.contains("proven by the package manager"), "{}", ran.stdout);

    let offline = CommandResult::again(ran.into_folder(), &[&arguments[..], &["--offline"]].concat());
    assert_eq!(offline.emulators(), ["qemu-alpha-static"]);

    let ran = CommandResult::new(&[&arguments[..], &["--key", key()]].concat());
    assert!(!ran.good && ran.stderr.lines().count() == 2, "{}", ran.stderr);
    for word in ["\nerror: packages that --key has signed", "no-such-host.invalid"] {
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
    let ran = CommandResult::new(&["--source", "apt", "--key", key()]);
    ran.assert_refused(&["--key means nothing for packages of apt"]);
}

#[test]
fn in_ci_another_distribution_is_taken_only_where_that_is_typed() {
    let run = |more: &[&str]| {
        let arguments = [&["--servers", "http://no-such-host.invalid", "--target", "alpha"], more].concat();
        CommandResult::with_env(tempfile::tempdir().expect("a temporary folder"), &arguments, &[("CI", "true")])
    };
    let begun = Instant::now();
    let refused = run(&[]);
    assert!(!refused.good && refused.stdout.is_empty(), "{}", refused.stderr);
    let expected_wait = Duration::from_secs(5)..Duration::from_secs(60);
    assert!(
        expected_wait.contains(&begun.elapsed()),
        "a resolver has some seconds to come back: {:?}",
        begun.elapsed()
    );
    let lines: Vec<_> = refused.stderr.lines().collect();
    let [again, error] = lines.as_slice() else { panic!("{}", refused.stderr) };
    assert!(again.starts_with("Fedora cannot be reached; asking again for "), "{again}");
    for word in ["error: ", "no-such-host.invalid", "CI", "--source apt", "--source auto"] {
        assert!(error.contains(word), "no {word:?} in {error}");
    }
    // What else counts as CI is held beside the code: each of these runs asks Debian's archive.
    let typed = run(&["--source", "auto"]);
    assert_eq!(typed.emulators(), ["qemu-alpha-static"]);
    assert!(typed.stderr.contains("warning: Fedora's packages cannot be had"), "{}", typed.stderr);
}

#[test]
fn an_unknown_target_still_comes_out() {
    let emulator = fs::read(emulator("alpha")).expect("an emulator");
    let conf = br":qemu-z80:M::\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xdc\x00::/usr/bin/qemu-z80-static:F";
    let folder = package(&[
        ("/usr/bin/qemu-z80-static", Bytes(&emulator)),
        ("/usr/lib/binfmt.d/qemu-z80-static.conf", Bytes(conf)),
    ]);
    let ran = CommandResult::new(&["--source", text(folder.path()), "--key", key()]);
    assert_eq!(ran.emulators(), ["qemu-z80-static"]);
    assert_eq!(names(&ran.out().join("binfmt.d")), ["qemu-z80.conf"]);
}

#[test]
fn a_reader_that_stops_reading_does_no_harm() {
    let mut resolve = Command::new(env!("CARGO_BIN_EXE_tested-xtask"))
        .args(["resolve", "--no-signature", "--source", text(&MIRROR.repo())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting xtask");
    drop(resolve.stdout.take());
    let output = resolve.wait_with_output().expect("waiting for xtask");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = File::options().write(true).open("/dev/full").expect("a device that is always full");
    let output = Command::new(env!("CARGO_BIN_EXE_tested-xtask"))
        .args(["resolve", "--no-signature", "--source", text(&MIRROR.repo())])
        .stdout(full)
        .output()
        .expect("running xtask");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("error: writing to standard output: ") && stderr.lines().count() == 1, "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}
