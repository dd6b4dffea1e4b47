//! Whatever is wrong is refused with one line that names it, and nothing is left behind.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::command::CommandResult;
use crate::fixture::Content::{Bytes, Link};
use crate::fixture::{MIRROR, RepoCopy, dist, key, other_key, package, text};

/// Runs against a folder or URL with the mirror's key.
fn extract(source: &str) -> CommandResult {
    CommandResult::new(&["--source", source, "--key", key()])
}

#[test]
fn a_package_that_its_index_does_not_know() {
    let copy = RepoCopy::repository();
    copy.flip(&copy.package("alpha"), |length| length / 2);
    extract(text(&copy.path())).assert_refused(&[
        "qemu-user-static-alpha",
        "not what its repository promises",
        "SHA-256",
    ]);
}

#[test]
fn a_tampered_payload() {
    let copy = RepoCopy::repository();
    copy.flip(&copy.package("alpha"), |length| length / 2);
    copy.reindex();
    extract(text(&copy.path())).assert_refused(&["qemu-user-static-alpha", "was tampered with", "payload SHA-256"]);
}

#[test]
fn a_tampered_payload_without_a_signature() {
    let copy = RepoCopy::packages();
    copy.flip(&copy.package("alpha"), |length| length - 10);
    let ran = CommandResult::new(&["--source", text(&copy.path()), "--no-signature"]);
    ran.assert_refused(&["qemu-user-static-alpha", "was tampered with", "payload SHA-256"]);
}

#[test]
fn a_tampered_header() {
    let copy = RepoCopy::packages();
    let path = copy.package("alpha");
    let bytes = fs::read(&path).expect("a package");
    let release = format!("1{}\0", dist()).into_bytes();
    let at = bytes.windows(release.len()).rposition(|window| window == release).expect("the release in the header");
    copy.flip(&path, |_| at);
    extract(text(&copy.path())).assert_refused(&["qemu-user-static-alpha", "was tampered with", "header"]);
}

#[test]
fn an_unsigned_package() {
    let copy = RepoCopy::repository();
    fedora_mirror::unsign(&copy.package("arm")).expect("an unsigned package");
    copy.reindex();
    extract(text(&copy.path())).assert_refused(&["qemu-user-static-arm", "is not signed", "--no-signature"]);
    let ran = CommandResult::new(&["--source", text(&copy.path()), "--no-signature"]);
    assert_eq!(ran.emulators().len(), 4, "typed, it is accepted");
}

#[test]
fn a_package_signed_by_another_key() {
    let copy = RepoCopy::repository();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = other_key(folder.path());
    let path = copy.package("arm");
    fedora_mirror::unsign(&path).expect("an unsigned package");
    other.sign(&[&path]).expect("another signature");
    copy.reindex();
    extract(text(&copy.path())).assert_refused(&["qemu-user-static-arm", "is signed by", &other.fingerprint, key()]);
    let path = copy.path();
    let both = ["--source", text(&path), "--key", key(), "--key", text(&other.public)];
    assert_eq!(CommandResult::new(&both).emulators().len(), 4, "with both keys, it is accepted");
}

#[test]
fn no_key_and_no_word_of_it() {
    let ran = CommandResult::new(&["--source", text(&MIRROR.repo())]);
    ran.assert_refused(&["--key FILE", "--no-signature"]);
}

#[test]
fn a_key_that_is_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("key.asc");
    fs::write(&file, "hello").expect("writing a file");
    let ran = CommandResult::new(&["--source", text(&MIRROR.repo()), "--key", text(&file)]);
    ran.assert_refused(&["reading the key", "key.asc", "not an OpenPGP public key, neither ASCII-armoured"]);
    let ran = CommandResult::new(&["--source", text(&MIRROR.repo()), "--key", "/no/such/key"]);
    ran.assert_refused(&["reading the key /no/such/key", "No such file"]);
}

