//! `cargo xtask image`: a container image of what `fetch-and-build` has laid out, for one host or several, as OCI's layout
//! or an archive of it. No engine is needed, and the same inputs give the same digests.
//!
//! Here: the options, and the order of the steps. What is in the image is for `contents`, layers are made in `layer` and
//! `compress`, manifests in `layout`; `out` puts all of it in place, or `engine` loads it. To push it is for skopeo, oras,
//! podman and their like.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use codegen::targets;
use indicatif::HumanBytes;

use crate::host::Host;
use crate::output::say;
use crate::partial::{self, Partial};
use crate::progress;
use crate::tables::workspace_root;

use compress::Compression;
use config::ImageMetadata;
use contents::Contents;
pub use engine::Engine;
use layout::Layout;
use out::OutputPath;

mod blobs;
mod compress;
mod config;
mod contents;
mod engine;
mod layer;
mod layout;
mod order;
mod out;
pub mod spec;

/// What engines call it, and the number in its tag, if nothing else is asked for.
const NAME: &str = "localhost/registrar";
const NUMBER: u32 = 1;

/// Options of `cargo xtask image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The machines that the image runs on [default: this one's architecture]
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    host: Vec<String>,

    /// Only these emulators, by any name, of a build of these alone; common: the nine that container platforms are named after
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    target: Vec<String>,

    /// Where fetch-and-build has put what goes in
    #[arg(long, value_name = "DIR", default_value_os_t = workspace_root().join("dist"))]
    dist: PathBuf,

    /// What the image is for: OCI's layout, which podman, skopeo and containerd read, or an archive for docker load too
    #[arg(long, value_enum, default_value_t = Format::Oci)]
    format: Format,

    /// Where the image goes: an archive if the name ends in .tar, else a folder [default: image.tar beside what goes in]
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,

    /// zstd or gzip, with a level, or both, for engines of any age [default: zstd:1; for docker gzip:1]
    #[arg(long, value_name = "NAME[:LEVEL]", value_delimiter = ',')]
    compression: Vec<Compression>,

    /// How far back zstd looks, in MB: engines hold so much in memory when they unpack [default: 16]
    #[arg(long, value_name = "MB")]
    window: Option<u32>,

    /// Small: zstd:19, for all engines but docker before 23 (--format docker: gzip:9); takes minutes
    #[arg(long, conflicts_with = "compression")]
    release: bool,

    /// Load it into this engine instead, and print the command that runs it
    #[arg(long, value_name = "ENGINE", conflicts_with_all = ["format", "out", "compression", "window", "release"])]
    load: Option<Engine>,

    /// What engines are to call it
    #[arg(long, default_value = NAME)]
    name: String,

    /// Which image of this version of QEMU it is: the tag is QEMUVERSION-NUMBER
    #[arg(long, value_name = "NUMBER", default_value_t = NUMBER)]
    number: u32,
}

/// What an archive is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Oci,
    Docker,
}

/// Makes the image.
///
/// # Errors
/// If what goes in is not there or not as recorded, options contradict each other, or the image cannot be written; what was
/// there before is then as it was.
pub fn run(args: &Args) -> Result<()> {
    let targets = targets::selection(&args.target);
    let dist = args.dist.as_path();
    let hosts = args.hosts()?;
    let compressions = args.compressions()?;
    let command = |host| args.command(host, &targets);
    if let Some(engine) = args.load {
        let [host] = hosts[..] else { bail!("--load takes one host's image; name one --host") };
        engine.check()?;
        let input = Input::read(dist, &[host], &targets, args.number, command)?;
        return load(engine, dist, &input, &args.name);
    }
    let default = dist.join("image.tar");
    let path = args.out.as_deref().unwrap_or(&default);
    if args.format == Format::Docker {
        ensure!(hosts.len() == 1, "docker load takes one host's image; name one --host, or leave out --format docker");
        ensure!(out::is_file(path), "{}: docker load takes an archive; name a file *.tar", path.display());
    }
    let input = Input::read(dist, &hosts, &targets, args.number, command)?;
    let make = |folder: &Path| {
        let layout = input.write(folder, &compressions, &args.name, !out::is_file(path))?;
        // docker load takes one host's image, whatever else the archive was made for.
        if hosts.len() == 1 && out::is_file(path) {
            layout::add_docker(folder, &layout, &args.name, &input.metadata)?;
        }
        Ok(layout)
    };
    let layout = OutputPath::new(path).write(input.time, dist, make)?;
    summary(&layout, &input, path);
    Ok(())
}

/// Loads what `fetch-and-build` has put into `dist` for a host into an engine that was [checked](Engine::check), and prints
/// what runs it.
///
/// # Errors
/// If what is in `dist` is not as recorded, or the engine does not take the image.
pub fn load_built(engine: Engine, dist: &Path, host: Host, targets: &[String]) -> Result<()> {
    // Never shown: it has just run.
    let command = |_| "cargo xtask fetch-and-build".to_owned();
    load(engine, dist, &Input::read(dist, &[host], targets, NUMBER, command)?, NAME)
}

