//! What goes wrong between Fedora's servers and here is survived, or refused with one line. Here: mirrors that fail, and
//! how many are asked how often.

use std::time::{Duration, Instant};

use fedora_mirror::{Options, Server, emulators};

use crate::fake_fedora::{ALPHA, FakeFedora, assert_alpha};
use crate::fixture::MIRROR;
use fedora_mirror::server::{Fault, REFUSED};

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
        ("to nobody", Fault::Redirect(format!("{REFUSED}{{path}}"))),
    ]
}

#[test]
fn a_mirror_that_fails_is_left_for_the_next() {
    for (what, fault) in faults() {
        let fedora = FakeFedora::new(2);
        fedora.mirrors[0].always("", fault);
        fedora.assert_alpha(what);
        assert_eq!(fedora.mirrors[1].requests(ALPHA).len(), 1, "{what}");
    }
}

#[test]
fn a_package_that_one_mirror_fails_to_give_is_asked_of_the_next() {
    for (what, fault) in faults() {
        let fedora = FakeFedora::new(2);
        fedora.mirrors[0].always(ALPHA, fault);
        fedora.assert_alpha(what);
        let requests = |index: usize| fedora.mirrors[index].requests(ALPHA).len();
        assert!(requests(0) >= 1 && requests(1) == 1, "{what}: {} and {}", requests(0), requests(1));
        assert!(!fedora.mirrors[0].requests("repomd.xml").is_empty(), "{what}: it is the preferred one");
        assert!(fedora.mirrors[1].requests("repomd.xml").is_empty(), "{what}: the other one is not");
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
        let fedora = FakeFedora::new(2);
        fedora.mirrors[0].times(1, "", fault);
        fedora.assert_alpha(what);
        assert_eq!(fedora.mirrors[0].requests("").len(), expected, "{what}: {:?}", fedora.mirrors[0].requests(""));
    }
    let fedora = FakeFedora::new(1);
    fedora.name_mirrors(&[REFUSED, &fedora.mirrors[0].url("")]);
    fedora.assert_alpha("nobody there");
}

#[test]
fn files_that_a_mirror_lacks_are_asked_of_the_next_and_others_still_of_the_first() {
    let fedora = FakeFedora::new(2);
    let lists = format!("{}/repodata/", fedora.repositories()[1]);
    fedora.mirrors[0].always(&lists, Fault::Status(404, None));
    let ran = fedora.run(&[]);
    assert_eq!(ran.emulators().len(), 4);
    assert_eq!(fedora.mirrors[0].requests("/Packages/").len(), 4);
    let requests = fedora.mirrors[1].requests("");
    assert!(requests.len() == 2 && requests.iter().all(|request| request.path.contains(&lists)), "{requests:?}");
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
        // Taken for a path on the same server, which has no such file.
        ("to a file", Fault::Redirect("file:///etc/passwd".into()), "404", 1),
    ] {
        let fedora = FakeFedora::new(3);
        for mirror in &fedora.mirrors {
            mirror.always(ALPHA, fault.clone());
        }
        let ran = fedora.run(&["--target", "alpha"]);
        ran.assert_refused(&["none of 3 mirrors", ALPHA, words]);
        for mirror in &fedora.mirrors {
            // A redirect is followed a few times.
            let requests = mirror.requests(ALPHA).iter().filter(|request| request.status != 302).count();
            let expected = if what == "in circles" || what == "to a file" { 0 } else { rounds };
            assert_eq!(requests, expected, "{what}");
            assert_eq!(!mirror.requests("/etc/passwd").is_empty(), what == "to a file", "{what}");
        }
    }
}

#[test]
fn a_single_silent_mirror_is_waited_for_no_longer_than_wanted() {
    let fedora = FakeFedora::new(1);
    fedora.mirrors[0].always(ALPHA, Fault::Silent);
    let begun = Instant::now();
    fedora.run(&["--target", "alpha"]).assert_refused(&[ALPHA, "timeout"]);
    assert_eq!(fedora.mirrors[0].requests(ALPHA).len(), 3);
    // Three times a second, and pauses of up to 2.3 seconds; the rest is for a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    for (status, retry_after, least) in [(503, Some(3), 3000), (429, Some(3), 3000), (503, None, 500)] {
        let fedora = FakeFedora::new(1);
        fedora.mirrors[0].times(1, ALPHA, Fault::Status(status, retry_after));
        fedora.assert_alpha("a busy server");
        let requests = fedora.mirrors[0].requests(ALPHA);
        assert_eq!(requests.len(), 2);
        let pause = requests[1].at - requests[0].at;
        // A busy machine may take its time, but nobody waits without end.
        let (least, most) = (Duration::from_millis(least), Duration::from_secs(20));
        assert!((least..most).contains(&pause), "{status} {retry_after:?}: {pause:?}");
    }
}

#[test]
fn redirects_lead_to_other_servers() {
    let (fedora, other) = (FakeFedora::new(2), Server::new(&MIRROR.root).expect("a server"));
    let target = other.url("");
    fedora.mirrors[0].always("", Fault::Redirect(format!("{}{{path}}", target.trim_end_matches('/'))));
    fedora.assert_alpha("another server");
    assert_eq!(other.requests(ALPHA).len(), 1);
    assert!(fedora.mirrors[1].requests("").is_empty());
}

#[test]
fn a_server_has_few_connections_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let targets = ["aarch64", "alpha", "arm", "hexagon", "hppa", "m68k", "or1k", "riscv64", "s390x"];
    let programs = folder.path().join("programs");
    std::fs::create_dir(&programs).expect("a folder");
    emulators::write_fake_emulators(&programs, MIRROR.host, &targets, "11.1.3").expect("emulators");
    let options = Options { emulators: vec![programs], ..Options::quick(folder.path().join("mirror"), &targets) };
    let fedora = FakeFedora::of(&fedora_mirror::make(&options).expect("a mirror"), 1);
    fedora.mirrors[0].always("/Packages/", Fault::Late(Duration::from_millis(300)));
    let ran = fedora.run(&[]);
    assert_eq!(ran.emulators().len(), targets.len());
    assert_eq!(fedora.mirrors[0].requests("/Packages/").len(), targets.len() + 1);
    let most = fedora.mirrors[0].most_connections();
    assert!((2..=4).contains(&most), "{most} connections");
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let fedora = FakeFedora::new(0);
    fedora.name_mirrors(&["http://mirror.invalid"]);
    let proxy = fedora.front.url("");
    let environment = [("http_proxy", proxy.trim_end_matches('/'))];
    let new = tempfile::tempdir().expect("a temporary folder");
    let ran = fedora.with_env(new, "http://fedora.invalid", &["--target", "alpha"], &environment);
    assert_alpha(&ran, "through a proxy");
    assert_eq!(fedora.front.requests(ALPHA).len(), 1);
    for server in ["fedora.invalid:80", "mirror.invalid:80"] {
        assert!(!fedora.front.requests(server).is_empty(), "{server}");
    }
}
