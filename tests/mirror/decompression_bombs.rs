//! Packages that ask for memory and time: what a run takes of either is measured.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rpm::{IndexData, IndexTag};
use tests::{cpio, process};

use crate::command::names;
use crate::fixture::text;
use crate::hostile::{extract, good};
use crate::rpm_forge::{Built, zstd_bomb};

/// Most memory that a run may take, in bytes, whatever it is given.
const MOST_MEMORY: u64 = 200 << 20;

/// Runs an extraction that must be refused; its peak memory in bytes.
fn peak_memory(built: &Built, words: &[&str]) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_tested-xtask"))
        .args(["extract", "--no-signature", "--source", text(built.source()), "--out"])
        .arg(folder.path().join("out"))
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("running xtask");
    let mut peak = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while xtask.try_wait().expect("waiting for xtask").is_none() {
        if Instant::now() > end {
            xtask.kill().expect("ending xtask");
            panic!("it does not come to an end");
        }
        // It may have ended.
        peak = peak.max(process::peak_rss(xtask.id()).unwrap_or(0));
        thread::sleep(Duration::from_millis(1));
    }
    let output = xtask.wait_with_output().expect("xtask's words");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.lines().count() == 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
    let left: Vec<_> = names(folder.path()).into_iter().filter(|name| name != "target").collect();
    assert_eq!(left, Vec::<String>::new());
    peak
}

#[test]
fn the_largest_header_takes_little_memory() {
    // As many strings as fit, each of which is one byte here and 24 in memory, and none of which is UTF-8.
    let mut names = vec![String::new(); (2 << 20) - (64 << 10)];
    names.push("\u{fffd}".into());
    let bomb = good().forge(|forged| {
        forged.remove(IndexTag::RPMTAG_ENCODING);
        forged.set(IndexTag::RPMTAG_PROVIDENAME, IndexData::StringArray(names.clone()));
        forged.set(IndexTag::RPMTAG_BASENAMES, IndexData::StringArray(vec!["x".into()]));
    });
    let mut bytes = bomb.bytes();
    let at = bytes.windows(3).position(|three| three == "\u{fffd}".as_bytes()).expect("the last string");
    bytes[at..at + 3].copy_from_slice(&[0xff; 3]);
    let peak = peak_memory(&Built::of("qemu-user-static-good", &bytes), &["qemu-user-static-good"]);
    println!("header of 2 MiB: at most {} MiB", peak >> 20);
    assert!(peak < MOST_MEMORY, "{peak} bytes");
    names.resize(2 << 20, String::new());
    let larger = good().forge(|forged| forged.set(IndexTag::RPMTAG_PROVIDENAME, IndexData::StringArray(names)));
    extract(&larger).assert_refused(&["qemu-user-static-good", "not an RPM package, or a damaged one"]);
}

#[test]
fn bombs_end_early_and_in_little_memory() {
    let good = good();
    let header = |name: &str| {
        let mut archive = cpio::Writer::default();
        archive.program_of_size(name, &[], u64::from(u32::MAX));
        archive.unfinished()
    };
    let (wanted, unwanted) = (header("./usr/bin/qemu-alpha-static"), header("./usr/bin"));
    let zeros = vec![0; 90 << 20];
    let xz = |dictionary: u32| {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).expect("xz");
        options.dict_size(dictionary);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).expect("xz");
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(&zeros).and_then(|()| encoder.finish()).expect("xz")
    };
    let gzip = |start: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(start).expect("gzip");
        for _ in 0..12 {
            encoder.write_all(&zeros).expect("gzip");
        }
        encoder.finish().expect("gzip")
    };
    let much = "unpacks to more than any such package does";
    for (what, payload, words) in [
        ("zstd, unwanted", zstd_bomb(&unwanted, 3 << 30, 23), much),
        ("zstd, wanted", zstd_bomb(&wanted, 3 << 30, 23), "the header says"),
        ("zstd, window of 32 MiB", zstd_bomb(&unwanted, 3 << 30, 25), much),
        ("zstd, window of 64 MiB", zstd_bomb(&unwanted, 3 << 30, 26), "too much memory"),
        ("zstd, window of 2 GiB", zstd_bomb(&unwanted, 3 << 30, 31), "too much memory"),
        ("gzip, unwanted", gzip(&unwanted), much),
        ("xz, dictionary of 128 MiB", xz(128 << 20), "memory limit reached"),
    ] {
        let bomb = good.forge(|forged| forged.payload = payload);
        let peak = peak_memory(&bomb, &["unpacking qemu-user-static-good", words]);
        println!("{what}: at most {} MiB", peak >> 20);
        assert!(peak < MOST_MEMORY, "{what}: {peak} bytes");
    }
}
