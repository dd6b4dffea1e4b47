//! The mirror of `cargo xtask mirror`, looked at with the real `rpm`, and served.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use fedora_mirror::{Key, Keyring, Kind, Mirror, Options, Updates, emulators};
use tempfile::TempDir;
use test_groups::tools;
use xtask::source::NEWEST_KNOWN;
use xtask::system;

/// A family with two members, and both kinds of byte order and word size.
const TARGETS: &[&str] = &["aarch64", "arm", "armeb", "i386", "s390x"];

struct Fixture {
    folder: TempDir,
    mirror: Mirror,
}

impl Fixture {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        tools::require(&[tools::RPM, tools::EMULATORS, tools::BSDTAR]).expect("the tools of this test");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut options = Options::quick(folder.path().join("mirror"), TARGETS);
        change(&mut options);
        let mirror = fedora_mirror::make(&options).expect("a mirror");
        Self { folder, mirror }
    }

    /// What `rpm` says of a package of the release repository.
    fn query(&self, package: &str, arguments: &[&str]) -> Vec<String> {
        let printed =
            rpm(Command::new("rpm").args(["-qp", "--nosignature"]).args(arguments).arg(self.package(package)));
        assert!(printed.status.success(), "rpm: {}", text(&printed.stderr));
        text(&printed.stdout).lines().map(str::to_owned).collect()
    }

    /// The file of a package, by its name.
    fn package(&self, name: &str) -> std::path::PathBuf {
        let start = format!("{name}-{}-", self.mirror.version);
        let packages = self.mirror.packages().expect("the packages");
        let is_it = |path: &&std::path::PathBuf| file_name(path).starts_with(&start);
        packages.iter().find(is_it).unwrap_or_else(|| panic!("no {name} among {packages:?}")).clone()
    }

    /// Whether rpm, trusting this key alone, finds a package's signature, header and payload good.
    fn is_trusted(&self, package: &Path, key: &Key) -> bool {
        let database = tempfile::tempdir_in(self.folder.path()).expect("a folder for rpm's database");
        let mut import = Command::new("rpmkeys");
        import.arg("--dbpath").arg(database.path()).arg("--import").arg(&key.public);
        let printed = rpm(&mut import);
        assert!(printed.status.success(), "rpmkeys: {}", text(&printed.stderr));
        let mut check = Command::new("rpmkeys");
        check.arg("--dbpath").arg(database.path()).args(["--define", "_pkgverify_level all", "-Kv"]).arg(package);
        rpm(&mut check).status.success()
    }
}

fn rpm(command: &mut Command) -> Output {
    command.env("LC_ALL", "C").output().expect("starting rpm")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into()
}

