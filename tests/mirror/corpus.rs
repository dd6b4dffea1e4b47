//! What the fuzz targets do, over inputs made from the shared mirror, whole, cut off and changed, in a few seconds: no
//! reader may panic or hang. The changes differ in each run; a failed one prints its seed. The inputs stay in
//! `target/tmp/corpus`, where the fuzzer begins with them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use codegen::targets::TARGETS;
use fedora_mirror::spec;
use rpm::signature::pgp::Signer;
use rpm::{BuildConfig, CompressionWithLevel, FileOptions, PackageBuilder};
use tests::random;

use crate::fixture::{MIRROR, key, other_key};
use crate::gpg::Gpg;
use crate::rpm_forge::build;

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library for the fuzz targets")]
mod readers;

/// Changed inputs for each reader.
const MUTATIONS: usize = 10_000;

/// Inputs beyond this many bytes are cut off but not changed: what they hold more of is compressed.
const LARGEST_CHANGED: usize = 64 << 10;

/// Most time on the processor for all of one reader's inputs, in seconds; each takes about one.
const MOST_TIME: f64 = 10.0;

/// Runs `reader` over all inputs and keeps them for the fuzzer.
fn run(name: &str, reader: fn(&[u8]), inputs: &[Vec<u8>]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus").join(name);
    fs::create_dir_all(&folder).expect("a folder for the corpus");
    let start = seconds_on_processor();
    for (index, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("{name}-{index}")), input).expect("keeping the input");
        reader(input);
        for sixteenth in 0..16 {
            reader(&input[..input.len() * sixteenth / 16]);
        }
        reader(&input[..input.len().saturating_sub(1)]);
    }
    let small: Vec<_> = inputs.iter().filter(|input| input.len() <= LARGEST_CHANGED).collect();
    let mut random = random::seeded(name);
    for _ in 0..MUTATIONS {
        let mut input = small[below(&mut random, small.len())].clone();
        for _ in 0..=random.usize(..4) {
            let other = small[below(&mut random, small.len())];
            change(&mut random, &mut input, other);
        }
        reader(&input);
    }
    let time = seconds_on_processor() - start;
    println!("{name}: {} inputs, {time:.2} s", inputs.len());
    assert!(time < MOST_TIME, "{name} took {time:.1} s");
}

/// Time that this thread has had: other tests run beside it.
fn seconds_on_processor() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel's count of this thread's time");
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse::<u64>().ok());
    std::time::Duration::from_nanos(nanoseconds.expect("a number")).as_secs_f64()
}

/// A place in a file, in its first 4 kB half of the time: that is where headers are.
fn position(random: &mut fastrand::Rng, length: usize) -> usize {
    let first = if random.bool() { length.min(4096) } else { length };
    below(random, first)
}

/// Below `end`; 0 if that is 0.
fn below(random: &mut fastrand::Rng, end: usize) -> usize {
    random.usize(..end.max(1))
}

/// One change, of the kinds that fuzzers make.
fn change(random: &mut fastrand::Rng, input: &mut Vec<u8>, other: &[u8]) {
    const NUMBERS: &[u32] = &[0, 1, 2, 7, 16, 63, 255, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    if input.is_empty() {
        return input.extend_from_slice(other);
    }
    let at = position(random, input.len());
    let end = (at + 1 + random.usize(..64)).min(input.len());
    match random.usize(..7) {
        0 => input[at] ^= 1 << random.usize(..8),
        1 => input[at] = random.u8(..),
        2 => {
            let number = NUMBERS[random.usize(..NUMBERS.len())].to_be_bytes();
            let length = number.len().min(input.len() - at);
            input[at..at + length].copy_from_slice(&number[4 - length..]);
        }
        3 => drop(input.drain(at..end)),
        4 => {
            let copy = input[at..end].to_vec();
            let to = position(random, input.len());
            input.splice(to..to, copy);
        }
        5 => {
            let from = position(random, other.len());
            let piece = &other[from..(from + 1 + random.usize(..256)).min(other.len())];
            input.splice(at..at, piece.iter().copied());
        }
        _ => drop(input.splice(at..end, random.u64(..).to_string().into_bytes())),
    }
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    fs::read(path).expect("a file of the mirror")
}

/// Files of the mirror's index whose names end so.
fn index(end: &str) -> Vec<Vec<u8>> {
    let folder = MIRROR.repo().join("repodata");
    let paths = fs::read_dir(folder).expect("the index").map(|entry| entry.expect("a file").path());
    let found: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(end)).map(read).collect();
    assert!(!found.is_empty(), "no {end} in the index");
    found
}

