//! Downloads that break off go on where they did, and end right.

use crate::server::Fault;
use crate::world::{ALPHA, World, assert_alpha};

/// A place in the middle of the one package.
const MIDDLE: usize = 100_000;

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
