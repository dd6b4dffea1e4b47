//! The image of all emulators: how large it is as it is released, for engines of any age and for those that know zstd, and
//! how long a build takes that is only to be tried.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;

use crate::MEGABYTE;
use xtask::image::spec::{Descriptor, Index, Manifest};
use xtask::say;
use xtask::system;
use xtask::workspace::target_dir;

/// How many bytes an engine fetches at most, by the compression that it knows.
const LIMITS: [(&str, u64); 2] = [("gzip", 88_000_000), ("zstd", 23_000_000)];

/// Makes both images of the emulators in `dist`, in a folder that goes.
pub(super) fn run(dist: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(target_dir()).context("making a folder for images")?;
    let quick = make(dist, &scratch.path().join("quick"), &[])?;
    let layout = scratch.path().join("release");
    let release = make(dist, &layout, &["--compression", "gzip:9,zstd:19"])?;
    say!("cargo xtask image             {:.1} s", quick.as_secs_f64());
    say!("gzip:9 and zstd:19            {:.1} s", release.as_secs_f64());
    let manifests = manifests(&layout)?;
    let mut is_kept = true;
    for (compression, limit) in LIMITS {
        let is_of_it = |layer: &Descriptor| layer.media_type.ends_with(compression);
        let mut images = manifests.iter().filter(|manifest| manifest.layers.iter().any(is_of_it));
        let (Some(image), None) = (images.next(), images.next()) else {
            bail!("{}: not one image in {compression}", layout.display());
        };
        let size = image.layers.iter().map(|layer| layer.size).sum::<u64>() + image.config.size;
        let verdict = if size <= limit { "" } else { "  MISSED" };
        say!("{compression}   {size} bytes of {limit}, {:.1} MiB{verdict}", size as f64 / MEGABYTE);
        is_kept &= size <= limit;
    }
    ensure!(is_kept, "the image: a limit was missed, see above");
    Ok(())
}

fn make(dist: &Path, out: &Path, options: &[&str]) -> Result<Duration> {
    let mut command = crate::xtask()?;
    command.arg("image").args(options).arg("--dist").arg(dist).arg("--out").arg(out);
    let start = Instant::now();
    system::run(&mut command)?;
    Ok(start.elapsed())
}

/// Of all that the layout's index leads to.
pub(super) fn manifests(layout: &Path) -> Result<Vec<Manifest>> {
    let outer: Index = read(&layout.join("index.json"))?;
    let blob = |descriptor: &Descriptor| layout.join("blobs").join(descriptor.digest.replace(':', "/"));
    let named = outer.manifests.first().context("an empty index")?;
    let inner: Index = read(&blob(named))?;
    inner.manifests.iter().map(|manifest| read(&blob(manifest))).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
}
