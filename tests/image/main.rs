//! `cargo xtask image`: what is in a layout, that the same inputs give the same bytes, and what is said where there is none.
//!
//! Reads layouts itself; engines read them in the container tests.

mod faults;
mod fixture;
mod layout;
mod load;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use xtask::verify::digest::Sha256;

use layout::Layout;

/// What stands for `registrar`, where no image is run.
const PROGRAM: &[u8] = b"\x7fELF";

/// A run for the fixture's hosts, which need not be this machine.
fn image(dist: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tested-xtask"));
    command.arg("image").arg("--dist").arg(dist).args(arguments).env_remove("SOURCE_DATE_EPOCH");
    command.output().expect("running xtask")
}

/// A layout in `dist/out`.
#[track_caller]
fn layout(dist: &Path, arguments: &[&str]) -> Layout {
    let out = dist.join("out");
    let printed = image(dist, &[arguments, &["--out", out.to_str().expect("text")]].concat());
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    Layout(out)
}

#[test]
fn every_blob_is_what_leads_to_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for host in ["aarch64", "x86_64"] {
        fixture::make(folder.path(), host, PROGRAM);
    }
    let both = ["--host", "amd64,arm64", "--compression", "zstd:19,gzip:9", "--number", "7"];
    let layout = layout(folder.path(), &both);
    assert_eq!(layout.annotation("org.opencontainers.image.ref.name"), "11.1.3-rc1-7");
    assert_eq!(layout.annotation("io.containerd.image.name"), "localhost/registrar:11.1.3-rc1-7");
    let index = layout.index();
    let manifests = index["manifests"].as_array().expect("manifests");
    // Engines that know no zstd take the first of their machine.
    assert_eq!(shape(&index), [("arm64", false), ("arm64", true), ("amd64", false), ("amd64", true)]);
    for descriptor in manifests {
        let manifest = layout.json(descriptor);
        let config = layout.json(&manifest["config"]);
        assert_eq!(config["architecture"], descriptor["platform"]["architecture"]);
        assert_eq!(config["config"]["Entrypoint"], json!(["/registrar"]));
        assert_eq!(config["config"]["Env"], json!(["QEMU_PRESERVE_ARGV0=1"]));
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.version"], "11.1.3~rc1");
        // Of the sources that were compiled, and not of the working tree that this test runs in.
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.revision"], fixture::REVISION);
        assert_eq!(config["config"]["Labels"], manifest["annotations"]);
        let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("layers");
        let layers = manifest["layers"].as_array().expect("layers");
        assert_eq!((diff_ids.len(), layers.len()), (2, 2));
        for (layer, diff_id) in layers.iter().zip(diff_ids) {
            assert_eq!(*diff_id, format!("sha256:{}", Sha256::of(&layout.layer(layer))));
        }
    }
    // Of all: the index, the SBOM, its empty configuration, two layers in two compressions. Of each host, which its name
    // tells apart: a configuration, in each compression a manifest, and the SBOM's.
    assert_eq!(layout::count(&layout.0.join("blobs/sha256")), 1 + 1 + 1 + 2 * 2 + 2 * (2 + 1 + 1), "no blob too many");
}

/// Of each image in an index, its architecture and whether it says that it is zstd.
fn shape(index: &Value) -> Vec<(&str, bool)> {
    let manifests = index["manifests"].as_array().expect("manifests");
    let is_zstd = |one: &Value| one["annotations"]["io.github.containers.compression.zstd"] == "true";
    manifests.iter().map(|one| (one["platform"]["architecture"].as_str().unwrap_or_default(), is_zstd(one))).collect()
}

#[test]
fn a_release_is_zstd_alone_and_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for host in ["aarch64", "x86_64"] {
        fixture::make(folder.path(), host, PROGRAM);
    }
    for options in [&["--release"][..], &[]] {
        let layout = layout(folder.path(), &[&["--host", "amd64,arm64"], options].concat());
        let index = layout.index();
        assert_eq!(shape(&index), [("arm64", true), ("amd64", true)], "{options:?}");
        for manifest in index["manifests"].as_array().expect("manifests") {
            for layer in layout.json(manifest)["layers"].as_array().expect("layers") {
                assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd", "{options:?}");
            }
        }
    }
    let gzip = layout(folder.path(), &["--host", "x86_64", "--compression", "gzip"]);
    assert_eq!(shape(&gzip.index()), [("amd64", false)]);
}

