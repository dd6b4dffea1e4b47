//! How large the images are, and how long each takes from the pull of a local registry to a registered arm64, with docker and podman: all
//! emulators and the common ones as they are released, and both in gzip, as other images ship about as many as the common ones. Fails if
//! the common ones are not registered before all: README's quick start takes them for that.
//!
//! The images take turns; each is removed after its run, untimed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use test_groups::tools;
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::docker::Docker;
use tests::host::Host;
use tests::podman::Podman;
use tests::registry::Registry;
use xtask::say;
use xtask::system::{self, host};
use xtask::workspace::target_dir;

use crate::{Run, image, median};

/// The handler that is registered.
const HANDLER: &str = "qemu-aarch64";

/// Docker's first version that reads zstd.
const DOCKER_WITH_ZSTD: u32 = 23;

/// An image in the registry.
struct Image {
    name: &'static str,
    is_zstd: bool,
    reference: String,
    packed: u64,
    unpacked: u64,
}

/// Runs the comparison.
pub(super) fn run(dist: &Path, common: &Path, runs: usize) -> Result<()> {
    ensure!(runs > 0, "no runs, no median: --runs must be at least 1");
    tools::require(&[tools::PODMAN, tools::DOCKER, tools::RUNC, tools::SKOPEO, tools::DPKG, tools::DEBIAN_KEYS])?;
    let scratch = tempfile::tempdir_in(target_dir()).context("making a folder for images")?;
    let registry = Registry::new(&scratch.path().join("registry"));
    let home = registry.home(scratch.path());
    let of_common: &[&str] = &["--target", "common"];
    let images = [
        ("whole, zstd:19", dist, &[][..], "zstd:19"),
        ("common, zstd:19", common, of_common, "zstd:19"),
        ("whole, gzip:9", dist, &[], "gzip:9"),
        ("common, gzip:6", common, of_common, "gzip:6"),
    ];
    let images = images.into_iter().enumerate().map(|(number, (name, dist, targets, compression))| {
        let layout = scratch.path().join(number.to_string());
        let mut make = crate::xtask()?;
        make.arg("image").args(targets).args(["--compression", compression, "--dist"]).arg(dist);
        system::run(make.arg("--out").arg(&layout))?;
        let reference = registry.repository(&format!("image{number}"));
        push(&layout, &reference, &home)?;
        let manifests = image::manifests(&layout)?;
        let [manifest] = &manifests[..] else { anyhow::bail!("{}: not one image", layout.display()) };
        let packed = manifest.layers.iter().map(|layer| layer.size).sum::<u64>() + manifest.config.size;
        let unpacked = size(&dist.join(host::Host::named(None)?.name).join("rootfs"))?;
        Ok(Image { name, is_zstd: compression.starts_with("zstd"), reference, packed, unpacked })
    });
    let images: Vec<_> = images.collect::<Result<_>>()?;
    let _host = Host::mounted();
    say!("load average {}; medians of {runs} runs, in s", load()?);
    say!("{:18}{:>12}{:>12}", "", "packed, MB", "unpacked");
    for image in &images {
        let [packed, unpacked] = [image.packed, image.unpacked].map(|bytes| bytes as f64 / 1e6);
        say!("{:18}{packed:>12.1}{unpacked:>12.1}", image.name);
    }
    let mut is_kept = true;
    {
        let podman = Podman::new(scratch.path());
        let command = || {
            let mut command = podman.command();
            command.env("HOME", &home);
            command
        };
        is_kept &= series("podman", &command, &images.iter().collect::<Vec<_>>(), runs)?;
    }
    let docker = Docker::new(&scratch.path().join("docker"));
    let version = docker.run(&["version", "--format={{.Server.Version}}"]);
    let major: u32 = version.split('.').next().and_then(|number| number.parse().ok()).context("docker's version")?;
    let readable = |image: &&Image| major >= DOCKER_WITH_ZSTD || !image.is_zstd;
    let name = format!("docker {}", version.trim());
    is_kept &= series(&name, &|| docker.command(), &images.iter().filter(readable).collect::<Vec<_>>(), runs)?;
    say!("load average {}", load()?);
    ensure!(is_kept, "pulling: the image of the common targets is not the sooner, see above");
    Ok(())
}

/// Copies an image from a layout, which also has its SBOM.
fn push(layout: &Path, reference: &str, home: &Path) -> Result<()> {
    let index: serde_json::Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let tag = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"].as_str().context("no tag")?;
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "--quiet", "--all", "--preserve-digests", &format!("oci:{}:{tag}", layout.display())]);
    system::run(copy.arg(format!("docker://{reference}")).env("HOME", home)).map(drop)
}

/// Of all files below a folder; one with two names counts once.
fn size(folder: &Path) -> Result<u64> {
    let output = system::run(Command::new("du").args(["--summarize", "--bytes"]).arg(folder))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split('\t').next().and_then(|number| number.parse().ok()).context("du's number")
}

fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("reading the load")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// Pulls and registers the images by turns; tells whether the common ones were there before all.
fn series(engine: &str, command: &dyn Fn() -> Command, images: &[&Image], runs: usize) -> Result<bool> {
    let mut pulls: Vec<Vec<Run>> = images.iter().map(|_| Vec::new()).collect();
    let mut totals: Vec<Vec<Run>> = images.iter().map(|_| Vec::new()).collect();
    for run in 0..runs {
        for turn in 0..images.len() {
            // So that none always follows the same.
            let turn = (turn + run) % images.len();
            let (pull, total) = one(command, &images[turn].reference)?;
            pulls[turn].push(Run { time: pull, memory: 0 });
            totals[turn].push(Run { time: total, memory: 0 });
        }
    }
    say!("{engine:18}{:>12}{:>12}", "pull", "registered");
    for ((image, pulls), totals) in images.iter().zip(&pulls).zip(&totals) {
        say!("{:18}{:>12.2}{:>12.2}", image.name, median(pulls), median(totals));
    }
    let of = |kind: &str| {
        let of_kind = images.iter().zip(&totals).filter(|(image, _)| image.name.starts_with(kind));
        of_kind.map(|(_, totals)| median(totals)).collect::<Vec<_>>()
    };
    let (common, whole) = (of("common"), of("whole"));
    Ok(common.iter().all(|common| whole.iter().all(|whole| common < whole)))
}

/// From the start of the pull to its end, and to the registered handler.
fn one(command: &dyn Fn() -> Command, image: &str) -> Result<(Duration, Duration)> {
    let call = |words: &[&str]| {
        let mut command = command();
        system::run(command.args(words).stdin(Stdio::null())).map(drop)
    };
    let handler = PathBuf::from(DEFAULT_MOUNT_POINT).join(HANDLER);
    let volume = format!("--volume={DEFAULT_MOUNT_POINT}:/binfmt_misc");
    let start = Instant::now();
    call(&["pull", "--quiet", image])?;
    let pulled = start.elapsed();
    call(&["run", "--rm", "--cap-drop=ALL", "--network=none", &volume, image, "register", "arm64"])?;
    let registered = start.elapsed();
    ensure!(handler.exists(), "{HANDLER} is not registered");
    fs::write(handler, "-1").context("removing the handler")?;
    call(&["rmi", "--force", image])?;
    Ok((pulled, registered))
}