#[test]
fn packages_have_the_shape_of_fedoras() {
    let fixture = Fixture::new(|_| {});
    let mirror = &fixture.mirror;
    let host = mirror.host;
    assert_eq!(mirror.repo_path, Kind::Release.repo(NEWEST_KNOWN, host));

    let names: Vec<_> = mirror.packages().expect("the packages").iter().map(|path| file_name(path)).collect();
    let end = format!("{}-1.fc{NEWEST_KNOWN}.{host}.rpm", mirror.version);
    let families = ["-", "-aarch64-", "-arm-", "-s390x-", "-x86-"];
    let mut expected: Vec<_> = families.iter().map(|family| format!("qemu-user-static{family}{end}")).collect();
    expected.sort();
    assert_eq!(names, expected);

    let format = "%{EPOCH} %{PAYLOADCOMPRESSOR} %{SOURCERPM} %{VENDOR}";
    let meta = fixture.query("qemu-user-static", &["--qf", format]);
    let source = format!("qemu-{}-1.fc{NEWEST_KNOWN}.src.rpm", mirror.version);
    let expected = format!("2 zstd {source} Local test mirror, not the Fedora Project");
    assert_eq!(meta, [expected]);

    let mut requires = fixture.query("qemu-user-static", &["--requires"]);
    requires.retain(|line| !line.starts_with("rpmlib("));
    requires.dedup();
    let families = ["aarch64", "arm", "s390x", "x86"].map(|family| format!("qemu-user-static-{family}"));
    assert_eq!(requires, [&families[..], &["systemd-units".into()]].concat());
    assert_eq!(
        fixture.query("qemu-user-static", &["-l"]),
        ["", "/COPYING", "/COPYING.LIB", "/LICENSE"].map(|file| format!("/usr/share/licenses/qemu-user-static{file}"))
    );

    let requires = fixture.query("qemu-user-static-s390x", &["--requires"]);
    for requirement in ["/bin/sh", "rtld(GNU_HASH)"] {
        assert!(requires.iter().any(|line| line == requirement), "{requires:?}");
    }
    let obsoletes = fixture.query("qemu-user-static", &["--obsoletes"]);
    let gone = ["cris", "nios2"].map(|gone| format!("qemu-user-static-{gone} <= 2:{}-1.fc45", mirror.version));
    assert_eq!(obsoletes, gone);
    let files = fixture.query("qemu-user-static-s390x", &["-l"]);
    let (links, mut files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.contains(".build-id"));
    assert_eq!(links.len(), 3, "two folders and a link: {links:?}");
    if host == "s390x" {
        files.insert(1, "/usr/lib/binfmt.d/qemu-s390x-static.conf".into());
    }
    let tapset = "/usr/share/systemtap/tapset/qemu-s390x";
    let licenses = "/usr/share/licenses/qemu-user-static-s390x";
    assert_eq!(
        files,
        [
            "/usr/bin/qemu-s390x-static",
            "/usr/lib/binfmt.d/qemu-s390x-static.conf",
            licenses,
            &format!("{licenses}/COPYING"),
            &format!("{licenses}/COPYING.LIB"),
            &format!("{licenses}/LICENSE"),
            &format!("{tapset}-log-static.stp"),
            &format!("{tapset}-simpletrace-static.stp"),
            &format!("{tapset}-static.stp"),
        ]
    );
}

#[test]
fn packages_hold_the_machines_emulators_and_confs_of_one_line() {
    let fixture = Fixture::new(|_| {});
    let root = fixture.folder.path().join("unpacked");
    fs::create_dir(&root).expect("making a folder");
    for package in fixture.mirror.packages().expect("the packages") {
        system::run(system::command("bsdtar").arg("-C").arg(&root).arg("-xf").arg(package)).expect("unpacking");
    }
    for target in TARGETS {
        let name = format!("qemu-{target}-static");
        let packaged = root.join("usr/bin").join(&name);
        assert!(
            fs::read(&packaged).ok() == fs::read(test_groups::emulators::emulator(target).expect("an emulator")).ok(),
            "{name} has changed"
        );
        let mode = fs::metadata(&packaged).expect("its mode").permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{name}");
    }
    let confs = root.join("usr/lib/binfmt.d");
    let expected = r":qemu-armeb:M::\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff:/usr/bin/qemu-armeb-static:F";
    assert_eq!(fs::read_to_string(confs.join("qemu-armeb-static.conf")).expect("a conf"), expected);
    let own = match fixture.mirror.host {
        "x86_64" => &["i386", "i486"][..],
        "aarch64" => &["aarch64", "arm"],
        own => &[own],
    };
    for name in own {
        assert!(!confs.join(format!("qemu-{name}-static.conf")).exists(), "{name} is the host's own");
    }
    let tapset = root.join("usr/share/systemtap/tapset/qemu-armeb-static.stp");
    assert!(fs::metadata(tapset).expect("trace points").len() > 100_000);
}

