//! `cargo xtask image`: a container image of what `fetch-and-build` has laid out, for one host or several, as OCI's layout
//! or an archive of it. No engine is needed, and the same inputs give the same digests.
//!
//! Here: the options, and the order of the steps. What is in the image is for `contents`, layers are made in `layer` and
//! `compress`, manifests in `layout`, and `out` puts all of it in place. To push it is for skopeo, podman and their like.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use codegen::targets;
use indicatif::HumanBytes;

use crate::host::Host;
use crate::output::say;
use crate::partial;
use crate::progress;
use crate::tables::workspace_root;

use compress::Compression;
use config::About;
use contents::Contents;
use layout::Layout;
use out::Out;

mod blobs;
mod compress;
mod config;
mod contents;
mod layer;
mod layout;
mod order;
mod out;
mod report;
pub mod spec;

/// Options of `cargo xtask image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The machines that the image runs on [default: this one's architecture]
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    host: Vec<String>,

    /// Only these emulators, by any name, of a build of these alone
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

    /// zstd or gzip, with a level [default: zstd:1; for docker gzip:1]
    #[arg(long, value_name = "NAME[:LEVEL]")]
    compression: Option<Compression>,

    /// How far back zstd looks, in MB: engines hold so much in memory when they unpack [default: 16]
    #[arg(long, value_name = "MB")]
    window: Option<u32>,

    /// Small, for any engine: with gzip:9, and beside it zstd:19 for engines that read it; takes minutes
    #[arg(long, conflicts_with = "compression")]
    release: bool,

    /// What engines are to call it
    #[arg(long, default_value = "localhost/registrar")]
    name: String,

    /// Which image of this version of QEMU it is: the tag is QEMUVERSION-NUMBER
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    number: u32,

    /// Show what each file adds to it, and draw that beside it (*.svg)
    #[arg(long)]
    report: bool,
}

/// Kinds of images.
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
    let targets = args.targets();
    let dist = contents::dist(&args.dist, &targets);
    let hosts = args.hosts()?;
    let compressions = args.compressions()?;
    let default = dist.join("image.tar");
    let path = args.out.as_deref().unwrap_or(&default);
    if args.format == Format::Docker {
        ensure!(hosts.len() == 1, "docker load takes one host's image; name one --host, or leave out --format docker");
        ensure!(out::is_file(path), "{}: docker load takes an archive; name a file *.tar", path.display());
    }
    // Without it, the first host's command is named.
    let first = hosts.first().filter(|_| dist.is_dir());
    let _lock = first.map(|host| partial::lock(&dist.join(host.name))).transpose()?;
    let read = |host: &Host| Contents::read(&dist, *host, &args.command(*host, &targets, &dist));
    let contents: Vec<_> = hosts.iter().map(read).collect::<Result<_>>()?;
    let about = About { tag: tag(&contents, &targets, args.number)? };
    let time = contents.iter().map(|contents| contents.created).max().unwrap_or_default();
    let what = "compressing the image";
    let make = |folder: &Path| {
        let layout = progress::step(what, || layout::write(folder, &contents, &compressions, &about, &args.name))?;
        if args.format == Format::Docker || can_be_for_docker(&hosts, path, &compressions) {
            layout::add_docker(folder, &layout, &args.name, &about)?;
        }
        let report = if args.report { Some(report(folder, &layout, &contents)?) } else { None };
        Ok((layout, report))
    };
    let (layout, report) = Out::new(path).put(time, &dist, make)?;
    if let Some((tables, drawing)) = report {
        let svg = path.with_extension("svg");
        partial::write(&svg, drawing.as_bytes())?;
        say!("{tables}drawn in {}\n", svg.display());
    }
    summary(&layout, &contents, &about, path);
    Ok(())
}

