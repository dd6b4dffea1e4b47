//! A folder of extracted files is used again only while it holds what was extracted, byte for byte.

use std::fs;

use serde_json::Value;

use crate::command::{CommandResult, files};
use crate::fixture::{MIRROR, key, text};

/// The options of all runs here.
fn arguments(repository: &str) -> [&str; 6] {
    ["--source", repository, "--key", key(), "--target", "arm"]
}

#[test]
fn a_damaged_folder_heals() {
    let repository = MIRROR.repo();
    let arguments = arguments(text(&repository));
    let mut ran = CommandResult::new(&arguments);
    for path in ["emulators/qemu-arm-static", "binfmt.d/qemu-arm.conf", "licenses/qemu-user-static/COPYING"] {
        ran = CommandResult::again(ran.into_folder(), &arguments);
        assert!(ran.good && ran.stdout.contains("unchanged"), "{}{}", ran.stdout, ran.stderr);
        let path = ran.out().join(path);
        let whole = fs::read(&path).expect("an extracted file");
        let mut damaged = whole.clone();
        *damaged.last_mut().expect("some bytes") ^= 1;
        fs::write(&path, damaged).expect("damaging it");
        ran = CommandResult::again(ran.into_folder(), &arguments);
        assert!(ran.good && !ran.stdout.contains("unchanged"), "{}: {}{}", path.display(), ran.stdout, ran.stderr);
        assert!(fs::read(&path).expect("the file") == whole, "{} is still damaged", path.display());
    }
}

#[test]
fn the_folder_of_an_older_version_is_replaced() {
    let repository = MIRROR.repo();
    let arguments = arguments(text(&repository));
    let ran = CommandResult::new(&arguments);
    let path = ran.out().join("record.json");
    let record = fs::read(&path).expect("the record");
    let mut older: Value = serde_json::from_slice(&record).expect("JSON");
    for list in ["confs", "licenses"] {
        // Those were paths alone.
        for text in older[list].as_array_mut().expect("a list") {
            *text = text["path"].take();
        }
    }
    fs::write(&path, older.to_string()).expect("an older record");
    let before = files(&ran.out());
    let ran = CommandResult::again(ran.into_folder(), &arguments);
    assert!(ran.good && ran.stdout.contains("verified and extracted"), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(fs::read(&path).expect("the record"), record);
    assert_eq!(files(&ran.out()), before);
}
