//! Servers that prove themselves with a certificate, or fail to.

use std::path::Path;

use fedora_mirror::server::Fault;
use fedora_mirror::{Certificate, Server};
use test_groups::tools;
use xtask::system;

use crate::fake_fedora::{ALPHA, FakeFedora, assert_alpha};
use crate::fixture::{MIRROR, RELEASE};

/// A certificate for 127.0.0.1 that no authority has signed.
fn certificate(folder: &Path) -> Certificate {
    tools::require(&[tools::OPENSSL]).expect("the tool that makes certificates");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let mut openssl = system::command("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    system::run(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate)).expect("a certificate");
    Certificate { certificate, key }
}

#[test]
fn a_wrong_certificate_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = certificate(folder.path());
    let trusting = [("SSL_CERT_FILE", certificate.certificate.to_str().expect("a path that is text"))];
    let new = || tempfile::tempdir().expect("a temporary folder");
    let fedora = FakeFedora::new(2);
    let front = fedora.front.with_tls(&certificate).expect("a server");
    let ran = fedora.with_env(new(), &front.url(""), &["--target", "alpha"], &[]);
    ran.assert_refused(&[&format!("metalink?repo=fedora-{RELEASE}"), "certificate"]);
    assert!(fedora.front.requests("").is_empty());

    let first = fedora.mirrors[0].with_tls(&certificate).expect("a server");
    fedora.name_mirrors(&[&first.url(""), &fedora.mirrors[1].url("")]);
    fedora.assert_alpha("a mirror with a wrong certificate");
    assert!(fedora.mirrors[0].requests("").is_empty());
    fedora.name_mirrors(&[&first.url("")]);
    fedora.run(&["--target", "alpha"]).assert_refused(&["repomd.xml", "certificate"]);

    // With a certificate that is trusted, the same servers serve.
    let ran = fedora.with_env(new(), &front.url(""), &["--target", "alpha"], &trusting);
    assert_alpha(&ran, "a certificate that is trusted");
    assert_eq!(fedora.mirrors[0].requests(ALPHA).len(), 1);
}

#[test]
fn https_does_not_turn_into_http() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = certificate(folder.path());
    let trusting = [("SSL_CERT_FILE", certificate.certificate.to_str().expect("a path that is text"))];
    let (fedora, plain) = (FakeFedora::new(2), Server::new(&MIRROR.root).expect("a server"));
    let target = format!("{}{{path}}", plain.url("").trim_end_matches('/'));
    fedora.mirrors[0].always("", Fault::Redirect(target.clone()));
    let first = fedora.mirrors[0].with_tls(&certificate).expect("a server");
    fedora.name_mirrors(&[&first.url(""), &fedora.mirrors[1].url("")]);
    let new = || tempfile::tempdir().expect("a temporary folder");
    let ran = fedora.with_env(new(), &fedora.front.url(""), &["--target", "alpha"], &trusting);
    assert_alpha(&ran, "another mirror");
    assert!(plain.requests("").is_empty(), "{:?}", plain.requests(""));
    assert!(!fedora.mirrors[0].requests("").is_empty());

    let front = fedora.front.with_tls(&certificate).expect("a server");
    fedora.front.always("metalink", Fault::Redirect(target));
    let ran = fedora.with_env(new(), &front.url(""), &["--target", "alpha"], &trusting);
    ran.assert_refused(&[&format!("metalink?repo=fedora-{RELEASE}"), "https"]);
    assert!(plain.requests("").is_empty(), "{:?}", plain.requests(""));
}
