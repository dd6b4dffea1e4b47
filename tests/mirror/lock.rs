//! `fetch.lock`: what `update` writes and shows, and that `--locked` takes exactly that.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::command::CommandResult;
use crate::fake_fedora::{FakeFedora, assert_alpha};
use crate::fixture::{MIRROR, RepoCopy, TARGETS, dist, key, release, text};
use fedora_mirror::server::Fault;

/// A lock in a folder of its own.
struct Lock {
    folder: TempDir,
}

impl Lock {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self) -> String {
        self.folder.path().join("fetch.lock").display().to_string()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).expect("the lock")
    }

    /// What `xtask update` prints, or the one line that it fails with.
    fn update(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(env!("CARGO_BIN_EXE_tested-xtask"))
            .args(["update", "--lock", &self.path()])
            .args(arguments)
            .env("CARGO_TARGET_DIR", self.folder.path().join("target"))
            .output()
            .expect("running xtask");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Writes the lock of a repository.
    fn of(repository: &Path) -> Self {
        let lock = Self::new();
        lock.update(&["--source", text(repository), "--key", key()]).expect("a lock");
        lock
    }

    /// Extracts what is locked.
    fn extract(&self, source: &str) -> CommandResult {
        CommandResult::new(&["--source", source, "--key", key(), "--locked", "--lock", &self.path()])
    }
}

#[test]
fn update_shows_what_is_new_and_writes_it() {
    let copy = RepoCopy::repository();
    let repository = copy.path();
    let source = ["--source", text(&repository)];
    let lock = Lock::new();
    let shown = lock.update(&[&source[..], &["--dry-run"]].concat()).expect("a look");
    for part in [format!(": QEMU {}\n", MIRROR.version), ": 4 targets new: alpha, arm, armeb, i386\n".into()] {
        assert!(shown.contains(&part), "no {part:?} in {shown}");
    }
    assert!(shown.contains(": + qemu-user-static-arm 2:") && shown.contains("would change"), "{shown}");
    assert!(!Path::new(&lock.path()).exists(), "--dry-run writes nothing");

    let written = lock.update(&source).expect("a lock");
    assert!(written.ends_with(&format!("wrote {}\n", lock.path())), "{written}");
    let first = lock.text();
    assert_eq!(lock.update(&source).expect("the same"), format!("{} is up to date\n", lock.path()));
    assert_eq!(lock.text(), first);

    // The same packages with a higher release number.
    let shown = lock.update(&["--source", text(&MIRROR.updates())]).expect("a newer lock");
    assert!(shown.contains(": ~ qemu-user-static-arm 2:") && shown.contains(&format!("-1{} -> 2:", dist())), "{shown}");
    assert!(!shown.contains("gone") && !shown.contains("QEMU"), "{shown}");
    assert_ne!(lock.text(), first);
}

#[test]
fn locked_takes_what_is_locked_though_there_is_newer() {
    let copy = RepoCopy::repository();
    let lock = Lock::of(&copy.path());
    // The newer packages come into the same repository, beside the locked ones.
    copy.add(&MIRROR.updates());
    let ran = lock.extract(text(&copy.path()));
    assert_eq!(ran.emulators().len(), TARGETS.len());
    let record = fs::read_to_string(ran.out().join("record.json")).expect("the record");
    let [old, new] = [1, 2].map(|build| format!("-{build}{}.", dist()));
    assert!(record.contains(&old) && !record.contains(&new), "{record}");
    let newest = CommandResult::new(&["--source", text(&copy.path()), "--key", key()]);
    let record = fs::read_to_string(newest.out().join("record.json")).expect("the record");
    assert!(record.contains(&new), "without --locked the newest are taken: {record}");
}

#[test]
fn locked_fails_where_it_cannot_be_exact() {
    let copy = RepoCopy::repository();
    let lock = Lock::of(&copy.path());
    let package = copy.package("arm");
    copy.flip(&package, |length| length / 2);
    lock.extract(text(&copy.path())).assert_refused(&["qemu-user-static-arm", "not what its repository promises"]);
    fs::remove_file(&package).expect("removing a package");
    lock.extract(text(&copy.path())).assert_refused(&["qemu-user-static-arm", "No such file"]);

    let other = RepoCopy::repository();
    lock.extract(text(&other.path())).assert_refused(&["holds packages of", "--source"]);
    Lock::new().extract(text(&other.path())).assert_refused(&["there is no", "fetch.lock", "cargo xtask update"]);
    let ran = CommandResult::new(&["--source", "apt", "--locked", "--lock", &lock.path()]);
    ran.assert_refused(&["--locked means nothing for packages of apt"]);
}