#[test]
fn conf_lines() {
    let mut inputs: Vec<_> = TARGETS
        .iter()
        .flat_map(|target| spec::confs(target.qemu, "riscv64"))
        .map(|(_, line)| line.into_bytes())
        .collect();
    inputs.push(b"# text\n;\n :x:E::ext::/bin/i:POCF\r\n\n,y,M,3,\\x41b,\\xff\\xf0,/bin/i,\n".to_vec());
    // Once read as something else than written: found by other means, kept.
    inputs.push(b"M:M:::::\n:\xf0\x9f\x98\x80:M::a::/i:\n:\0:M::a::/i:".to_vec());
    run("conf", readers::conf, &inputs);
}

#[test]
fn keyrings() {
    let gpg = Gpg::new();
    gpg.run(&["--import", key()]);
    gpg.run(&["--quick-generate-key", "another", "ed25519", "sign", "never"]);
    let (block, binary) = (gpg.export(&[]), gpg.export_binary(&[]));
    let twice = format!("one\n{block}\ntwo\n{block}");
    run("keyring", readers::keyring, &[block.into_bytes(), twice.into_bytes(), binary]);
}

#[test]
fn metalinks() {
    let hash = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let version = format!(
        "<mm0:timestamp>1700000000</mm0:timestamp><size>6285</size><verification><hash type=\"md5\">0</hash>\
         <hash type=\"sha256\">{hash}</hash></verification>"
    );
    let url = |scheme: &str, preference: u32| {
        format!(
            "<url protocol=\"{scheme}\" type=\"{scheme}\" location=\"DE\" preference=\"{preference}\">\
             {scheme}://mirror.example/fedora/linux/releases/45/Everything/x86_64/os/repodata/repomd.xml</url>"
        )
    };
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" \
         xmlns:mm0=\"http://fedorahosted.org/mirrormanager\" type=\"dynamic\" generator=\"mirrormanager\">\n<files>\
         <file name=\"repomd.xml\">{version}<mm0:alternates><mm0:alternate>{version}</mm0:alternate>\
         </mm0:alternates><resources maxconnections=\"1\">{}{}{}</resources></file></files></metalink>",
        url("https", 100),
        url("rsync", 99),
        url("http", 98)
    );
    run("metalink", readers::metalink, &[document.into_bytes()]);
}

#[test]
fn indexes() {
    run(
        "repomd",
        readers::repomd,
        &[index("repomd.xml"), vec![read(MIRROR.updates().join("repodata/repomd.xml"))]].concat(),
    );
}

#[test]
fn lists_of_packages() {
    let zstd = index("-primary.xml.zst");
    let plain = zstd::decode_all(zstd[0].as_slice()).expect("zstd");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).expect("gzip");
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).expect("xz");
    let others = vec![xz.finish().expect("xz"), gzip.finish().expect("gzip"), plain];
    run("primary", readers::primary, &[zstd, others].concat());
}

#[test]
fn packages() {
    let mut inputs = Vec::new();
    for compression in ["w1.gzdio", "w1.xzdio", "w1.zstdio", "w.ufdio"] {
        let install =
            "cd %{buildroot}; mkdir -p usr/bin; cd usr/bin; echo some text, some text >a; ln a b; ln -s a c; touch d";
        let define = format!("_binary_payload {compression}");
        inputs.push(build("qemu-user-static-small", &["--define", &define], install, "/usr").bytes());
    }
    // Format 6 with two signatures.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keys = [MIRROR.key.secret.clone(), other_key(folder.path()).secret];
    let mut builder = PackageBuilder::new("qemu-user-static-small", "1", "MIT", "noarch", "Small");
    builder.using_config(BuildConfig::v6().compression(CompressionWithLevel::None));
    builder.with_file_contents("text", FileOptions::new("/usr/bin/a")).expect("a file");
    let mut package = builder.build().expect("a package");
    for key in keys {
        package.sign(Signer::from_asc_file(key).expect("a key")).expect("a signature");
    }
    let mut bytes = Vec::new();
    package.write(&mut bytes).expect("a package");
    inputs.push(bytes);
    inputs.extend(MIRROR.packages().expect("the mirror's packages").iter().map(|path: &PathBuf| read(path)));
    run("package", readers::package, &inputs);
}
