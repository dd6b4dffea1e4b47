//! What the metalink server says, or fails to say, and which index of a repository is taken.

use std::time::{Duration, Instant};

use crate::fixture::{MIRROR, RELEASE};
use crate::server::{Fault, NOBODY};
use crate::world::{ALPHA, World, assert_alpha};

/// What the metalink server calls the release.
fn id() -> String {
    format!("fedora-{RELEASE}")
}

#[test]
fn a_stale_mirror_is_left_and_an_older_index_taken_only_where_no_newer_is() {
    let stale = |world: &World, index: usize, days: u64| {
        for path in world.repositories() {
            let old = fedora_mirror::metalink::older(&world.index(path), days);
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
    world.run(&["--target", "alpha"]).assert_refused(&[&id(), "repomd.xml", "metalink"]);
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
        world.run(&["--target", "alpha"]).assert_refused(&[&format!("metalink?repo={}", id())]);
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
        world.run(&["--target", "alpha"]).assert_refused(&[&id(), word]);
        assert!(world.mirrors[0].asked("").is_empty());
    }
    // Of a metalink with another digest, no mirror has the index.
    let world = World::new(2);
    let index = world.index(world.repositories()[0]);
    let mirrors = [(format!("{}{}", world.mirrors[0].url(""), world.repositories()[0]), 100)];
    let other = fedora_mirror::metalink::text(&fedora_mirror::metalink::older(&index, 7), &[], &mirrors);
    world.front.put(&format!("metalink?repo={}&arch={}", id(), MIRROR.host), other);
    world.run(&["--target", "alpha"]).assert_refused(&[&id(), "not what"]);
}

#[test]
fn a_server_that_is_never_silent_and_never_done_is_given_up() {
    let world = World::new(1);
    world.front.always("metalink", Fault::Slow(40));
    let begun = Instant::now();
    world.run(&["--target", "alpha"]).assert_refused(&["metalink", &id(), "timeout"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
