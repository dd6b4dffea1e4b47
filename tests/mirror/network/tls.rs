//! Servers that prove themselves with a certificate, or fail to.

use crate::fixture::{MIRROR, RELEASE};
use crate::server::{Fault, FaultServer, certificate};
use crate::world::{ALPHA, World, assert_alpha};

#[test]
fn a_wrong_certificate_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = certificate(folder.path());
    let trusting = [("SSL_CERT_FILE", certificate.certificate.to_str().expect("a path that is text"))];
    let new = || tempfile::tempdir().expect("a temporary folder");
    let world = World::new(2);
    let front = fedora_mirror::serve_tls(world.front.url("").trim_end_matches('/'), &certificate).expect("a server");
    let ran = world.told(new(), &front.url(""), &["--target", "alpha"], &[]);
    ran.assert_refused(&[&format!("metalink?repo=fedora-{RELEASE}"), "certificate"]);
    assert!(world.front.asked("").is_empty());

    let first =
        fedora_mirror::serve_tls(world.mirrors[0].url("").trim_end_matches('/'), &certificate).expect("a server");
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
    let first =
        fedora_mirror::serve_tls(world.mirrors[0].url("").trim_end_matches('/'), &certificate).expect("a server");
    world.name_mirrors(&[&first.url(""), &world.mirrors[1].url("")]);
    let new = || tempfile::tempdir().expect("a temporary folder");
    let ran = world.told(new(), &world.front.url(""), &["--target", "alpha"], &trusting);
    assert_alpha(&ran, "another mirror");
    assert!(plain.asked("").is_empty(), "{:?}", plain.asked(""));
    assert!(!world.mirrors[0].asked("").is_empty());

    let front = fedora_mirror::serve_tls(world.front.url("").trim_end_matches('/'), &certificate).expect("a server");
    world.front.always("metalink", Fault::Redirect(place));
    let ran = world.told(new(), &front.url(""), &["--target", "alpha"], &trusting);
    ran.assert_refused(&[&format!("metalink?repo=fedora-{RELEASE}"), "https"]);
    assert!(plain.asked("").is_empty(), "{:?}", plain.asked(""));
}