#[test]
fn a_lock_that_is_none() {
    let copy = RepoCopy::repository();
    for (content, words) in [
        ("", &["fetch.lock"][..]),
        ("{\"version\": 7}", &["is of version 7", "cargo xtask update"]),
        ("{\"version\": 1, \"hosts\": {}}", &["holds nothing for", "cargo xtask update --host"]),
    ] {
        let lock = Lock::new();
        fs::write(lock.path(), content).expect("a lock");
        lock.extract(text(&copy.path())).assert_refused(words);
    }
    let lock = Lock::of(&copy.path());
    let climbing = lock.text().replace("\"href\": \"Packages/", "\"href\": \"../Packages/");
    fs::write(lock.path(), climbing).expect("a hostile lock");
    lock.extract(text(&copy.path())).assert_refused(&["not a plain path inside the repository"]);
}

#[test]
fn locked_packages_in_the_cache_need_no_server() {
    let server = fedora_mirror::serve(&MIRROR.root).expect("a server");
    let url = server.url(&MIRROR.repo_path);
    let lock = Lock::new();
    lock.update(&["--source", &url]).expect("a lock");
    let first = lock.extract(&url);
    assert_eq!(first.emulators().len(), TARGETS.len());
    drop(server);
    fs::remove_dir_all(first.out()).expect("removing what was extracted");
    let path = lock.path();
    let again =
        CommandResult::again(first.into_folder(), &["--source", &url, "--key", key(), "--locked", "--lock", &path]);
    assert_eq!(again.emulators().len(), TARGETS.len());
}

#[test]
fn locked_packages_of_fedora_need_no_metalink_and_in_the_end_no_mirror() {
    let fedora = FakeFedora::new(1);
    let (lock, fingerprint, front) = (Lock::new(), MIRROR.key.fingerprint.as_str(), fedora.front.url(""));
    let options = ["--source", "fedora", "--servers", &front, "--fingerprint", fingerprint];
    lock.update(&[&options[..], &["--release", release()]].concat()).expect("a lock");
    let path = lock.path();
    let locked = [&options[..], &["--locked", "--lock", &path, "--target", "alpha"]].concat();

    // No metalinks: then what the download server has.
    fedora.front.always("metalink", Fault::Status(404, None));
    let ran = CommandResult::new(&locked);
    assert_alpha(&ran, "without metalinks");
    assert!(ran.stderr.starts_with("warning: asking Fedora's own servers for what is locked"), "{}", ran.stderr);
    assert!(!fedora.front.requests("pub/fedora/linux").is_empty());

    // Gone from everywhere but the build system.
    fedora.front.always("pub/", Fault::Status(404, None));
    let ran = CommandResult::new(&locked);
    assert!(!ran.good && ran.stderr.contains("error: ") && ran.stderr.contains("404"), "{}", ran.stderr);
    let text = lock.text();
    let packages: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for package in packages["hosts"][MIRROR.host]["packages"].as_array().expect("packages") {
        let word = |name: &str| package[name].as_str().expect("text").to_owned();
        let file = MIRROR.root.join(&MIRROR.trees[0].repo_path).join(word("href"));
        let newer = MIRROR.updates().join(word("href"));
        let bytes = fs::read(&newer).or_else(|_| fs::read(&file)).expect("a package");
        let build = word("source").trim_end_matches(".src.rpm").rsplitn(3, '-').map(str::to_owned).collect::<Vec<_>>();
        let key = fingerprint[fingerprint.len() - 8..].to_lowercase();
        let (arch, name) = (MIRROR.host, word("href").rsplit('/').next().expect("a name").to_owned());
        fedora
            .front
            .put(&format!("packages/{}/{}/{}/data/signed/{key}/{arch}/{name}", build[2], build[1], build[0]), bytes);
    }
    let ran = CommandResult::new(&locked);
    assert_alpha(&ran, "from the build system");
    assert!(!fedora.front.requests("data/signed").is_empty());
}
