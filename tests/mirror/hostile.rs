//! Packages whose header or payload means harm: each is refused with one line that names it, or does none. Built by
//! rpmbuild, or by the `rpm` crate where rpmbuild would not; checked without signatures, as their makers would want.

use std::fs;
use std::io::Write;
use std::sync::LazyLock;

use rpm::{BuildConfig, CompressionWithLevel, FileOptions, IndexData, IndexTag, PackageBuilder};

use crate::command::{CommandResult, names};
use crate::fixture::{MIRROR, emulator, text};
use crate::rpm_forge::{Built, build, payload};

pub(crate) fn extract(built: &Built) -> CommandResult {
    CommandResult::new(&["--source", text(built.source()), "--no-signature"])
}

/// Lays out one of this machine's emulators.
static EMULATOR: LazyLock<String> = LazyLock::new(|| {
    let emulator = emulator("alpha");
    format!("mkdir -p %{{buildroot}}/usr/bin; cp {} %{{buildroot}}/usr/bin/qemu-alpha-static", emulator.display())
});

/// A package with one good emulator.
pub(crate) fn good() -> Built {
    // In format 4, which rpm 6 makes when told: there the archive has names and sizes too.
    let options = ["--define", "_binary_payload w0.gzdio", "--define", "_rpmformat 4"];
    build("qemu-user-static-good", &options, &EMULATOR, "/usr")
}

/// A package by the `rpm` crate, which takes any name for a file.
fn package(config: BuildConfig, add: impl FnOnce(&mut PackageBuilder)) -> Built {
    let mut builder = PackageBuilder::new("qemu-user-static-odd", "1", "MIT", MIRROR.host, "Odd");
    builder.using_config(config.compression(CompressionWithLevel::Gzip(1)));
    let emulator = fs::read(emulator("alpha")).expect("an emulator");
    builder.with_file_contents(emulator, FileOptions::new("/usr/bin/qemu-alpha-static")).expect("a file");
    add(&mut builder);
    let mut bytes = Vec::new();
    builder.build().and_then(|package| package.write(&mut bytes)).expect("a package");
    Built::of("qemu-user-static-odd", &bytes)
}

#[test]
fn files_that_are_no_plain_files() {
    let device = "%dev(c,1,3) %attr(0755,root,root) /usr/bin/qemu-m68k-static";
    for (install, files, words) in [
        ("", device, ["qemu-m68k-static", "not a plain file"]),
        ("mkfifo %{buildroot}/usr/bin/qemu-m68k-static", "/usr", ["qemu-m68k-static", "not a plain file"]),
        ("mkdir %{buildroot}/usr/bin/qemu-m68k-static", "/usr", ["qemu-m68k-static", "not a plain file"]),
        (
            "cd %{buildroot}/usr/bin; echo x >qemu-m68k-static; ln qemu-m68k-static qemu-sh4-static",
            "/usr",
            ["-static", "not a plain file"],
        ),
        ("truncate -s 300M %{buildroot}/usr/bin/qemu-m68k-static", "/usr", ["qemu-m68k-static", "at most 268435456"]),
    ] {
        let install = format!("mkdir -p %{{buildroot}}/usr/bin; {install}");
        let built = build("qemu-user-static-bad", &["--define", "_binary_payload w1.zstdio"], &install, files);
        extract(&built).assert_refused(&[&["qemu-user-static-bad"], &words[..]].concat());
    }
}

#[test]
fn names_that_lead_elsewhere_lead_nowhere() {
    let built = package(BuildConfig::v4(), |builder| {
        for name in [
            "/usr/bin/../../tmp/qemu-climbed-static",
            "./../../../tmp/qemu-climbed-static",
            "/tmp/qemu-climbed-static",
            "/usr/bin/qemu-../climbed-static",
            "/usr/lib/binfmt.d/../qemu-climbed.conf",
            "/usr/share/licenses/qemu-user-static/../../climbed",
            "/usr/share/licenses/qemu-user-static/.climbed",
        ] {
            builder.with_file_contents("climbed", FileOptions::new(name)).expect("a file");
        }
        // Through a link of the package itself.
        builder.with_symlink(FileOptions::symlink("/usr/share/licenses/qemu-user-static", "/tmp")).expect("a link");
        builder
            .with_file_contents("text", FileOptions::new("/usr/share/licenses/qemu-user-static/climbed"))
            .expect("a file");
        builder.with_special_file(FileOptions::character_device("/dev/qemu-climbed-static", 1, 3)).expect("a device");
        builder.with_special_file(FileOptions::fifo("/run/qemu-climbed-static")).expect("a pipe");
    });
    let ran = extract(&built);
    assert_eq!(ran.emulators(), ["qemu-alpha-static"]);
    let license = ran.out().join("licenses/qemu-user-static/climbed");
    assert_eq!(fs::read_to_string(license).expect("a file of our own"), "text");
    assert_eq!(names(&ran.out()), ["binfmt.d", "emulators", "licenses", "record.json"]);
    assert_eq!(names(std::path::Path::new("/tmp")).iter().filter(|name| name.contains("climbed")).count(), 0);
}