#[test]
fn a_shortened_package() {
    let copy = RepoCopy::repository();
    let path = copy.package("alpha");
    let length = fs::metadata(&path).expect("a package").len();
    fs::File::options().write(true).open(&path).and_then(|file| file.set_len(length / 2)).expect("shortening it");
    let expected = format!("truncated: {} of {length} bytes", length / 2);
    extract(text(&copy.path())).assert_refused(&["qemu-user-static-alpha", &expected]);
    let server = fedora_mirror::serve(copy.path().parent().expect("a folder")).expect("a server");
    extract(&server.url("os")).assert_refused(&["qemu-user-static-alpha", &expected]);
}

#[test]
fn a_lengthened_package() {
    let copy = RepoCopy::repository();
    let path = copy.package("alpha");
    fs::File::options().append(true).open(&path).and_then(|mut file| file.write_all(b"more")).expect("lengthening it");
    extract(text(&copy.path())).assert_refused(&["qemu-user-static-alpha", "longer than"]);
}

#[test]
fn a_connection_that_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/os", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        // It is asked several times: such things pass.
        for stream in listener.incoming().take(3) {
            let mut stream = stream.expect("a client");
            let _ = stream.read(&mut [0; 1024]).expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n<repomd>").expect("half an answer");
        }
    });
    extract(&url).assert_refused(&["fetching", "repomd.xml", "cut off after 8 of 6000 bytes"]);
    server.join().expect("the server");
}

#[test]
fn nobody_there() {
    extract("http://127.0.0.1:9/os").assert_refused(&["fetching http://127.0.0.1:9/os/repodata/repomd.xml", "refused"]);
}

#[test]
fn a_folder_without_packages() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    extract(text(folder.path())).assert_refused(&["holds neither an RPM repository", "qemu-user-static*.rpm"]);
    extract("/no/such/folder").assert_refused(&["/no/such/folder", "No such file"]);
}

#[test]
fn something_that_is_no_package() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("qemu-user-static-x-1-1.x86_64.rpm"), "hello").expect("writing a file");
    extract(text(folder.path())).assert_refused(&["qemu-user-static-x-1-1.x86_64.rpm", "not an RPM package"]);
}

#[test]
fn a_name_in_the_index_that_is_a_path() {
    let copy = RepoCopy::repository();
    let primary = plain_primary(&copy);
    spoil_primary(
        &copy,
        &primary.replace("<name>qemu-user-static</name>", "<name>qemu-user-static/../../climbed</name>"),
    );
    extract(text(&copy.path())).assert_refused(&["qemu-user-static/../../climbed", "no name or version of a package"]);
}

#[test]
fn a_package_under_anothers_name() {
    let copy = RepoCopy::repository();
    let primary = plain_primary(&copy);
    spoil_primary(
        &copy,
        &primary.replace("<name>qemu-user-static-alpha</name>", "<name>qemu-user-static-other</name>"),
    );
    // The provided name still leads to it.
    extract(text(&copy.path())).assert_refused(&["is package qemu-user-static-alpha", "says qemu-user-static-other"]);
}

#[test]
fn sizes_that_no_file_has() {
    let copy = RepoCopy::repository();
    let index = copy.path().join("repodata/repomd.xml");
    let huge = fs::read_to_string(&index).expect("the index").replace("<size>", "<size>99999999999");
    fs::write(&index, huge).expect("spoiling the index");
    let server = fedora_mirror::serve(copy.path().parent().expect("a folder")).expect("a server");
    extract(&server.url("os")).assert_refused(&["repomd.xml", "exceed the limit"]);
}

#[test]
fn a_folder_of_the_users() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("a folder");
    for name in ["thesis.txt", "record.json"] {
        fs::write(out.join(name), "mine").expect("a file of the user's");
    }
    let ran = CommandResult::again(folder, &["--source", text(&MIRROR.repo()), "--key", key()]);
    assert!(!ran.good && ran.stderr.contains("neither empty nor what this command has made"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(ran.out().join("thesis.txt")).expect("the user's file"), "mine");
}