fn load(engine: Engine, dist: &Path, input: &Input, name: &str) -> Result<()> {
    let out = dist.join("image-to-load");
    // Never finished: it goes at the end, or with the next run if this one is killed.
    let partial = Partial::begin(&out, |_| false)?;
    let layout = input.write(partial.path(), &[engine.compression()], name, false)?;
    layout::add_docker(partial.path(), &layout, name, &input.metadata)?;
    progress::step("loading the image", || engine.load(partial.path(), input.time))?;
    let image = format!("{name}:{}", input.metadata.tag);
    // The name without a tag, which deploy/ takes in a checkout.
    engine.tag(&image, name)?;
    match input.contents.first() {
        Some(contents) if !contents.host.is_this_machine() => say!("loaded {image}, for {}", contents.host.name),
        _ => say!("loaded {image}; next, to register:\n    {}", engine.next(&image)),
    }
    Ok(())
}

/// What an image is made of.
struct Input {
    contents: Vec<Contents>,
    metadata: ImageMetadata,
    /// The newest of the hosts' times, in seconds since 1970.
    time: u64,
    /// So that what was read stays as it is.
    _lock: Option<File>,
}

impl Input {
    /// Reads what is in `dist` for these hosts; `command` makes it.
    fn read(
        dist: &Path,
        hosts: &[Host],
        targets: &[String],
        number: u32,
        command: impl Fn(Host) -> String,
    ) -> Result<Self> {
        // Without it, the first host's command is named.
        let first = hosts.first().filter(|_| dist.is_dir());
        let lock = first.map(|host| partial::lock(&dist.join(host.name))).transpose()?;
        let read = |host: &Host| Contents::read(dist, *host, &command(*host));
        let contents: Vec<_> = hosts.iter().map(read).collect::<Result<_>>()?;
        for contents in &contents {
            ensure!(
                targets.is_empty() || contents.targets == targets,
                "what is built for {} has the emulators {}; run `{}`",
                contents.host.name,
                contents.targets.join(", "),
                command(contents.host)
            );
        }
        let metadata = ImageMetadata { tag: tag(&contents, targets, number)? };
        let time = contents.iter().map(|contents| contents.created).max().unwrap_or_default();
        Ok(Self { contents, metadata, time, _lock: lock })
    }

    fn write(&self, folder: &Path, compressions: &[Compression], name: &str, sboms: bool) -> Result<Layout> {
        let write = || layout::write(folder, &self.contents, compressions, &self.metadata, name, sboms);
        progress::step("compressing the image", write)
    }
}

impl Args {
    fn hosts(&self) -> Result<Vec<Host>> {
        let mut hosts: Vec<_> = match self.host.as_slice() {
            [] => vec![Host::named(None)?],
            named => named.iter().map(|name| Host::named(Some(name))).collect::<Result<_>>()?,
        };
        hosts.sort_by_key(|host| host.name);
        hosts.dedup_by_key(|host| host.name);
        Ok(hosts)
    }

    fn compressions(&self) -> Result<Vec<Compression>> {
        let chosen = match (self.compression.as_slice(), self.release, self.format) {
            ([], true, Format::Oci) => vec![Compression::RELEASE],
            ([], true, Format::Docker) => vec![Compression::RELEASE_GZIP],
            ([], false, Format::Oci) => vec![Compression::FAST],
            ([], false, Format::Docker) => vec![Compression::FAST_GZIP],
            (named, ..) => named.to_vec(),
        };
        Compression::for_index(chosen, self.window)
    }

    /// What makes what goes in.
    fn command(&self, host: Host, targets: &[String]) -> String {
        let mut command = format!("cargo xtask fetch-and-build --host {}", host.name);
        if !targets.is_empty() {
            command += &format!(" --target {}", set_name(targets).map_or(targets.join(","), str::to_owned));
        }
        if self.dist != workspace_root().join("dist") {
            command += &format!(" --out {}", self.dist.display());
        }
        command
    }
}

/// The name of targets that have one together.
fn set_name(targets: &[String]) -> Option<&'static str> {
    (targets == targets::COMMON).then_some(targets::COMMON_NAME)
}

/// `QEMUVERSION-NUMBER`, which is proposed and never moved; before it the targets, where some were named, or after it the name that
/// they have together.
fn tag(contents: &[Contents], targets: &[String], number: u32) -> Result<String> {
    /// OCI's limit.
    const LONGEST: usize = 128;
    let mut versions: Vec<_> = contents.iter().map(|contents| contents.version.as_str()).collect();
    versions.dedup();
    let [version] = versions[..] else {
        bail!("the hosts' emulators are of several versions of QEMU: {}", versions.join(", "));
    };
    // `~` is RPM's mark of what comes before a version.
    let tag = format!("{}-{number}", version.replace('~', "-"));
    let tag = match set_name(targets) {
        Some(name) => format!("{tag}-{name}"),
        None => [targets, &[tag]].concat().join("-"),
    };
    ensure!(tag.len() <= LONGEST, "{} targets are too many for a tag; leave out --target", targets.len());
    Ok(tag)
}

/// What a person reads at the end.
fn summary(layout: &Layout, input: &Input, path: &Path) {
    for (contents, images) in input.contents.iter().zip(&layout.images) {
        for image in images {
            let sizes: Vec<_> = image.layers.iter().map(|layer| layer.blob.size).collect();
            say!(
                "{}: {} emulators, {} ({}); layers {}",
                contents.host.name,
                contents.targets.len(),
                HumanBytes(sizes.iter().sum()),
                image.compression,
                sizes.iter().map(|size| HumanBytes(*size).to_string()).collect::<Vec<_>>().join(" + ")
            );
        }
    }
    say!("index {}, tag {}", layout.index.digest, input.metadata.tag);
    say!("made {}", path.display());
}
