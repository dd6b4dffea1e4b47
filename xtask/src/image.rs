//! A container image of one host's build or several hosts', as OCI layout or archive; the same inputs give the same
//! digests.
//!
//! `contents` reads the build, `layer` and `compress` make layers, `layout` writes manifests, `out` puts all in place,
//! `engine` loads it.

use std::fs::File;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use codegen::targets;
use indicatif::HumanBytes;

use crate::output::{progress, say};
use crate::system::host::Host;
use crate::workspace::atomic_dir::{self, StagedDir};

pub(crate) use compress::Compression;
use contents::Contents;
pub(crate) use engine::Engine;
use layout::Layout;
pub(crate) use out::is_archive;

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

pub(crate) const NAME: &str = "localhost/registrar";
pub(crate) const NUMBER: u32 = 1;

pub(crate) fn write(input: &Input, path: &Path, dist: &Path, compressions: &[Compression], name: &str) -> Result<()> {
    let make = |folder: &Path| {
        let layout = input.write(folder, compressions, name, !is_archive(path))?;
        // docker load takes one host's image, whatever else the archive is for.
        if input.contents.len() == 1 && is_archive(path) {
            layout::add_docker(folder, &layout, name, &input.tag)?;
        }
        Ok(layout)
    };
    let layout = out::write(path, input.time, dist, make)?;
    summary(&layout, input, path);
    Ok(())
}

/// Loads a host's build into a [checked](Engine::check) container engine, and prints the command that runs it.
pub(crate) fn load_built(engine: Engine, dist: &Path, host: Host, targets: &[String]) -> Result<()> {
    // Never shown: it has just run.
    let command = |_| "cargo xtask fetch-and-build".to_owned();
    load(engine, dist, &Input::read(dist, &[host], targets, NUMBER, command)?, NAME)
}

pub(crate) fn load(engine: Engine, dist: &Path, input: &Input, name: &str) -> Result<()> {
    let out = dist.join("image-to-load");
    // Never finished: it goes at the end, or with the next run if this one is killed.
    let staged = StagedDir::create(&out, |_| false)?;
    let layout = input.write(staged.path(), &[engine.compression()], name, false)?;
    layout::add_docker(staged.path(), &layout, name, &input.tag)?;
    progress::step("loading the image", || engine.load(staged.path(), input.time))?;
    let image = format!("{name}:{}", input.tag);
    // The name without a tag, which deploy/ takes in a checkout.
    engine.tag(&image, name)?;
    match input.contents.first() {
        Some(contents) if !contents.host.is_this_machine() => say!("loaded {image}, for {}", contents.host.name),
        _ => say!("loaded {image}; next, to register:\n    {}", engine.next(&image)),
    }
    Ok(())
}

pub(crate) struct Input {
    contents: Vec<Contents>,
    /// `QEMUVERSION-NUMBER`, after the targets where these are not all.
    tag: String,
    /// The newest of the hosts' times, in seconds since 1970.
    time: u64,
    /// So that what was read stays as it is.
    _lock: Option<File>,
}

impl Input {
    pub(crate) fn read(
        dist: &Path,
        hosts: &[Host],
        targets: &[String],
        number: u32,
        command: impl Fn(Host) -> String,
    ) -> Result<Self> {
        // Without it, the first host's command is named.
        let first = hosts.first().filter(|_| dist.is_dir());
        let lock = first.map(|host| atomic_dir::lock(&dist.join(host.name))).transpose()?;
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
        let tag = tag(&contents, targets, number)?;
        let time = contents.iter().map(|contents| contents.created).max().unwrap_or_default();
        Ok(Self { contents, tag, time, _lock: lock })
    }

    fn write(&self, folder: &Path, compressions: &[Compression], name: &str, sboms: bool) -> Result<Layout> {
        let write = || layout::write(folder, &self.contents, compressions, &self.tag, name, sboms);
        progress::step("compressing the image", write)
    }
}

pub(crate) fn set_name(targets: &[String]) -> Option<&'static str> {
    (targets == targets::COMMON).then_some(targets::COMMON_NAME)
}

/// The tag of images of one QEMU.
fn tag(contents: &[Contents], targets: &[String], number: u32) -> Result<String> {
    let mut versions: Vec<_> = contents.iter().map(|contents| contents.version.as_str()).collect();
    versions.dedup();
    let [version] = versions[..] else {
        bail!("the hosts' emulators are of several versions of QEMU: {}", versions.join(", "));
    };
    // A set may have been built before, and be all that there is.
    let set = contents.iter().map(|contents| set_name(&contents.targets)).reduce(|one, other| one.and(other));
    tag_of(version, set.flatten(), targets, number)
}

/// `QEMUVERSION-NUMBER`; with the name of a set of targets after it, or other named targets before it.
fn tag_of(version: &str, set: Option<&str>, targets: &[String], number: u32) -> Result<String> {
    const LONGEST: usize = 128;
    // `~` is RPM's mark of what comes before a version.
    let tag = format!("{}-{number}", version.replace('~', "-"));
    let tag = match set {
        Some(name) => format!("{tag}-{name}"),
        None => [targets, &[tag]].concat().join("-"),
    };
    ensure!(tag.len() <= LONGEST, "{} targets are too many for a tag; leave out --target", targets.len());
    Ok(tag)
}

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
    say!("index {}, tag {}", layout.index.digest, input.tag);
    say!("made {}", path.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_what_is_in_the_image() {
        let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let common = set_name(&named(&targets::COMMON));
        assert_eq!(tag_of("10.2.2", None, &[], 1).expect("a tag"), "10.2.2-1");
        assert_eq!(tag_of("10.2.2", common, &[], 1).expect("a tag"), "10.2.2-1-common");
        assert_eq!(tag_of("11.0.0~rc1", None, &named(&["arm", "ppc"]), 2).expect("a tag"), "arm-ppc-11.0.0-rc1-2");
        assert!(tag_of("10.2.2", None, &vec!["aarch64".to_owned(); 20], 1).is_err());
    }
}
