//! The pinned fingerprints of Fedora's releases, held against Fedora's real keys in a package that others made: Debian's
//! `distribution-gpg-keys`, of sid, since a stable release has only the keys that there were when it came out.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use tests::debian::Apt;
use xtask::source::KEYS;
use xtask::system;
use xtask::system::host::Host;
use xtask::verify::Keys;

const PACKAGE: &str = "distribution-gpg-keys";

/// Files of keys, as `distribution-gpg-keys` 1.123 has them: `RPM-GPG-KEY-fedora-47-primary`.
const FOLDER: &str = "usr/share/distribution-gpg-keys/fedora";

/// Each release's file.
fn files(folder: &tempfile::TempDir) -> anyhow::Result<BTreeMap<u32, PathBuf>> {
    let apt = Apt::new("sid", Host::named(None)?.debian, folder.path())?;
    // A mirror's copy may be old, and the keys are none the worse for that.
    apt.run("apt-get", &["-o", "Acquire::Check-Valid-Until=false", "update"])?;
    apt.run("apt-get", &["download", PACKAGE])?;
    let root = folder.path().join("root");
    system::run(Command::new("dpkg-deb").arg("--extract").arg(apt.package(PACKAGE)?).arg(&root))?;
    let mut found = BTreeMap::new();
    for file in fs::read_dir(root.join(FOLDER))? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("RPM-GPG-KEY-fedora-").and_then(|name| name.strip_suffix("-primary"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.insert(number, path);
        }
    }
    Ok(found)
}

#[test]
fn pinned_fingerprints_are_those_of_the_real_keys() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = files(&folder).unwrap_or_else(|error| panic!("fetching {PACKAGE}: {error:#}"));
    for (number, fingerprint) in KEYS {
        let file = files.get(number).unwrap_or_else(|| panic!("{PACKAGE} has no key of Fedora {number}"));
        let keys =
            Keys::from_files(std::slice::from_ref(file)).unwrap_or_else(|error| panic!("Fedora {number}: {error:#}"));
        assert_eq!(keys.cache_key(), *fingerprint, "Fedora {number}");
    }
    // All of Fedora's keys in one ring, of which the oldest are DSA's.
    let all: Vec<_> = files.values().map(|file| fs::read(file).expect("a key")).collect();
    let fingerprints: Vec<_> = KEYS.iter().map(|&(_, fingerprint)| fingerprint.to_owned()).collect();
    let pinned = Keys::pinned(&all, PACKAGE, &fingerprints).expect("the pinned keys");
    assert_eq!(pinned.count(), KEYS.len());

    let newest = KEYS.iter().map(|&(number, _)| number).max().unwrap_or_default();
    for (number, file) in files.range(newest + 1..) {
        let fingerprint = Keys::from_files(std::slice::from_ref(file))
            .map_or_else(|error| format!("{error:#}"), |keys| keys.cache_key());
        // Past the test's captured output: a maintainer is to read it, and nothing is wrong.
        let line = format!("note: {PACKAGE} has a key of Fedora {number} that is not pinned: {fingerprint}\n");
        std::io::stderr().write_all(line.as_bytes()).expect("saying so");
    }
}
