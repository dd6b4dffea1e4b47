//! What goes wrong between Fedora's servers and here is survived, or refused with one line.

use std::time::{Duration, Instant};

use xtask::mirror::{self, Options, emulators};

use crate::fixture::MIRROR;
use crate::server::{Fault, FaultServer, NOBODY, certificate};
use crate::world::{ALPHA, World, assert_alpha};

/// A place in the middle of the one package.
const MIDDLE: usize = 100_000;

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
fn a_file_that_a_mirror_lacks_is_asked_of_the_next_and_others_still_of_the_first() {
    let world = World::new(2);
    world.mirrors[0].always(ALPHA, Fault::Status(404, None));
    let ran = world.run(&[]);
    assert_eq!(ran.emulators().len(), 4);
    let packages = |index: usize| world.mirrors[index].asked("/Packages/").len();
    assert_eq!((packages(0), packages(1)), (4, 1), "{:?}", world.mirrors[1].asked(""));
    assert_eq!(world.mirrors[1].asked("").len(), 1);
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    for (what, fault) in [("closed", Fault::CutAt(MIDDLE)), ("reset", Fault::ResetAt(MIDDLE))] {
        let world = World::new(2);
        world.mirrors[0].always(ALPHA, fault.clone());
        world.assert_alpha(what);
        let asked = world.mirrors[1].asked(ALPHA);
        let asked: Vec<_> = asked.iter().map(|asked| (asked.range.as_deref(), asked.status)).collect();
        assert_eq!(asked, [(Some("bytes=100000-"), 206)], "{what}, of the next mirror");

        let world = World::new(1);
        world.mirrors[0].times(1, ALPHA, fault);
        world.assert_alpha(what);
        let asked = world.mirrors[0].asked(ALPHA);
        let asked: Vec<_> = asked.iter().map(|asked| (asked.range.as_deref(), asked.status)).collect();
        assert_eq!(asked, [(None, 200), (Some("bytes=100000-"), 206)], "{what}, of the same mirror");
    }
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_broke_off() {
    let world = World::new(1);
    world.mirrors[0].always(ALPHA, Fault::CutAt(MIDDLE));
    let ran = world.run(&["--target", "alpha"]);
    ran.assert_refused(&["fetching", ALPHA, "cut off after 300000 of "]);
    let ranges = |world: &World| {
        let asked = world.mirrors[0].asked(ALPHA);
        asked.into_iter().map(|asked| asked.range.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(ranges(&world), ["", "bytes=100000-", "bytes=200000-"]);
    world.mirrors[0].recover();
    world.mirrors[0].forget();
    let again = world.again(ran.into_folder(), &["--target", "alpha"]);
    assert_alpha(&again, "a later run");
    assert_eq!(ranges(&world), ["bytes=300000-"]);
}

#[test]
fn wrong_bytes_before_a_break_are_found_and_fetched_again() {
    let world = World::new(2);
    world.mirrors[0].always(ALPHA, Fault::FlipAndCutAt(10, MIDDLE));
    world.assert_alpha("wrong bytes");
    let ranges: Vec<_> = world.mirrors[1].asked(ALPHA).into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [Some("bytes=100000-".to_owned()), None]);
}

#[test]
fn answers_that_do_not_go_on_where_asked() {
    let cut = Fault::CutAt(MIDDLE);
    for (what, fault, third) in [
        ("the whole again", Fault::NoRanges, None),
        ("another part", Fault::WrongRange, Some(Some("bytes=100000-".to_owned()))),
        ("fewer bytes than have arrived", Fault::Instead(vec![b'x'; MIDDLE / 2]), Some(None)),
        ("compressed", Fault::Gzip, Some(Some("bytes=100000-".to_owned()))),
    ] {
        let world = World::new(3);
        world.mirrors[0].always(ALPHA, cut.clone());
        world.mirrors[1].always(ALPHA, fault);
        world.assert_alpha(what);
        assert_eq!(world.mirrors[1].asked(ALPHA)[0].range.as_deref(), Some("bytes=100000-"), "{what}");
        let asked: Vec<_> = world.mirrors[2].asked(ALPHA).into_iter().map(|asked| asked.range).collect();
        assert_eq!(asked, Vec::from_iter(third), "{what}");
    }
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
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    for (status, retry_after, least, most) in
        [(503, Some(3), 3000, 8000), (429, Some(3), 3000, 8000), (503, None, 500, 2900)]
    {
        let world = World::new(1);
        world.mirrors[0].times(1, ALPHA, Fault::Status(status, retry_after));
        world.assert_alpha("a busy server");
        let asked = world.mirrors[0].asked(ALPHA);
        assert_eq!(asked.len(), 2);
        let pause = (asked[1].at - asked[0].at).as_millis();
        assert!((least..most).contains(&pause), "{status} {retry_after:?}: {pause} ms");
    }
}

#[test]
fn a_stale_mirror_is_left_and_an_older_index_taken_only_where_no_newer_is() {
    let stale = |world: &World, index: usize, days: u64| {
        for path in world.repositories() {
            let old = mirror::metalink::older(&world.index(path), days);
            world.mirrors[index].always(&format!("{path}/repodata/repomd.xml"), Fault::Instead(old));
        }
    };
    // One day old is listed in the metalink, thirty days are not.
    for (what, days, served) in [("unlisted", 30, 1), ("listed", 1, 1)] {
        let world = World::new(2);
        stale(&world, 0, days);
        let ran = world.assert_alpha(what);
        assert_eq!(ran.stderr, "", "{what}");
        assert_eq!(world.mirrors[served].asked(ALPHA).len(), 1, "{what}");
    }
    let world = World::new(2);
    stale(&world, 0, 30);
    stale(&world, 1, 1);
    let ran = world.assert_alpha("an older index");
    assert!(ran.stderr.starts_with("warning: ") && ran.stderr.contains("older"), "{}", ran.stderr);

    let world = World::new(2);
    stale(&world, 0, 30);
    stale(&world, 1, 31);
    world.run(&["--target", "alpha"]).assert_refused(&["fedora-45", "repomd.xml", "metalink"]);
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let world = World::new(1);
    let first = world.assert_alpha("the first run");
    assert!(world.front.asked("").iter().all(|asked| asked.if_none_match.is_none() && asked.status == 200));
    world.front.forget();
    world.mirrors[0].forget();
    let second = world.again(first.into_folder(), &["--target", "alpha"]);
    assert_alpha(&second, "the second run");
    let metalinks = world.front.asked("metalink");
    assert_eq!(metalinks.len(), 2);
    assert!(metalinks.iter().all(|asked| asked.if_none_match.is_some() && asked.status == 304), "{metalinks:?}");
    assert!(world.mirrors[0].asked("").is_empty(), "{:?}", world.mirrors[0].asked(""));

    // What has changed is.
    world.front.put("fedora.gpg", "no key");
    world.name_mirrors(&[NOBODY, &world.mirrors[0].url("")]);
    world.front.forget();
    let third = world.again(second.into_folder(), &["--target", "alpha"]);
    assert_alpha(&third, "the third run");
    assert!(world.front.asked("metalink").iter().all(|asked| asked.status == 200));
}

#[test]
fn a_named_mirror_is_unproven_but_signatures_decide() {
    let world = World::new(1);
    let mirror = world.mirrors[0].url("pub/fedora/linux");
    let ran = world.run(&["--target", "alpha", "--mirror", &mirror]);
    assert_alpha(&ran, "a named mirror");
    assert!(ran.stderr.contains("unproven") && ran.stderr.contains("--mirror"), "{}", ran.stderr);
    assert!(world.front.asked("metalink").is_empty());

    world.mirrors[0].forget();
    let again = world.again(ran.into_folder(), &["--target", "alpha", "--mirror", &mirror]);
    assert_alpha(&again, "the same mirror again");
    let asked = world.mirrors[0].asked("");
    assert!(asked.len() == 2 && asked.iter().all(|asked| asked.status == 304), "{asked:?}");
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
    let world = World::of(&mirror::make(&options).expect("a mirror"), 1);
    world.mirrors[0].always("/Packages/", Fault::Late(Duration::from_millis(300)));
    let ran = world.run(&[]);
    assert_eq!(ran.emulators().len(), targets.len());
    assert_eq!(world.mirrors[0].asked("/Packages/").len(), targets.len() + 1);
    let most = world.mirrors[0].most_connections();
    assert!((2..=4).contains(&most), "{most} connections");
}

#[test]
fn a_wrong_certificate_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = certificate(folder.path());
    let trusting = [("SSL_CERT_FILE", certificate.certificate.to_str().expect("a path that is text"))];
    let new = || tempfile::tempdir().expect("a temporary folder");
    let world = World::new(2);
    let front = mirror::serve_tls(world.front.url("").trim_end_matches('/'), &certificate).expect("a server");
    let ran = world.told(new(), &front.url(""), &["--target", "alpha"], &[]);
    ran.assert_refused(&["metalink?repo=fedora-45", "certificate"]);
    assert!(world.front.asked("").is_empty());

    let first = mirror::serve_tls(world.mirrors[0].url("").trim_end_matches('/'), &certificate).expect("a server");
    world.name_mirrors(&[&first.url(""), &world.mirrors[1].url("")]);
    world.assert_alpha("a mirror with a wrong certificate");
    assert!(world.mirrors[0].asked("").is_empty());
    world.name_mirrors(&[&first.url("")]);
    world.run(&["--target", "alpha"]).assert_refused(&["repomd.xml", "certificate"]);

    // With a certificate that is trusted, the same servers serve.
    let ran = world.told(new(), &front.url(""), &["--target", "alpha"], &trusting);
    assert_alpha(&ran, "a certificate that is trusted");
    assert_eq!(world.mirrors[0].asked(ALPHA).len(), 1);
}

#[test]
fn https_does_not_turn_into_http() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = certificate(folder.path());
    let trusting = [("SSL_CERT_FILE", certificate.certificate.to_str().expect("a path that is text"))];
    let (world, plain) = (World::new(2), FaultServer::new(&MIRROR.root));
    let place = format!("{}{{path}}", plain.url("").trim_end_matches('/'));
    world.mirrors[0].always("", Fault::Redirect(place.clone()));
    let first = mirror::serve_tls(world.mirrors[0].url("").trim_end_matches('/'), &certificate).expect("a server");
    world.name_mirrors(&[&first.url(""), &world.mirrors[1].url("")]);
    let new = || tempfile::tempdir().expect("a temporary folder");
    let ran = world.told(new(), &world.front.url(""), &["--target", "alpha"], &trusting);
    assert_alpha(&ran, "another mirror");
    assert!(plain.asked("").is_empty(), "{:?}", plain.asked(""));
    assert!(!world.mirrors[0].asked("").is_empty());

    let front = mirror::serve_tls(world.front.url("").trim_end_matches('/'), &certificate).expect("a server");
    world.front.always("metalink", Fault::Redirect(place));
    let ran = world.told(new(), &front.url(""), &["--target", "alpha"], &trusting);
    ran.assert_refused(&["metalink?repo=fedora-45", "https"]);
    assert!(plain.asked("").is_empty(), "{:?}", plain.asked(""));
}

