//! What goes wrong between Fedora's servers and here is survived, or refused with one line. Here: mirrors that fail, and
//! how many are asked how often.

use std::time::{Duration, Instant};

use fedora_mirror::{Options, emulators};

use crate::fixture::MIRROR;
use crate::server::{Fault, FaultServer, NOBODY};
use crate::world::{ALPHA, World, assert_alpha};

mod metalink;
mod resume;
mod tls;

/// What a mirror may do wrong with any file.
fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("silent", Fault::Silent),
        ("slow", Fault::Slow(300)),
        ("503", Fault::Status(503, None)),
        ("429", Fault::Status(429, Some(1))),
        ("403", Fault::Status(403, None)),
        ("404", Fault::Status(404, None)),
        ("too long", Fault::Length(7)),
        ("too short", Fault::Length(-7)),
        ("closed", Fault::CutAt(1000)),
        ("reset", Fault::ResetAt(1000)),
        ("reset at once", Fault::ResetAt(0)),
        ("another byte", Fault::FlipAt(1000)),
        ("something else", Fault::Instead(b"<html>Log in to the network</html>".to_vec())),
        ("endless", Fault::Endless),
        ("compressed", Fault::Gzip),
        ("in circles", Fault::Redirect("{path}".into())),
        ("to a file", Fault::Redirect("file:///etc/passwd".into())),
        ("to nobody", Fault::Redirect(format!("{NOBODY}{{path}}"))),
    ]
}

#[test]
fn a_mirror_that_fails_is_left_for_the_next() {
    for (what, fault) in faults() {
        let world = World::new(2);
        world.mirrors[0].always("", fault);
        world.assert_alpha(what);
        assert_eq!(world.mirrors[1].asked(ALPHA).len(), 1, "{what}");
    }
}

#[test]
fn a_package_that_one_mirror_fails_to_give_is_asked_of_the_next() {
    for (what, fault) in faults() {
        let world = World::new(2);
        world.mirrors[0].always(ALPHA, fault);
        world.assert_alpha(what);
        let asked = |index: usize| world.mirrors[index].asked(ALPHA).len();
        assert!(asked(0) >= 1 && asked(1) == 1, "{what}: {} and {}", asked(0), asked(1));
        assert!(!world.mirrors[0].asked("repomd.xml").is_empty(), "{what}: it is the preferred one");
        assert!(world.mirrors[1].asked("repomd.xml").is_empty(), "{what}: the other one is not");
    }
}

#[test]
fn a_mirror_that_has_failed_is_not_asked_for_other_files() {
    for (what, fault, expected) in [
        ("503", Fault::Status(503, None), 1),
        ("silent", Fault::Silent, 1),
        ("slow", Fault::Slow(300), 1),
        ("reset", Fault::ResetAt(10), 1),
        // Its other repository may be in order: index, list and two packages.
        ("another byte", Fault::FlipAt(10), 1 + 4),
    ] {
        let world = World::new(2);
        world.mirrors[0].times(1, "", fault);
        world.assert_alpha(what);
        assert_eq!(world.mirrors[0].asked("").len(), expected, "{what}: {:?}", world.mirrors[0].asked(""));
    }
    let world = World::new(1);
    world.name_mirrors(&[NOBODY, &world.mirrors[0].url("")]);
    world.assert_alpha("nobody there");
}

#[test]
fn files_that_a_mirror_lacks_are_asked_of_the_next_and_others_still_of_the_first() {
    let world = World::new(2);
    let lists = format!("{}/repodata/", world.repositories()[1]);
    world.mirrors[0].always(&lists, Fault::Status(404, None));
    let ran = world.run(&[]);
    assert_eq!(ran.emulators().len(), 4);
    assert_eq!(world.mirrors[0].asked("/Packages/").len(), 4);
    let asked = world.mirrors[1].asked("");
    assert!(asked.len() == 2 && asked.iter().all(|asked| asked.path.contains(&lists)), "{asked:?}");
}

