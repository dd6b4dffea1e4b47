//! Downloads that break off go on where they did, and end right.

use crate::fake_fedora::{ALPHA, FakeFedora, assert_alpha};
use fedora_mirror::server::Fault;

/// A place in the middle of the one package.
const MIDDLE: usize = 100_000;

#[test]
fn a_download_goes_on_where_it_broke_off() {
    for (what, fault) in [("closed", Fault::CutAt(MIDDLE)), ("reset", Fault::ResetAt(MIDDLE))] {
        let fedora = FakeFedora::new(2);
        fedora.mirrors[0].always(ALPHA, fault.clone());
        fedora.assert_alpha(what);
        let requests = fedora.mirrors[1].requests(ALPHA);
        let requests: Vec<_> = requests.iter().map(|request| (request.range.as_deref(), request.status)).collect();
        assert_eq!(requests, [(Some("bytes=100000-"), 206)], "{what}, of the next mirror");

        let fedora = FakeFedora::new(1);
        fedora.mirrors[0].times(1, ALPHA, fault);
        fedora.assert_alpha(what);
        let requests = fedora.mirrors[0].requests(ALPHA);
        let requests: Vec<_> = requests.iter().map(|request| (request.range.as_deref(), request.status)).collect();
        assert_eq!(requests, [(None, 200), (Some("bytes=100000-"), 206)], "{what}, of the same mirror");
    }
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_broke_off() {
    let fedora = FakeFedora::new(1);
    fedora.mirrors[0].always(ALPHA, Fault::CutAt(MIDDLE));
    let ran = fedora.run(&["--target", "alpha"]);
    ran.assert_refused(&["fetching", ALPHA, "cut off after 300000 of "]);
    let ranges = |fedora: &FakeFedora| {
        let requests = fedora.mirrors[0].requests(ALPHA);
        requests.into_iter().map(|request| request.range.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(ranges(&fedora), ["", "bytes=100000-", "bytes=200000-"]);
    fedora.mirrors[0].recover();
    fedora.mirrors[0].clear_log();
    let again = fedora.again(ran.into_folder(), &["--target", "alpha"]);
    assert_alpha(&again, "a later run");
    assert_eq!(ranges(&fedora), ["bytes=300000-"]);
}

#[test]
fn wrong_bytes_before_a_break_are_found_and_fetched_again() {
    let fedora = FakeFedora::new(2);
    fedora.mirrors[0].always(ALPHA, Fault::FlipAndCutAt(10, MIDDLE));
    fedora.assert_alpha("wrong bytes");
    let ranges: Vec<_> = fedora.mirrors[1].requests(ALPHA).into_iter().map(|request| request.range).collect();
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
        let fedora = FakeFedora::new(3);
        fedora.mirrors[0].always(ALPHA, cut.clone());
        fedora.mirrors[1].always(ALPHA, fault);
        fedora.assert_alpha(what);
        assert_eq!(fedora.mirrors[1].requests(ALPHA)[0].range.as_deref(), Some("bytes=100000-"), "{what}");
        let requests: Vec<_> = fedora.mirrors[2].requests(ALPHA).into_iter().map(|request| request.range).collect();
        assert_eq!(requests, Vec::from_iter(third), "{what}");
    }
}