#[test]
fn two_builds_of_a_package_in_a_folder() {
    let copy = RepoCopy::packages();
    let path = copy.package("arm");
    fs::copy(&path, path.with_file_name("qemu-user-static-arm-0-0.x86_64.rpm")).expect("a second one");
    extract(text(&copy.path())).assert_refused(&["another package holds", "keep only one build"]);
}

/// The list of packages of a repository, as text.
fn plain_primary(copy: &RepoCopy) -> String {
    let folder = copy.path().join("repodata");
    let is_primary = |path: &std::path::PathBuf| text(path).ends_with("-primary.xml.zst");
    let mut files = fs::read_dir(&folder).expect("the index").map(|entry| entry.expect("a file").path());
    let path = files.find(is_primary).expect("the list of packages");
    let list = zstd::decode_all(fs::File::open(path).expect("the list")).expect("zstd");
    String::from_utf8(list).expect("XML")
}

/// Puts another list of packages in place, with an index that promises it.
fn spoil_primary(copy: &RepoCopy, primary: &str) {
    let digest = xtask::verify::digest::Sha256::of(primary.as_bytes());
    fs::write(copy.path().join("repodata/spoilt.xml"), primary).expect("the spoilt list");
    let index = format!(
        "<repomd><data type='primary'><checksum type='sha256'>{digest}</checksum><location href='repodata/spoilt.xml'/>\
         <size>{0}</size><open-size>{0}</open-size></data></repomd>",
        primary.len()
    );
    fs::write(copy.path().join("repodata/repomd.xml"), index).expect("the spoilt index");
}

#[test]
fn a_header_that_points_outside_itself() {
    let copy = RepoCopy::packages();
    let path = copy.package("alpha");
    let mut bytes = fs::read(&path).expect("a package");
    // The offset of the first index entry of the first header.
    bytes[96 + 16 + 8..96 + 16 + 12].copy_from_slice(&[0x00, 0xff, 0xff, 0xff]);
    fs::write(&path, bytes).expect("spoiling the package");
    extract(text(&copy.path())).assert_refused(&["qemu-user-static-alpha", "not an RPM package, or a damaged one"]);
}

#[test]
fn a_header_that_asks_for_more_than_there_is() {
    let copy = RepoCopy::packages();
    let path = copy.package("alpha");
    let mut bytes = fs::read(&path).expect("a package");
    bytes[96 + 8..96 + 12].copy_from_slice(&[0x0f, 0xff, 0xff, 0xff]);
    fs::write(&path, bytes).expect("spoiling the package");
    extract(text(&copy.path())).assert_refused(&["qemu-user-static-alpha", "not an RPM package, or a damaged one"]);
}

#[test]
fn a_dynamic_emulator() {
    let program = fs::read("/bin/true").expect("a dynamic program");
    let folder = package(&[("/usr/bin/qemu-m68k-static", Bytes(&program))]);
    extract(text(folder.path())).assert_refused(&["qemu-m68k-static", "dynamically linked", "static build"]);
}

#[test]
fn an_emulator_for_another_machine() {
    let target = codegen::targets::by_qemu_name("s390x").expect("s390x");
    let program = codegen::probe::executable(target, target.machines[0]).expect("a foreign program");
    let folder = package(&[("/usr/bin/qemu-m68k-static", Bytes(&program))]);
    extract(text(folder.path())).assert_refused(&["qemu-m68k-static", "another machine"]);
}

#[test]
fn an_emulator_that_is_a_link() {
    let folder = package(&[("/usr/bin/qemu-m68k-static", Link("/etc/passwd"))]);
    extract(text(folder.path())).assert_refused(&["qemu-m68k-static is a link to", "/etc/passwd", "no package holds"]);
}