/// An archive with two entries is refused by `podman load`, and by skopeo without a tag.
#[test]
fn sboms_refer_to_the_index_in_a_folder_and_are_left_out_of_an_archive() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for host in ["aarch64", "x86_64"] {
        fixture::make(folder.path(), host, PROGRAM);
    }
    let arguments = ["--host", "amd64,arm64"];
    let layout = layout(folder.path(), &arguments);
    let entries = layout.entries();
    assert_eq!(entries.len(), 1 + 2, "{entries:?}");
    for entry in &entries[1..] {
        let manifest = layout.json(entry);
        assert_eq!(manifest["artifactType"], "application/spdx+json");
        assert_eq!(manifest["subject"]["digest"], entries[0]["digest"]);
        assert_eq!(manifest["subject"]["mediaType"], "application/vnd.oci.image.index.v1+json");
        assert_eq!(layout.json(&manifest["config"]), json!({}));
        let sbom = fs::read(layout.blob(&manifest["layers"][0])).expect("an SBOM");
        // Both hosts' files are the same here, and so are their SBOMs.
        assert!(sbom == fs::read(folder.path().join("aarch64/sbom.spdx.json")).expect("an SBOM"));
    }
    let platforms: BTreeSet<_> =
        entries[1..].iter().map(|entry| layout.json(entry)["annotations"].to_string()).collect();
    assert_eq!(platforms.len(), 2, "whose each is: {platforms:?}");

    let printed = image(folder.path(), &arguments);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let unpacked = Layout(folder.path().join("unpacked"));
    let archive = fs::File::open(folder.path().join("image.tar")).expect("an archive");
    tar::Archive::new(archive).unpack(&unpacked.0).expect("unpacked");
    assert_eq!(unpacked.entries().len(), 1);
    assert_eq!(unpacked.entries()[0]["digest"], entries[0]["digest"], "the same image");
}

#[test]
fn headers_tell_of_nothing_but_the_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fixture::make(folder.path(), "x86_64", PROGRAM);
    let layout = layout(folder.path(), &["--host", "x86_64"]);
    let manifest = layout.json(&layout.index()["manifests"][0]);
    let mut seen = Vec::new();
    for layer in manifest["layers"].as_array().expect("layers") {
        let bytes = layout.layer(layer);
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in archive.entries().expect("entries") {
            let entry = entry.expect("an entry");
            let header = entry.header();
            let path = entry.path().expect("a path").display().to_string();
            assert_eq!((header.uid().ok(), header.gid().ok()), (Some(0), Some(0)), "{path}");
            assert_eq!((header.username(), header.groupname()), (Ok(Some("")), Ok(Some(""))), "{path}");
            assert_eq!(header.mtime().ok(), Some(1_790_000_000), "{path}");
            let kind = match entry.link_name().expect("a link") {
                Some(first) => format!(" = {}", first.display()),
                None => format!(" {:o}", header.mode().expect("a mode")),
            };
            seen.push(path + &kind);
        }
    }
    let expected = [
        "usr/ 755",
        "usr/bin/ 755",
        "usr/bin/qemu-x86_64-static 755",
        "usr/bin/qemu-aarch64_be-static 755",
        "usr/bin/qemu-aarch64-static 755",
        "registrar 755",
        "entrypoint.sh = registrar",
        "qus/ 755",
        "qus/register = registrar",
        "register = registrar",
        "usr/bin/binfmt = registrar",
        "usr/share/ 755",
        "usr/share/doc/ 755",
        "usr/share/doc/registrar/ 755",
        "usr/share/doc/registrar/packages 644",
        "usr/share/doc/registrar/sbom.spdx.json 644",
        "usr/share/licenses/ 755",
        "usr/share/licenses/qemu-user-static/ 755",
        "usr/share/licenses/qemu-user-static/COPYING 644",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn the_same_files_give_the_same_image_in_any_folder_at_any_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, two) = (folder.path().join("one"), folder.path().join("another/with/a/longer/name"));
    let make = |dist: &Path| fixture::make(dist, "x86_64", PROGRAM);
    make(&one);
    // Another time of change, and another order in the folder.
    let host = make(&two);
    let license = host.join("rootfs/usr/share/licenses/qemu-user-static/COPYING");
    let file = fs::File::options().write(true).open(license).expect("a file");
    file.set_modified(std::time::UNIX_EPOCH).expect("another time");
    fs::rename(host.join("rootfs/registrar"), host.join("registrar")).expect("moved");
    fs::rename(host.join("registrar"), host.join("rootfs/registrar")).expect("moved back");

    for arguments in [&[][..], &["--release"], &["--format", "docker"], &["--compression", "zstd:17"]] {
        let archives = [&one, &two].map(|dist| {
            let printed = image(dist, &[&["--host", "x86_64"], arguments].concat());
            assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
            fs::read(dist.join("image.tar")).expect("an archive")
        });
        assert!(archives[0] == archives[1], "{arguments:?}");
    }
    let before = Sha256::of(&fs::read(one.join("image.tar")).expect("an archive"));
    let mut later = Command::new(env!("CARGO_BIN_EXE_tested-xtask"));
    later.args(["image", "--host", "x86_64", "--compression", "zstd:17", "--dist"]).arg(&one);
    let printed = later.env("SOURCE_DATE_EPOCH", "5").output().expect("running xtask");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    assert_ne!(Sha256::of(&fs::read(one.join("image.tar")).expect("an archive")), before, "the time is the user's");
}