/// Algorithm and fingerprint of each certificate of a keyring, by `gpg`, which reads armor and packets alike.
fn certificates(keyring: &Path) -> Vec<(String, String)> {
    let home = tempfile::tempdir().expect("a folder for gpg");
    let mut gpg = Command::new("gpg");
    gpg.arg("--homedir").arg(home.path()).args(["--batch", "--with-colons", "--show-keys"]).arg(keyring);
    let printed = system::run(&mut gpg).expect("gpg").stdout;
    let printed = text(&printed);
    let (mut algorithms, mut fingerprints) = (Vec::new(), Vec::new());
    let mut is_primary = false;
    for line in printed.lines() {
        let fields: Vec<_> = line.split(':').collect();
        match fields[0] {
            "pub" => algorithms.push(fields[3].to_owned()),
            "fpr" if is_primary => fingerprints.push(fields[9].to_owned()),
            _ => {}
        }
        is_primary = fields[0] == "pub";
    }
    algorithms.into_iter().zip(fingerprints).collect()
}

#[test]
fn the_keyring_is_binary_with_keys_of_other_kinds_or_armor() {
    const ARMOR: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n";
    // gpg's numbers of RSA and DSA.
    for (keyring, expected) in [(Keyring::Binary, &["17", "1", "1"][..]), (Keyring::Armored, &["1"])] {
        let fixture = Fixture::new(|options| {
            options.targets = Some(vec!["alpha".into()]);
            options.keyring = keyring;
        });
        let path = fixture.mirror.root.join("fedora.gpg");
        let bytes = fs::read(&path).expect("the keyring");
        assert_eq!(bytes.starts_with(ARMOR), keyring == Keyring::Armored);
        // A packet's first byte has its highest bit set (RFC 9580, 4.2).
        assert_eq!(bytes[0] >= 0x80, keyring == Keyring::Binary);
        let found = certificates(&path);
        let algorithms: Vec<_> = found.iter().map(|(algorithm, _)| algorithm.as_str()).collect();
        assert_eq!(algorithms, expected);
        assert_eq!(found.iter().filter(|(_, fingerprint)| *fingerprint == fixture.mirror.key.fingerprint).count(), 1);
    }
}

#[test]
fn signatures_are_those_of_the_key() {
    let fixture = Fixture::new(|_| {});
    let (mirror, package) = (&fixture.mirror, fixture.package("qemu-user-static-s390x"));
    let signature = fixture.query("qemu-user-static-s390x", &["--qf", "%{RSAHEADER:pgpsig}"]);
    let key_id = mirror.key.fingerprint[24..].to_lowercase();
    assert!(signature[0].starts_with("RSA/SHA256") && signature[0].ends_with(&key_id), "{signature:?} by {key_id}");
    assert!(fixture.is_trusted(&package, &mirror.key));

    let copy = fixture.folder.path().join(file_name(&package));
    fs::copy(&package, &copy).expect("copying a package");
    fedora_mirror::unsign(&copy).expect("taking its signature out");
    assert!(!fixture.is_trusted(&copy, &mirror.key), "unsigned");

    let other = Key::generate(&fixture.folder.path().join("other"), "Another key <other@localhost.invalid>", 2048);
    let other = other.expect("another key");
    other.sign(&[&copy]).expect("signing with another key");
    assert!(!fixture.is_trusted(&copy, &mirror.key), "signed by another key");
    assert!(fixture.is_trusted(&copy, &other));
    mirror.key.sign(&[&copy]).expect("signing anew");
    assert!(fixture.is_trusted(&copy, &mirror.key), "signed anew");

    let secret = fs::metadata(&mirror.key.secret).expect("the secret half").permissions().mode();
    assert_eq!(secret & 0o777, 0o600);
}

