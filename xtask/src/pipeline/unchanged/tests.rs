//! Builds that need not be made again, and whatever must not pass for one.

use super::*;

/// A folder with what was built, and a check of it.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        fs::create_dir_all(world.out().join("rootfs")).expect("a folder");
        fs::write(world.out().join("rootfs/registrar"), "program").expect("a file");
        world
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out/host")
    }

    fn check(&self, text: &str, ages: bool) -> Check {
        Check::of(text, self.folder.path(), &self.out(), ages)
    }
}

fn report(warnings: &[&str]) -> BuildReport {
    let warnings = warnings.iter().map(|&warning| warning.into()).collect();
    BuildReport { packages: vec!["a verified".into()], warnings, summary: "built\n".into() }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_build_of_the_same_is_said_again_while_it_holds() {
    let now = SystemTime::now();
    for (warnings, ages, age, offline, holds) in [
        (&[][..], true, MINUTE, false, true),
        (&[], true, FRESH - MINUTE, false, true),
        (&[], true, FRESH, false, false),
        (&[], true, FRESH, true, true),
        (&[], false, FRESH * 100, false, true),
        (&["Debian's"], true, WARNED - MINUTE, false, true),
        (&["Debian's"], true, WARNED, false, false),
    ] {
        let world = World::new();
        assert_eq!(world.check("same", ages).unchanged(offline, now), None, "nothing is built");
        world.check("same", ages).done(report(warnings), Some(now - age)).expect("written");
        let again = world.check("same", ages).unchanged(offline, now);
        assert_eq!(again.is_some(), holds, "{warnings:?} {ages} {age:?} {offline}");
        if let Some(again) = again {
            assert!(again.summary.starts_with("built\nunchanged, nothing to do"), "{}", again.summary);
            assert_eq!((again.packages.len(), again.warnings.len()), (1, warnings.len()));
        }
    }
}

#[test]
fn whatever_differs_is_built() {
    let now = SystemTime::now();
    type Change = fn(&World);
    let changes: &[(&str, Change)] = &[
        ("a file is gone", |world| fs::remove_file(world.out().join("rootfs/registrar")).expect("gone")),
        ("a file more", |world| fs::write(world.out().join("rootfs/more"), "").expect("a file")),
        ("another text, with the time of the old", |world| {
            let path = world.out().join("rootfs/registrar");
            let time = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
            fs::write(&path, "PROGRAM").expect("a file");
            fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(time)).expect("its time");
        }),
    ];
    for (what, change) in changes {
        let world = World::new();
        world.check("same", true).done(report(&[]), Some(now)).expect("written");
        assert!(world.check("same", true).unchanged(false, now).is_some(), "{what}");
        assert_eq!(world.check("other", true).unchanged(false, now), None, "made of something else");
        change(&world);
        assert_eq!(world.check("same", true).unchanged(false, now), None, "{what}");
    }
}

#[test]
fn who_has_not_asked_does_not_count_as_having_asked() {
    let (now, world) = (SystemTime::now(), World::new());
    world.check("same", true).done(report(&[]), None).expect("written");
    assert_eq!(world.check("same", true).unchanged(false, now), None);
    assert!(world.check("same", true).unchanged(true, now).is_some());
    let before = now - (FRESH - MINUTE);
    world.check("same", true).done(report(&[]), Some(before)).expect("written");
    world.check("same", true).done(report(&[]), None).expect("written");
    assert!(world.check("same", true).unchanged(false, now).is_some());
    assert_eq!(world.check("same", true).unchanged(false, now + MINUTE * 2), None, "an offline build renews nothing");
}

#[test]
fn what_links_lead_to_is_looked_at() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (target, links) = (folder.path().join("target"), folder.path().join("links"));
    fs::create_dir(&links).expect("a folder");
    fs::write(&target, "one").expect("a file");
    std::os::unix::fs::symlink(&target, links.join("a.rpm")).expect("a link");
    let text = || {
        let mut text = String::new();
        listing(&links, Path::metadata, &mut text).expect("a listing");
        text
    };
    let before = text();
    fs::write(&target, "other").expect("a file");
    assert_ne!(text(), before);
}