/// Whether any `docker load` can read an archive, as it takes one host's image and no zstd before docker 23: then it is for
/// docker too, whoever else it was made for.
fn can_be_for_docker(hosts: &[Host], path: &Path, compressions: &[Compression]) -> bool {
    let is_gzip = matches!(compressions.first(), Some(Compression::Gzip { .. }));
    hosts.len() == 1 && out::is_file(path) && is_gzip
}

/// Tables of all images, and a drawing of the last, which is the smallest.
fn report(folder: &Path, layout: &Layout, contents: &[Contents]) -> Result<(String, String)> {
    let (mut tables, mut drawing) = (String::new(), String::new());
    for (contents, images) in contents.iter().zip(&layout.images) {
        for image in images {
            let title = format!("{}, QEMU {}, {}", contents.host.name, contents.version, image.compression);
            tables += &format!("{title}\n");
            for (layer, name) in image.layers.iter().zip(["emulators", "registrar and texts"]) {
                let rows = report::rows(folder, layer, image.compression)?;
                tables += &report::table(&rows, name, layer.blob.size);
                if name == "emulators" {
                    drawing = report::drawing(&rows, &title);
                }
            }
            tables.push('\n');
        }
    }
    Ok((tables, drawing))
}

impl Args {
    /// QEMU's names of the wanted targets, sorted; of those unknown, what was typed.
    fn targets(&self) -> Vec<String> {
        let name = |name: &String| targets::by_any_name(name).map_or(name.as_str(), |target| target.qemu).to_owned();
        let mut targets: Vec<_> = self.target.iter().map(name).collect();
        targets.sort();
        targets.dedup();
        targets
    }

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
        let with_window = |compression: Compression| match (self.window, compression) {
            // Of the two, the one that has a window.
            (Some(_), Compression::Gzip { .. }) if self.release => Ok(compression),
            (Some(megabytes), _) => compression.with_window(megabytes),
            (None, _) => Ok(compression),
        };
        let chosen = match (self.compression, self.format) {
            _ if self.release => Compression::RELEASE.to_vec(),
            (Some(compression), _) => vec![compression],
            (None, Format::Oci) => vec![Compression::FAST],
            (None, Format::Docker) => vec![Compression::FAST_GZIP],
        };
        chosen.into_iter().map(with_window).collect()
    }

    /// What makes what goes in.
    fn command(&self, host: Host, targets: &[String], dist: &Path) -> String {
        let mut command = format!("cargo xtask fetch-and-build --host {}", host.name);
        if !targets.is_empty() {
            command += &format!(" --target {}", targets.join(","));
        }
        if !targets.is_empty() || self.dist != workspace_root().join("dist") {
            command += &format!(" --out {}", dist.display());
        }
        command
    }
}

/// `QEMUVERSION-NUMBER`, which is proposed and never moved; before it the targets, where some were named.
fn tag(contents: &[Contents], targets: &[String], number: u32) -> Result<String> {
    /// OCI's limit.
    const LONGEST: usize = 128;
    let mut versions: Vec<_> = contents.iter().map(|contents| contents.version.as_str()).collect();
    versions.dedup();
    let [version] = versions[..] else {
        bail!("the hosts' emulators are of several versions of QEMU: {}", versions.join(", "));
    };
    for contents in contents {
        ensure!(
            targets.is_empty() || contents.targets == targets,
            "what is built for {} has the emulators {}; run fetch-and-build again",
            contents.host.name,
            contents.targets.join(", ")
        );
    }
    // `~` is RPM's mark of what comes before a version.
    let tag = [targets, &[format!("{}-{number}", version.replace('~', "-"))]].concat().join("-");
    ensure!(tag.len() <= LONGEST, "{} targets are too many for a tag; leave out --target", targets.len());
    Ok(tag)
}

/// What a person reads at the end.
fn summary(layout: &Layout, contents: &[Contents], about: &About, path: &Path) {
    for (contents, images) in contents.iter().zip(&layout.images) {
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
    say!("index {}, tag {}", layout.index.digest, about.tag);
    say!("made {}", path.display());
}