#[test]
fn what_is_there_already_is_not_made_again() {
    let fixture = Fixture::new(|options| options.targets = Some(vec!["alpha".into()]));
    let mut options = Options::quick(&fixture.mirror.root, &["alpha"]);
    let again = fedora_mirror::make(&options).expect("the same mirror");
    assert!(again.reused && !fixture.mirror.reused);
    assert_eq!(again.key, fixture.mirror.key);

    options.updates = Updates::Newer;
    let changed = fedora_mirror::make(&options).expect("another mirror in its place");
    assert!(!changed.reused);
    assert_ne!(changed.key.fingerprint, fixture.mirror.key.fingerprint);
    let updates = fs::read_dir(changed.updates().join("Packages/q")).expect("updates");
    let names: Vec<_> = updates.map(|entry| file_name(&entry.expect("an entry").path())).collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.contains(&format!("-2.fc{NEWEST_KNOWN}."))), "{names:?}");
    for repo in [changed.repo(), changed.updates()] {
        assert!(repo.join("repodata/repomd.xml").is_file(), "{}", repo.display());
    }
    assert_eq!(left_behind(fixture.folder.path()), ["mirror"]);
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("mirror");
    let quick = || Options::quick(&out, &["alpha"]);
    for (options, cause) in [
        (Options { targets: Some(vec!["pdp11".into()]), ..quick() }, "no static emulator qemu-pdp11-static or"),
        (Options { out: folder.path().join("a mirror"), ..quick() }, "rpmbuild cannot work in"),
        (Options { metadata: "zip".into(), ..quick() }, "running createrepo_c"),
        (Options { payload: "w3.nonsense".into(), ..quick() }, "running rpmbuild"),
        (Options { emulators: vec![folder.path().into()], targets: None, ..quick() }, "no static emulators of QEMU in"),
        (Options { emulators: vec!["/usr/bin".into(); 2], ..quick() }, "two folders of emulators for one host"),
    ] {
        let error = fedora_mirror::make(&options).expect_err(cause);
        assert!(format!("{error:#}").starts_with(cause), "{error:#}");
        assert!(!format!("{error:#}").contains('\n'), "{error:#}");
        assert_eq!(left_behind(folder.path()), [""; 0], "after {cause}");
    }

    fs::create_dir(&out).and_then(|()| fs::write(out.join("precious"), "")).expect("a folder of the user's");
    let error = fedora_mirror::make(&quick()).expect_err("not ours to replace").to_string();
    assert!(error.ends_with("is neither empty nor what this command has made; name another folder"), "{error}");
    assert!(out.join("precious").exists());
}

#[test]
fn it_is_served_but_not_the_secret_key() {
    let fixture = Fixture::new(|options| options.targets = Some(vec!["alpha".into()]));
    let (one, two) = (fedora_mirror::serve(&fixture.mirror.root), fedora_mirror::serve(&fixture.mirror.root));
    let (one, two) = (one.expect("a server"), two.expect("another at the same time"));
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
    for server in [&one, &two] {
        let index = server.url(&format!("{}/repodata/repomd.xml", fixture.mirror.repo_path));
        let served = agent.get(&index).call().expect("the index").body_mut().read_to_vec().expect("its bytes");
        assert_eq!(served, fs::read(fixture.mirror.repo().join("repodata/repomd.xml")).expect("the index"));
        for hidden in [".key/secret.asc", ".stamp"] {
            let error = agent.get(&server.url(hidden)).call().expect_err(hidden);
            assert!(matches!(error, ureq::Error::StatusCode(404)), "{hidden}: {error}");
        }
    }
    let url = one.url("");
    drop(one);
    agent.get(&url).call().expect_err("the server has ended");
}

