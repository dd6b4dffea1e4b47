//! What the metalink server says, or fails to say, and which index of a repository is taken.

use std::time::{Duration, Instant};

use crate::fake_fedora::{ALPHA, FakeFedora, assert_alpha};
use crate::fixture::{MIRROR, RELEASE};
use fedora_mirror::server::{Fault, REFUSED};

/// What the metalink server calls the release.
fn id() -> String {
    format!("fedora-{RELEASE}")
}

#[test]
fn a_stale_mirror_is_left_and_an_older_index_taken_only_where_no_newer_is() {
    let stale = |fedora: &FakeFedora, index: usize, days: u64| {
        for path in fedora.repositories() {
            let old = fedora_mirror::metalink::older(&fedora.index(path), days);
            fedora.mirrors[index].always(&format!("{path}/repodata/repomd.xml"), Fault::Instead(old));
        }
    };
    // One day old is listed in the metalink, thirty days are not.
    for (what, days, served) in [("unlisted", 30, 1), ("listed", 1, 1)] {
        let fedora = FakeFedora::new(2);
        stale(&fedora, 0, days);
        let ran = fedora.assert_alpha(what);
        assert_eq!(ran.stderr, "", "{what}");
        assert_eq!(fedora.mirrors[served].requests(ALPHA).len(), 1, "{what}");
    }
    let fedora = FakeFedora::new(2);
    stale(&fedora, 0, 30);
    stale(&fedora, 1, 1);
    let ran = fedora.assert_alpha("an older index");
    assert!(ran.stderr.starts_with("warning: ") && ran.stderr.contains("older"), "{}", ran.stderr);

    let fedora = FakeFedora::new(2);
    stale(&fedora, 0, 30);
    stale(&fedora, 1, 31);
    fedora.run(&["--target", "alpha"]).assert_refused(&[&id(), "repomd.xml", "metalink"]);
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let fedora = FakeFedora::new(1);
    let first = fedora.assert_alpha("the first run");
    assert!(fedora.front.requests("").iter().all(|request| request.if_none_match.is_none() && request.status == 200));
    fedora.front.clear_log();
    fedora.mirrors[0].clear_log();
    let second = fedora.again(first.into_folder(), &["--target", "alpha"]);
    assert_alpha(&second, "the second run");
    let metalinks = fedora.front.requests("metalink");
    assert_eq!(metalinks.len(), 2);
    assert!(metalinks.iter().all(|request| request.if_none_match.is_some() && request.status == 304), "{metalinks:?}");
    assert!(fedora.mirrors[0].requests("").is_empty(), "{:?}", fedora.mirrors[0].requests(""));

    // What has changed is.
    fedora.front.put("fedora.gpg", "no key");
    fedora.name_mirrors(&[REFUSED, &fedora.mirrors[0].url("")]);
    fedora.front.clear_log();
    let third = fedora.again(second.into_folder(), &["--target", "alpha"]);
    assert_alpha(&third, "the third run");
    assert!(fedora.front.requests("metalink").iter().all(|request| request.status == 200));
}

#[test]
fn a_named_mirror_is_unproven_but_signatures_decide() {
    let fedora = FakeFedora::new(1);
    let mirror = fedora.mirrors[0].url("pub/fedora/linux");
    let ran = fedora.run(&["--target", "alpha", "--mirror", &mirror]);
    assert_alpha(&ran, "a named mirror");
    assert!(ran.stderr.contains("unproven") && ran.stderr.contains("--mirror"), "{}", ran.stderr);
    assert!(fedora.front.requests("metalink").is_empty());

    fedora.mirrors[0].clear_log();
    let again = fedora.again(ran.into_folder(), &["--target", "alpha", "--mirror", &mirror]);
    assert_alpha(&again, "the same mirror again");
    let requests = fedora.mirrors[0].requests("");
    assert!(requests.len() == 2 && requests.iter().all(|request| request.status == 304), "{requests:?}");
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
        let fedora = FakeFedora::new(1);
        fedora.front.times(2, "metalink", fault.clone());
        fedora.assert_alpha(what);
        fedora.front.clear_log();
        fedora.front.always("metalink", fault);
        fedora.run(&["--target", "alpha"]).assert_refused(&[&format!("metalink?repo={}", id())]);
        assert_eq!(fedora.front.requests("metalink").len(), 3, "{what}");
    }
}

#[test]
fn what_is_no_metalink_is_refused_at_once() {
    for (fault, word) in [
        (Fault::Instead(b"<html>Log in to the network</html>".to_vec()), "reading the metalink"),
        (Fault::Instead(b"<metalink>".to_vec()), "reading the metalink"),
        (Fault::Endless, "limit of 16777216 bytes"),
        (Fault::Gzip, "compressed"),
        (Fault::Redirect("{path}".into()), "redirect"),
        // Taken for a path on the same server.
        (Fault::Redirect("file:///etc/passwd".into()), "404"),
    ] {
        let fedora = FakeFedora::new(1);
        fedora.front.always("metalink", fault);
        fedora.run(&["--target", "alpha"]).assert_refused(&[&id(), word]);
        assert!(fedora.mirrors[0].requests("").is_empty());
    }
    // Of a metalink with another digest, no mirror has the index.
    let fedora = FakeFedora::new(2);
    let index = fedora.index(fedora.repositories()[0]);
    let mirrors = [(format!("{}{}", fedora.mirrors[0].url(""), fedora.repositories()[0]), 100)];
    let other = fedora_mirror::metalink::text(&fedora_mirror::metalink::older(&index, 7), &[], &mirrors);
    fedora.front.put(&format!("metalink?repo={}&arch={}", id(), MIRROR.host), other);
    fedora.run(&["--target", "alpha"]).assert_refused(&[&id(), "not what"]);
}

#[test]
fn a_server_that_is_never_silent_and_never_done_is_given_up() {
    let fedora = FakeFedora::new(1);
    fedora.front.always("metalink", Fault::Slow(40));
    let begun = Instant::now();
    fedora.run(&["--target", "alpha"]).assert_refused(&["metalink", &id(), "timeout"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
