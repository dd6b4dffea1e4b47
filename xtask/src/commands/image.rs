//! `cargo xtask image`: options of the container image.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use codegen::targets::selection;

use super::fetch_args::hosts;
use crate::image::{self, Compression, Engine, Input, NAME, NUMBER};
use crate::system::host::Host;
use crate::workspace::workspace_root;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The machines that the image runs on [default: this one's architecture]
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    host: Vec<String>,

    /// Only these emulators, by any name, of a build of these alone; common: the nine that container platforms are named after
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    target: Vec<String>,

    /// Where fetch-and-build has put its result
    #[arg(long, value_name = "DIR", default_value_os_t = workspace_root().join("dist"))]
    dist: PathBuf,

    /// What reads the image: OCI's layout is for podman, skopeo and containerd, an archive also for docker load
    #[arg(long, value_enum, default_value_t = Format::Oci)]
    format: Format,

    /// Where the image goes: an archive if the name ends in .tar, else a folder [default: image.tar in DIR]
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,

    /// zstd or gzip, with a level, or both, for container engines of any age [default: zstd:1; for docker gzip:1]
    #[arg(long, value_name = "NAME[:LEVEL]", value_delimiter = ',')]
    compression: Vec<Compression>,

    /// Small: zstd:19, for all container engines but docker before 23 (--format docker: gzip:9); takes minutes
    #[arg(long, conflicts_with = "compression")]
    release: bool,

    /// Load it into this container engine instead, and print the command that runs it
    #[arg(long, value_name = "ENGINE", conflicts_with_all = ["format", "out", "compression", "release"])]
    load: Option<Engine>,

    /// The image's name
    #[arg(long, default_value = NAME)]
    name: String,

    /// Which image of this version of QEMU it is: the tag is QEMUVERSION-NUMBER
    #[arg(long, value_name = "NUMBER", default_value_t = NUMBER)]
    number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Oci,
    Docker,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let targets = selection(&args.target);
    let dist = args.dist.as_path();
    let hosts = hosts(&args.host)?;
    let compressions = args.compressions()?;
    let build_command = |host| args.build_command(host, &targets);
    if let Some(engine) = args.load {
        let [host] = hosts[..] else { bail!("--load takes one host's image; name one --host") };
        engine.check()?;
        let input = Input::read(dist, &[host], &targets, args.number, build_command)?;
        return image::load(engine, dist, &input, &args.name);
    }
    let default = dist.join("image.tar");
    let path = args.out.as_deref().unwrap_or(&default);
    if args.format == Format::Docker {
        ensure!(hosts.len() == 1, "docker load takes one host's image; name one --host, or leave out --format docker");
        ensure!(image::is_archive(path), "{}: docker load takes an archive; name a file *.tar", path.display());
    }
    let input = Input::read(dist, &hosts, &targets, args.number, build_command)?;
    image::write(&input, path, dist, &compressions, &args.name)
}

impl Args {
    fn compressions(&self) -> Result<Vec<Compression>> {
        Compression::for_index(match (self.compression.as_slice(), self.release, self.format) {
            ([], true, Format::Oci) => vec![Compression::RELEASE],
            ([], true, Format::Docker) => vec![Compression::RELEASE_GZIP],
            ([], false, Format::Oci) => vec![Compression::FAST],
            ([], false, Format::Docker) => vec![Compression::FAST_GZIP],
            (named, ..) => named.to_vec(),
        })
    }

    /// The command that builds what the image is made of.
    fn build_command(&self, host: Host, targets: &[String]) -> String {
        let mut command = format!("cargo xtask fetch-and-build --host {}", host.name);
        if !targets.is_empty() {
            command += &format!(" --target {}", image::set_name(targets).map_or(targets.join(","), str::to_owned));
        }
        if self.dist != workspace_root().join("dist") {
            command += &format!(" --out {}", self.dist.display());
        }
        command
    }
}