/// What a server answers.
fn get(url: &str) -> String {
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let mut answer = agent.get(url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
    answer.body_mut().read_to_string().expect("text")
}

#[test]
fn it_stands_in_for_all_of_fedoras_servers() {
    let folders = [("ppc64le", &["arm"][..]), ("aarch64", &["arm", "s390x"])].map(|(host, targets)| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        emulators::write_fake_emulators(folder.path(), host, targets, "11.1.3").expect("emulators");
        folder
    });
    let out = tempfile::tempdir().expect("a temporary folder");
    let numbered = [format!("fedora-{NEWEST_KNOWN}"), format!("updates-released-f{NEWEST_KNOWN}")];
    for (kind, metadata, requests, listed) in [
        (Kind::Release, "zstd", &numbered[..], NEWEST_KNOWN),
        (Kind::Rawhide, "xz", &["rawhide".into()], NEWEST_KNOWN - 1),
        (Kind::Archived, "gz", &numbered, NEWEST_KNOWN + 2),
    ] {
        let listed = listed.to_string();
        let mirror = fedora_mirror::make(&Options {
            kind,
            emulators: folders.iter().map(|folder| folder.path().into()).collect(),
            targets: None,
            metadata: metadata.into(),
            ..Options::quick(out.path().join("mirror"), &[])
        })
        .unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
        assert_eq!(mirror.version, "11.1.3");
        let server = fedora_mirror::serve(&mirror.root).expect("a server");
        for tree in &mirror.trees {
            for (name, path) in requests.iter().zip(std::iter::once(&tree.repo_path).chain(&tree.updates_path)) {
                let metalink = get(&server.url(&format!("metalink?repo={name}&arch={}", tree.host)));
                let index = server.url(&format!("{path}/repodata/repomd.xml"));
                assert!(metalink.contains(&format!("preference=\"100\">{index}</url>")), "{metalink}");
                let index = get(&index);
                let digest = xtask::verify::digest::Sha256::of(index.as_bytes()).to_string();
                let (current, alternates) = metalink.split_once("<mm0:alternates>").expect("alternates");
                assert!(current.contains(&digest) && !alternates.contains(&digest), "{metalink}");
                let end = if metadata == "zstd" { "zst" } else { metadata };
                assert!(index.contains(&format!("-primary.xml.{end}\"/>")), "{index}");
                for protocol in ["rsync", "http", "https"] {
                    let url = format!("<url protocol=\"{protocol}\" type=\"{protocol}\" location=\"DE\" preference=\"");
                    assert!(metalink.contains(&url), "no {protocol}: {metalink}");
                }
                let kinds: Vec<_> =
                    index.split("<data type=\"").skip(1).filter_map(|data| data.split('"').next()).collect();
                assert_eq!(kinds[..6], ["primary", "filelists", "other", "primary_db", "filelists_db", "other_db"]);
                assert_eq!(kinds[6..10], ["primary_zck", "filelists_zck", "other_zck", "group"], "{index}");
            }
            let keys = format!("Packages/f/fedora-gpg-keys-{NEWEST_KNOWN}-1.noarch.rpm");
            let keys = mirror.root.join(&tree.repo_path).join(keys);
            let content = Command::new("bsdtar")
                .arg("-xOf")
                .arg(&keys)
                .arg(format!("*-{NEWEST_KNOWN}-primary"))
                .output()
                .expect("bsdtar");
            let key = fs::read_to_string(&mirror.key.public).expect("the key");
            assert_eq!(text(&content.stdout).trim(), key.trim(), "{}", text(&content.stderr));
            let links = Command::new("bsdtar").arg("-tvf").arg(&keys).output().expect("bsdtar");
            let link =
                format!("RPM-GPG-KEY-fedora-{NEWEST_KNOWN}-{} -> RPM-GPG-KEY-fedora-{NEWEST_KNOWN}-primary", tree.host);
            assert!(text(&links.stdout).contains(&link), "{}", text(&links.stdout));
        }
        let releases: Vec<serde_json::Value> =
            serde_json::from_str(&get(&server.url("releases.json"))).expect("a list of releases");
        let is_listed = |arch: &str| releases.iter().any(|image| image["version"] == listed && image["arch"] == arch);
        assert!(is_listed("ppc64le") && is_listed("aarch64"), "{releases:?}");
        let next = format!("repo=fedora-{}&arch=aarch64", NEWEST_KNOWN + 1);
        for unknown in [next.as_str(), "repo=rawhide&arch=x86_64", "repo=../..&arch=etc/passwd", ""] {
            let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
            let error = agent.get(&server.url(&format!("metalink?{unknown}"))).call().expect_err(unknown);
            assert!(matches!(error, ureq::Error::StatusCode(404)), "{unknown}: {error}");
        }
    }
}

fn left_behind(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("listing what is left");
    entries.map(|entry| file_name(&entry.expect("an entry").path())).collect()
}