#[test]
fn what_no_mirror_gives_is_refused_after_three_rounds() {
    for (what, fault, words, rounds) in [
        ("503", Fault::Status(503, None), "503", 3),
        ("closed", Fault::CutAt(10), "cut off after", 3),
        ("404", Fault::Status(404, None), "404", 1),
        ("another byte", Fault::FlipAt(10), "is not what its repository promises", 1),
        ("too long", Fault::Length(7), "longer than", 1),
        ("in circles", Fault::Redirect("{path}".into()), "redirect", 1),
        ("to a file", Fault::Redirect("file:///etc/passwd".into()), "file", 1),
    ] {
        let world = World::new(3);
        for mirror in &world.mirrors {
            mirror.always(ALPHA, fault.clone());
        }
        let ran = world.run(&["--target", "alpha"]);
        ran.assert_refused(&["none of 3 mirrors", ALPHA, words]);
        for mirror in &world.mirrors {
            // A redirect is followed a few times.
            let asked = mirror.asked(ALPHA).iter().filter(|asked| asked.status != 302).count();
            let expected = if what == "in circles" || what == "to a file" { 0 } else { rounds };
            assert_eq!(asked, expected, "{what}");
        }
    }
}

#[test]
fn a_single_silent_mirror_is_waited_for_no_longer_than_wanted() {
    let world = World::new(1);
    world.mirrors[0].always(ALPHA, Fault::Silent);
    let begun = Instant::now();
    world.run(&["--target", "alpha"]).assert_refused(&[ALPHA, "timeout"]);
    assert_eq!(world.mirrors[0].asked(ALPHA).len(), 3);
    // Three times a second, and pauses of up to 2.3 seconds; the rest is for a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    for (status, retry_after, least) in [(503, Some(3), 3000), (429, Some(3), 3000), (503, None, 500)] {
        let world = World::new(1);
        world.mirrors[0].times(1, ALPHA, Fault::Status(status, retry_after));
        world.assert_alpha("a busy server");
        let asked = world.mirrors[0].asked(ALPHA);
        assert_eq!(asked.len(), 2);
        let pause = asked[1].at - asked[0].at;
        // A busy machine may take its time, but nobody waits without end.
        let (least, most) = (Duration::from_millis(least), Duration::from_secs(20));
        assert!((least..most).contains(&pause), "{status} {retry_after:?}: {pause:?}");
    }
}

#[test]
fn redirects_lead_to_other_servers() {
    let (world, other) = (World::new(2), FaultServer::new(&MIRROR.root));
    let place = other.url("");
    world.mirrors[0].always("", Fault::Redirect(format!("{}{{path}}", place.trim_end_matches('/'))));
    world.assert_alpha("another server");
    assert_eq!(other.asked(ALPHA).len(), 1);
    assert!(world.mirrors[1].asked("").is_empty());
}

#[test]
fn a_server_has_few_connections_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let targets = ["aarch64", "alpha", "arm", "hexagon", "hppa", "m68k", "or1k", "riscv64", "s390x"];
    let programs = folder.path().join("programs");
    std::fs::create_dir(&programs).expect("a folder");
    emulators::pretend(&programs, MIRROR.host, &targets, "11.1.3").expect("emulators");
    let options = Options { emulators: vec![programs], ..Options::quick(folder.path().join("mirror"), &targets) };
    let world = World::of(&fedora_mirror::make(&options).expect("a mirror"), 1);
    world.mirrors[0].always("/Packages/", Fault::Late(Duration::from_millis(300)));
    let ran = world.run(&[]);
    assert_eq!(ran.emulators().len(), targets.len());
    assert_eq!(world.mirrors[0].asked("/Packages/").len(), targets.len() + 1);
    let most = world.mirrors[0].most_connections();
    assert!((2..=4).contains(&most), "{most} connections");
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let world = World::new(0);
    world.name_mirrors(&["http://mirror.invalid"]);
    let proxy = world.front.url("");
    let environment = [("http_proxy", proxy.trim_end_matches('/'))];
    let new = tempfile::tempdir().expect("a temporary folder");
    let ran = world.told(new, "http://fedora.invalid", &["--target", "alpha"], &environment);
    assert_alpha(&ran, "through a proxy");
    assert_eq!(world.front.asked(ALPHA).len(), 1);
    for server in ["fedora.invalid:80", "mirror.invalid:80"] {
        assert!(!world.front.asked(server).is_empty(), "{server}");
    }
}