#[test]
fn a_link_that_is_not_in_the_archive_takes_nothing_away() {
    let install = format!("{}; cd %{{buildroot}}/usr/bin; ln qemu-alpha-static zzz", *EMULATOR);
    let built = build("qemu-user-static-good", &[], &install, "/usr/bin/qemu-alpha-static\n%ghost /usr/bin/zzz");
    let same = built.forge(|forged| forged.set(IndexTag::RPMTAG_FILEINODES, IndexData::Int32(vec![1, 1])));
    assert_eq!(extract(&same).emulators(), ["qemu-alpha-static"]);
}

#[test]
fn more_files_than_such_packages_have() {
    let install = "mkdir -p %{buildroot}/usr/share/many; cd %{buildroot}/usr/share/many; seq 3000 | xargs touch";
    let built = build("qemu-user-static-many", &[], install, "/usr/share/many");
    extract(&built).assert_refused(&["qemu-user-static-many", "lists 3001 files", "at most 2048"]);
}

#[test]
fn a_file_that_is_there_twice() {
    let twice = ["qemu-alpha-static", "qemu-alpha-static"].map(str::to_owned).to_vec();
    let install = format!("{}; cd %{{buildroot}}/usr/bin; cp qemu-alpha-static qemu-aaaaa-static", *EMULATOR);
    let built = build("qemu-user-static-twice", &["--define", "_binary_payload w0.gzdio"], &install, "/usr/bin/*");
    let content = fs::read(emulator("alpha")).expect("an emulator");
    let one = ("./usr/bin/qemu-alpha-static", content.as_slice(), content.len() as u64);
    // The header lists it twice, and the archive holds it twice.
    let listed = built.forge(|forged| {
        forged.set(IndexTag::RPMTAG_BASENAMES, IndexData::StringArray(twice));
        forged.payload = payload(&[one, one]);
    });
    extract(&listed).assert_refused(&["qemu-user-static-twice", "holds /usr/bin/qemu-alpha-static twice"]);
    // By numbers into the header's list, as archives of large files have it.
    let numbered = listed.forge(|forged| {
        let mut archive = Vec::new();
        for index in 0..2 {
            write!(archive, "07070X{index:08x}\0\0").expect("writing into memory");
            archive.extend_from_slice(&content);
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
        archive.extend(payload(&[]));
        forged.payload = archive;
    });
    extract(&numbered).assert_refused(&["qemu-user-static-twice", "holds emulators/qemu-alpha-static twice"]);
}

/// Each extracted file is held against the digest of it in the header that was verified.
#[test]
fn digests_that_do_not_fit() {
    let content = fs::read(emulator("alpha")).expect("an emulator");
    let good = good();
    // `/usr`, `/usr/bin`, the emulator; the numbers are OpenPGP's, as `rpm --querytags` prints FILEDIGESTALGO.
    let with = |algorithm: Option<u32>, digest: &str| {
        good.forge(|forged| {
            let digests = ["", "", digest].map(str::to_owned).to_vec();
            forged.set(IndexTag::RPMTAG_FILEDIGESTS, IndexData::StringArray(digests));
            match algorithm {
                Some(number) => forged.set(IndexTag::RPMTAG_FILEDIGESTALGO, IndexData::Int32(vec![number])),
                None => forged.remove(IndexTag::RPMTAG_FILEDIGESTALGO),
            }
        })
    };
    let hex = |algorithm| {
        let digest = ring::digest::digest(algorithm, &content);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    use ring::digest::{SHA256, SHA384, SHA512};
    for (number, algorithm, name) in [(8, &SHA256, "SHA-256"), (9, &SHA384, "SHA-384"), (10, &SHA512, "SHA-512")] {
        let digest = hex(algorithm);
        assert_eq!(extract(&with(Some(number), &digest)).emulators(), ["qemu-alpha-static"], "{name}");
        let other = digest.replacen(&digest[..1], if digest.starts_with('0') { "1" } else { "0" }, 1);
        let words = ["qemu-user-static-good", "qemu-alpha-static has ", name, &digest, "verified", &other];
        extract(&with(Some(number), &other)).assert_refused(&words);
        extract(&with(Some(number), &digest[2..])).assert_refused(&["qemu-alpha-static has ", name, &digest]);
    }
    for (number, name) in [
        (None, "by MD5"),
        (Some(1), "by MD5"),
        (Some(2), "by SHA-1"),
        (Some(11), "by SHA-224"),
        (Some(12), "by SHA3-256"),
        (Some(77), "by digest algorithm 77"),
    ] {
        let words = ["qemu-user-static-good", name, "SHA-256, SHA-384 and SHA-512 are taken"];
        extract(&with(number, &hex(&SHA256))).assert_refused(&words);
    }
    extract(&with(Some(8), "")).assert_refused(&["holds no digest of /usr/bin/qemu-alpha-static"]);
    let none = good.forge(|forged| forged.remove(IndexTag::RPMTAG_FILEDIGESTS));
    extract(&none).assert_refused(&["holds no digest of /usr/bin/qemu-alpha-static"]);
    // As rpmbuild itself makes them.
    let built = build("qemu-user-static-good", &["--define", "_binary_filedigest_algorithm 10"], &EMULATOR, "/usr");
    assert_eq!(extract(&built).emulators(), ["qemu-alpha-static"]);
    let built = build("qemu-user-static-good", &["--define", "_binary_filedigest_algorithm 1"], &EMULATOR, "/usr");
    extract(&built).assert_refused(&["qemu-user-static-good", "by MD5"]);
}

/// Debian has links from the old names to the emulators, and Fedora may.
#[test]
fn links_among_emulators_are_passed_over() {
    let package = |install: &str| {
        let copied = format!("cp {} ", emulator("alpha").display());
        let install = install.replace("copy ", &copied);
        let install = format!("mkdir -p %{{buildroot}}/usr/bin; cd %{{buildroot}}/usr/bin; {install}");
        build("qemu-user-static-links", &["--define", "_binary_payload w1.zstdio"], &install, "/usr/bin")
    };
    for install in [
        "copy qemu-alpha; ln -s qemu-alpha qemu-alpha-static",
        "copy qemu-alpha-static; ln -s qemu-alpha-static qemu-alpha",
        "copy qemu-alpha-static; ln -s /usr/bin/qemu-alpha-static qemu-alphaev6-static",
    ] {
        assert_eq!(extract(&package(install)).emulators(), ["qemu-alpha-static"], "{install}");
    }
    for to in ["qemu-sh4", "qemu-alpha-static"] {
        let lost = package(&format!("copy qemu-alpha-static; ln -s {to} qemu-m68k-static"));
        extract(&lost).assert_refused(&["qemu-m68k-static is a link to", to, "no package holds the emulator itself"]);
    }
    let lost = package("copy qemu-alpha-static; ln -s qemu-alphaev7 qemu-alphaev6-static");
    extract(&lost).assert_refused(&["qemu-alphaev6-static is a link to", "qemu-alphaev7"]);
}

#[test]
fn a_file_that_the_archive_lacks() {
    let install = format!("{}; touch %{{buildroot}}/usr/unwanted", *EMULATOR);
    let built = build("qemu-user-static-less", &["--define", "_binary_payload w0.gzdio"], &install, "/usr");
    let content = fs::read(emulator("alpha")).expect("an emulator");
    let one = ("./usr/bin/qemu-alpha-static", content.as_slice(), content.len() as u64);
    let less = built.forge(|forged| forged.payload = payload(&[one]));
    assert_eq!(extract(&less).emulators(), ["qemu-alpha-static"]);
    let none = built.forge(|forged| forged.payload = payload(&[("./usr/unwanted", b"", 0)]));
    extract(&none).assert_refused(&["qemu-user-static-less", "lacks /usr/bin/qemu-alpha-static", "its header lists"]);
}

#[test]
fn sizes_that_do_not_fit() {
    let content = fs::read(emulator("alpha")).expect("an emulator");
    let (name, length) = ("./usr/bin/qemu-alpha-static", content.len() as u64);
    let good = good();
    let sizes = |sizes: Vec<u64>| {
        good.forge(|forged| {
            forged.remove(IndexTag::RPMTAG_FILESIZES);
            forged.set(IndexTag::RPMTAG_LONGFILESIZES, IndexData::Int64(sizes));
        })
    };
    // `/usr`, `/usr/bin`, the emulator.
    extract(&sizes(vec![0, 0, 1 << 40])).assert_refused(&["qemu-alpha-static", "at most 268435456 bytes"]);
    extract(&sizes(vec![0, 0, length + 1])).assert_refused(&["qemu-alpha-static", "the header says"]);
    extract(&sizes(vec![0, 0, length - 1])).assert_refused(&["qemu-alpha-static", "the header says"]);
    extract(&sizes(vec![0, 0])).assert_refused(&["qemu-user-static-good", "unpacking"]);
    let longer = good.forge(|forged| forged.payload = payload(&[(name, &content, length + 40)]));
    extract(&longer).assert_refused(&["qemu-user-static-good", "the header says"]);
    let unknown = good.forge(|forged| forged.payload = payload(&[("./etc/passwd", b"x", 1)]));
    extract(&unknown).assert_refused(&["qemu-user-static-good", "does not know"]);
    // Found by fuzzing: the `rpm` crate takes memory for the name before it looks at the length.
    let mut long = payload(&[(name, &content, length)]);
    long[6 + 8 * 11..][..8].copy_from_slice(b"ffffffff");
    let long = good.forge(|forged| forged.payload = long);
    extract(&long).assert_refused(&["qemu-user-static-good", "a name of 4294967295 bytes"]);
}

#[test]
fn payloads_cut_off_lengthened_or_of_no_known_kind() {
    for compression in ["w1.gzdio", "w1.xzdio", "w1.zstdio"] {
        let define = format!("_binary_payload {compression}");
        let built = build("qemu-user-static-good", &["--define", &define], &EMULATOR, "/usr");
        assert_eq!(extract(&built).emulators(), ["qemu-alpha-static"], "{compression}");
        let half = built.forge(|forged| forged.payload.truncate(forged.payload.len() / 2));
        extract(&half).assert_refused(&["unpacking qemu-user-static-good"]);
        let none = built.forge(|forged| forged.payload.clear());
        extract(&none).assert_refused(&["unpacking qemu-user-static-good", "damaged or cut off"]);
        // What follows the end is never read.
        let more = built.forge(|forged| forged.payload.extend_from_slice(&[0xff; 4096]));
        assert_eq!(extract(&more).emulators(), ["qemu-alpha-static"], "{compression}");
        let tail = fs::OpenOptions::new().append(true).open(&built.path).and_then(|mut file| file.write_all(b"tail"));
        tail.expect("lengthening a package");
        extract(&built).assert_refused(&["qemu-user-static-good", "was tampered with: payload SHA-256"]);
    }
    let built = build("qemu-user-static-good", &["--define", "_binary_payload w1.bzdio"], &EMULATOR, "/usr");
    extract(&built).assert_refused(&[
        "unpacking qemu-user-static-good",
        "compressed with bzip2",
        "have it made with zstd",
    ]);
    let unknown = good().forge(|forged| forged.payload = b"compressed by nobody".to_vec());
    extract(&unknown).assert_refused(&["unpacking qemu-user-static-good", "not of a known kind"]);
    // Compressed twice: the second time, nobody would hold the decoder's memory against a limit.
    let good = good();
    let twice = good.forge(|forged| forged.payload = zstd::encode_all(forged.payload.as_slice(), 1).expect("zstd"));
    extract(&twice).assert_refused(&["unpacking qemu-user-static-good", "not of a known kind"]);
}

#[test]
fn packages_that_are_none_or_for_others() {
    let good = good();
    extract(&Built::of("qemu-user-static-x", b""))
        .assert_refused(&["qemu-user-static-x-1-1.any.rpm", "not an RPM package"]);
    let no_digest = good.forge(|forged| forged.remove(IndexTag::RPMTAG_PAYLOADSHA256));
    extract(&no_digest).assert_refused(&["qemu-user-static-good-1-1.any.rpm", "holds no SHA-256 of its payload"]);
    let mut tampered = good.bytes();
    let at = tampered.windows(7).position(|window| window == b"Spoilt\0").expect("the summary in the header");
    tampered[at] = b's';
    extract(&Built::of("qemu-user-static-x", &tampered))
        .assert_refused(&["was tampered with", "the digest that it carries"]);
    let other = build("qemu-user-static-good", &["--target", "sparc64-linux"], &EMULATOR, "/usr");
    extract(&other).assert_refused(&["qemu-user-static-good-1-1.any.rpm", "is for sparc64, not for", MIRROR.host]);
    // A source package has its builder's architecture.
    let source = good.forge(|forged| {
        forged.remove(IndexTag::RPMTAG_SOURCERPM);
        forged.set(IndexTag::RPMTAG_SOURCEPACKAGE, IndexData::Int32(vec![1]));
    });
    extract(&source).assert_refused(&["qemu-user-static-good-1-1.any.rpm", "is a source package"]);
    for (count, store) in [(1_u32, 0x7fff_ffff_u32), (0xffff, 0), (0x1000_0000, 16)] {
        let mut bytes = good.bytes();
        bytes[96 + 8..96 + 12].copy_from_slice(&count.to_be_bytes());
        bytes[96 + 12..96 + 16].copy_from_slice(&store.to_be_bytes());
        extract(&Built::of("qemu-user-static-x", &bytes)).assert_refused(&["qemu-user-static-x", "not an RPM package"]);
    }
}