#[test]
fn what_emulators_have_in_common_is_compressed_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fixture::make(folder.path(), "x86_64", PROGRAM);
    let size = |arguments: &[&str]| {
        let layout = layout(folder.path(), &[&["--host", "x86_64"], arguments].concat());
        layout.json(&layout.index()["manifests"][0])["layers"][0]["size"].as_u64().expect("a size")
    };
    let (zstd, gzip) = (size(&[]), size(&["--compression", "gzip:9"]));
    // zstd finds in each emulator what is also in the one before, gzip looks back 32 KiB.
    let (once, all) = (fixture::COMMON as u64, (fixture::COMMON * fixture::TARGETS.len()) as u64);
    assert!(zstd > once && zstd < 2 * once, "{zstd} bytes of zstd");
    assert!(gzip > all, "{gzip} bytes of gzip");
}

#[test]
fn an_archive_that_docker_can_read_names_for_it_what_the_index_leads_to() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    for host in ["x86_64", "s390x"] {
        fixture::make(folder, host, PROGRAM);
    }
    let cases: [(&[&str], bool, &str); 7] = [
        (&["--format", "docker"], true, "gzip"),
        (&["--format", "docker", "--release"], true, "gzip"),
        (&["--format", "docker", "--compression", "zstd"], true, "zstd"),
        (&["--release"], true, "zstd"),
        (&["--compression", "zstd,gzip"], true, "gzip"),
        (&[], true, "zstd"),
        (&["--host", "s390x", "--compression", "gzip"], false, "gzip"),
    ];
    for (number, (arguments, is_for_docker, compression)) in cases.into_iter().enumerate() {
        let printed = image(folder, &[&["--host", "x86_64", "--name", "example.org/q"], arguments].concat());
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        assert_eq!(fs::read_dir(folder).expect("a folder").count(), 3 + number, "hosts, archive, what was unpacked");
        let unpacked = Layout(folder.join(format!("unpacked-{number}")));
        let archive = fs::File::open(folder.join("image.tar")).expect("an archive");
        tar::Archive::new(archive).unpack(&unpacked.0).expect("unpacked");
        let Ok(docker) = fs::read(unpacked.0.join("manifest.json")) else {
            assert!(!is_for_docker, "{arguments:?}");
            continue;
        };
        assert!(is_for_docker, "{arguments:?}");
        let manifest = unpacked.json(&unpacked.index()["manifests"][0]);
        let media_type = manifest["layers"][0]["mediaType"].as_str().expect("a media type");
        assert!(media_type.ends_with(compression), "{arguments:?}: {media_type}");
        let path =
            |descriptor: &Value| descriptor["digest"].as_str().expect("a digest").replace("sha256:", "blobs/sha256/");
        let layers: Vec<_> = manifest["layers"].as_array().expect("layers").iter().map(path).collect();
        let expected = json!([{
            "Config": path(&manifest["config"]), "RepoTags": ["example.org/q:11.1.3-rc1-1"], "Layers": layers,
        }]);
        assert_eq!(serde_json::from_slice::<Value>(&docker).expect("JSON"), expected, "{arguments:?}");
    }
}

#[test]
fn some_targets_are_an_image_of_a_build_of_theirs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fixture::make(folder.path(), "x86_64", PROGRAM);
    let layout = layout(folder.path(), &["--host", "x86_64", "--target", "amd64,arm64", "--target", "aarch64_be"]);
    assert_eq!(layout.annotation("org.opencontainers.image.ref.name"), "aarch64-aarch64_be-x86_64-11.1.3-rc1-1");
}
