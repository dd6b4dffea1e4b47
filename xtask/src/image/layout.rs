//! The layout: layers, manifests of each host and compression, bills of materials, and one index over all of them.
//!
//! `index.json` leads to that index alone, since engines ask which one is meant where there are more; so a bill of
//! materials is in the index too, as a manifest of no platform, which engines pass over and registries list as the
//! image's referrer.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::blobs::{self, Blobs};
use super::compress::Compression;
use super::config::{About, config, platform};
use super::contents::Contents;
use super::layer::{self, Layer};
use super::spec::{
    Annotations, CONFIG, Config, Descriptor, DockerImage, EMPTY, INDEX, Index, MANIFEST, Manifest, Platform,
};
use crate::parallel;

/// What says that a layout was made here.
pub(super) const MADE_BY: (&str, &str) = ("registrar.made-by", "cargo xtask image");

/// Media type of a bill of materials.
const SPDX: &str = "application/spdx+json";

/// What tells engines that prefer zstd of a manifest whose layers are.
const IS_ZSTD: (&str, &str) = ("io.github.containers.compression.zstd", "true");

/// One host's image with its layers in one compression.
pub(super) struct Image {
    pub(super) compression: Compression,
    pub(super) layers: Vec<Layer>,
    config: Descriptor,
    manifest: Descriptor,
}

/// All that was made.
pub(super) struct Layout {
    /// The index over all images.
    pub(super) index: Descriptor,
    /// The images of each host, in the order of the hosts.
    pub(super) images: Vec<Vec<Image>>,
}

/// Writes a layout into a folder. `name` and the tag are what engines may call the image.
///
/// # Errors
/// If a file of the contents is not as recorded, or something cannot be read or written.
pub(super) fn write(
    folder: &Path,
    contents: &[Contents],
    compressions: &[Compression],
    about: &About,
    name: &str,
) -> Result<Layout> {
    let blobs = Blobs::new(folder)?;
    let mut manifests = Vec::new();
    let mut bills = Vec::new();
    let mut images = Vec::new();
    for contents in contents {
        // Both at once: one alone has no work for two processors all the time.
        let of_host = parallel::each(compressions, compressions.len(), |compression| {
            image(contents, *compression, about, &blobs)
        })?;
        for image in &of_host {
            let mut manifest = image.manifest.clone();
            manifest.platform = Some(platform(contents.host));
            bills.push(bill(&manifest, contents, about, &blobs)?);
            if matches!(image.compression, Compression::Zstd { .. }) && compressions.len() > 1 {
                manifest.annotations.insert(IS_ZSTD.0.into(), IS_ZSTD.1.into());
            }
            manifests.push(manifest);
        }
        images.push(of_host);
    }
    manifests.extend(bills);
    let first = contents.first().context("no host")?;
    let mut annotations = about.labels(first)?;
    // Of all hosts together, nothing is said that is known of one.
    annotations.remove("registrar.qemu.origin");
    if contents.iter().any(|other| other.revision != first.revision) {
        annotations.remove("org.opencontainers.image.revision");
    }
    let inner = Index { schema_version: 2, media_type: INDEX.into(), manifests, annotations };
    let index = blobs.json(INDEX, &inner)?;
    let mut named = index.clone();
    named.annotations = [
        ("org.opencontainers.image.ref.name", about.tag.clone()),
        // The whole name, for podman and containerd.
        ("io.containerd.image.name", format!("{name}:{}", about.tag)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let outer = Index {
        schema_version: 2,
        media_type: INDEX.into(),
        manifests: vec![named],
        annotations: Annotations::from([(MADE_BY.0.into(), MADE_BY.1.into())]),
    };
    write_file(folder, "oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}")?;
    write_json(folder, "index.json", &outer)?;
    Ok(Layout { index, images })
}

/// One host's image in one compression.
fn image(contents: &Contents, compression: Compression, about: &About, blobs: &Blobs) -> Result<Image> {
    let layers = contents.layers.iter().map(|items| layer::write(items, contents.created, compression, blobs));
    let layers: Vec<Layer> = layers.collect::<Result<_>>()?;
    let config: Config = config(contents, about, &layers)?;
    let config = blobs.json(CONFIG, &config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.into(),
        artifact_type: None,
        config: config.clone(),
        layers: layers.iter().map(|layer| layer.blob.clone()).collect(),
        subject: None,
        annotations: about.labels(contents)?,
    };
    let manifest = blobs.json(MANIFEST, &manifest)?;
    Ok(Image { compression, layers, config, manifest })
}

/// The bill of materials as what belongs to an image.
fn bill(image: &Descriptor, contents: &Contents, about: &About, blobs: &Blobs) -> Result<Descriptor> {
    let labels = about.labels(contents)?;
    let kept = ["created", "title", "version"].map(|key| format!("org.opencontainers.image.{key}"));
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.into(),
        artifact_type: Some(SPDX.into()),
        config: blobs.bytes(EMPTY, b"{}")?,
        layers: vec![blobs.bytes(SPDX, &contents.sbom)?],
        subject: Some(Descriptor { platform: None, annotations: Annotations::new(), ..image.clone() }),
        annotations: labels.into_iter().filter(|(key, _)| kept.contains(key)).collect(),
    };
    let mut descriptor = blobs.json(MANIFEST, &manifest)?;
    let unknown = || "unknown".to_owned();
    descriptor.platform = Some(Platform { architecture: unknown(), os: unknown() });
    Ok(descriptor)
}

/// Adds what `docker load` reads: the first image of the only host.
///
/// # Errors
/// If it cannot be written.
pub(super) fn add_docker(folder: &Path, layout: &Layout, name: &str, about: &About) -> Result<()> {
    let image = layout.images.first().and_then(|images| images.first()).context("no image")?;
    let image = DockerImage {
        config: blobs::path(&image.config),
        repo_tags: vec![format!("{name}:{}", about.tag)],
        layers: image.layers.iter().map(|layer| blobs::path(&layer.blob)).collect(),
    };
    write_json(folder, "manifest.json", &[image])
}

fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    write_file(folder, name, &serde_json::to_vec(value).context("writing JSON")?)
}

fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
}