#[test]
fn the_metalink_server_is_asked_three_times_and_then_believed_to_be_out() {
    for (what, fault) in [
        ("503", Fault::Status(503, None)),
        ("closed", Fault::CutAt(100)),
        ("reset", Fault::ResetAt(100)),
        ("silent", Fault::Silent),
        ("too long", Fault::Length(7)),
    ] {
        let world = World::new(1);
        world.front.times(2, "metalink", fault.clone());
        world.assert_alpha(what);
        world.front.forget();
        world.front.always("metalink", fault);
        world.run(&["--target", "alpha"]).assert_refused(&["metalink?repo=fedora-45"]);
        assert_eq!(world.front.asked("metalink").len(), 3, "{what}");
    }
}

#[test]
fn what_is_no_metalink_is_refused_at_once() {
    for (fault, word) in [
        (Fault::Instead(b"<html>Log in to the network</html>".to_vec()), "reading the metalink"),
        (Fault::Instead(b"<metalink>".to_vec()), "reading the metalink"),
        (Fault::Endless, "more than 16777216 bytes"),
        (Fault::Gzip, "compressed"),
        (Fault::Redirect("{path}".into()), "redirect"),
        (Fault::Redirect("file:///etc/passwd".into()), "file"),
    ] {
        let world = World::new(1);
        world.front.always("metalink", fault);
        world.run(&["--target", "alpha"]).assert_refused(&["fedora-45", word]);
        assert!(world.mirrors[0].asked("").is_empty());
    }
    // Of a metalink with another digest, no mirror has the index.
    let world = World::new(2);
    let index = world.index(world.repositories()[0]);
    let mirrors = [(format!("{}{}", world.mirrors[0].url(""), world.repositories()[0]), 100)];
    let other = mirror::metalink::text(&mirror::metalink::older(&index, 7), &[], &mirrors);
    world.front.put(&format!("metalink?repo=fedora-45&arch={}", MIRROR.host), other);
    world.run(&["--target", "alpha"]).assert_refused(&["fedora-45", "not what"]);
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
