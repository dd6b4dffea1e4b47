//! The layout: layers, manifests of each host and compression, one index over all of them, and SBOMs that refer to that
//! index.
//!
//! An archive's `index.json` leads to the one index alone: `podman load`, and skopeo without a tag, refuse an archive that has
//! two entries. A folder's leads to the SBOMs too, with the index as their subject, so `oras cp -r` takes them along and a
//! registry lists them as the tag's referrers. They are not in the index itself: a lookup by the tag's digest would not
//! find them, and umoci calls such a tag ambiguous.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use super::blobs::{self, Blobs};
use super::compress::Compression;
use super::config::{config, labels, platform};
use super::contents::Contents;
use super::layer::{self, Layer};
use super::spec::{Annotations, CONFIG, Descriptor, EMPTY, INDEX, Index, MANIFEST, Manifest, Platform};
use crate::build::rootfs::SBOM;
use crate::system::parallel;

/// What says that a layout was made here.
pub(super) const MADE_BY: (&str, &str) = ("registrar.made-by", "cargo xtask image");

const SPDX: &str = "application/spdx+json";

/// Marks a manifest of zstd layers, for engines that prefer them. skopeo 1.22 sets it in each index that it copies (`--all`)
/// where it is missing, and so would change the index's digest; skopeo 1.9 leaves it as it is.
const IS_ZSTD: (&str, &str) = ("io.github.containers.compression.zstd", "true");

pub(super) struct Image {
    pub(super) compression: Compression,
    pub(super) layers: Vec<Layer>,
    config: Descriptor,
    manifest: Descriptor,
}

pub(super) struct Layout {
    pub(super) index: Descriptor,
    pub(super) images: Vec<Vec<Image>>,
}

/// Writes a layout. `name` and `tag` are the image's; with `sboms`, `index.json` lists the SBOMs too.
pub(super) fn write(
    folder: &Path,
    contents: &[Contents],
    compressions: &[Compression],
    tag: &str,
    name: &str,
    sboms: bool,
) -> Result<Layout> {
    let blobs = Blobs::new(folder)?;
    let mut manifests = Vec::new();
    let mut images = Vec::new();
    for contents in contents {
        // Both at once: one alone has no work for two processors all the time.
        let of_host =
            parallel::each(compressions, compressions.len(), |compression| image(contents, *compression, &blobs))?;
        for image in &of_host {
            let mut manifest = image.manifest.clone();
            manifest.platform = Some(platform(contents.host));
            if image.compression.is_zstd() {
                manifest.annotations.insert(IS_ZSTD.0.into(), IS_ZSTD.1.into());
            }
            manifests.push(manifest);
        }
        images.push(of_host);
    }
    let first = contents.first().context("no host")?;
    let mut annotations = labels(first)?;
    // Of all hosts together, nothing is said that is known of one.
    annotations.remove("registrar.qemu.origin");
    if contents.iter().any(|other| other.revision != first.revision) {
        annotations.remove("org.opencontainers.image.revision");
    }
    let inner = Index { schema_version: 2, media_type: INDEX.into(), manifests, annotations };
    let index = blobs.json(INDEX, &inner)?;
    let sboms = contents.iter().filter(|_| sboms).map(|contents| sbom_manifest(&index, contents, &blobs));
    let sboms: Vec<_> = sboms.collect::<Result<_>>()?;
    let mut named = index.clone();
    named.annotations = [
        ("org.opencontainers.image.ref.name", tag.to_owned()),
        // The whole name, for podman and containerd.
        ("io.containerd.image.name", format!("{name}:{}", tag)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let outer = Index {
        schema_version: 2,
        media_type: INDEX.into(),
        manifests: [vec![named], sboms].concat(),
        annotations: Annotations::from([(MADE_BY.0.into(), MADE_BY.1.into())]),
    };
    write_file(folder, "oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}")?;
    write_json(folder, "index.json", &outer)?;
    Ok(Layout { index, images })
}

fn image(contents: &Contents, compression: Compression, blobs: &Blobs) -> Result<Image> {
    let layers = contents.layers.iter().map(|items| layer::write(items, contents.created, compression, blobs));
    let layers: Vec<Layer> = layers.collect::<Result<_>>()?;
    let config = blobs.json(CONFIG, &config(contents, &layers)?)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.into(),
        artifact_type: None,
        config: config.clone(),
        layers: layers.iter().map(|layer| layer.blob.clone()).collect(),
        subject: None,
        annotations: labels(contents)?,
    };
    let manifest = blobs.json(MANIFEST, &manifest)?;
    Ok(Image { compression, layers, config, manifest })
}

/// The SBOM of one host's image, as a referrer of the index.
fn sbom_manifest(index: &Descriptor, contents: &Contents, blobs: &Blobs) -> Result<Descriptor> {
    const TITLE: &str = "org.opencontainers.image.title";
    let mut annotations = labels(contents)?;
    annotations.retain(|key, _| ["created", "version"].iter().any(|kept| key.ends_with(&format!(".image.{kept}"))));
    let Platform { os, architecture } = platform(contents.host);
    annotations.insert(TITLE.into(), format!("SBOM for {os}/{architecture}"));
    let mut sbom = blobs.bytes(SPDX, &contents.sbom)?;
    // The name that `oras pull` gives it.
    sbom.annotations.insert(TITLE.into(), SBOM.into());
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.into(),
        artifact_type: Some(SPDX.into()),
        config: blobs.bytes(EMPTY, b"{}")?,
        layers: vec![sbom],
        subject: Some(Descriptor { platform: None, annotations: Annotations::new(), ..index.clone() }),
        annotations,
    };
    blobs.json(MANIFEST, &manifest)
}

/// Adds what `docker load` reads: the first image of the only host.
pub(super) fn add_docker(folder: &Path, layout: &Layout, name: &str, tag: &str) -> Result<()> {
    let image = layout.images.first().and_then(|images| images.first()).context("no image")?;
    let layers: Vec<_> = image.layers.iter().map(|layer| blobs::path(&layer.blob)).collect();
    let name = format!("{name}:{}", tag);
    let image = json!({ "Config": blobs::path(&image.config), "RepoTags": [name], "Layers": layers });
    write_json(folder, "manifest.json", &[image])
}

fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    write_file(folder, name, &serde_json::to_vec(value).context("writing JSON")?)
}

fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
}
