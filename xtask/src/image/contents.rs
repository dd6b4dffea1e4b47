//! What goes into an image: a host's build, as its SBOM lists it, in two layers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use chrono::DateTime;

use super::layer::{Item, Kind};
use super::order;
use crate::build::rootfs::{ALIAS_HARDLINKS, REGISTRAR, ROOTFS, SBOM, is_program, target};
use crate::build::sbom::spdx::{Algorithm, Document};
use crate::build::sbom::{self, ROOT};
use crate::system::host::Host;
use crate::verify::digest::Sha256;
use crate::workspace::source_date_epoch;

const SBOM_INSIDE: &str = "usr/share/doc/registrar/sbom.spdx.json";

pub(super) struct Contents {
    pub(super) host: Host,
    pub version: String,
    pub origin: String,
    pub(super) revision: Option<String>,
    pub(super) registrar: Option<String>,
    pub created: u64,
    pub(super) targets: Vec<String>,
    pub(super) sbom: Vec<u8>,
    /// Emulators, which change seldom and are the bulk; then all the rest.
    pub(super) layers: [Vec<Item>; 2],
}

impl Contents {
    /// Reads `dist/HOST`, which `command` makes. The caller holds the folder's lock until the image is written.
    pub(super) fn read(dist: &Path, host: Host, command: &str) -> Result<Self> {
        let folder = dist.join(host.name);
        let path = folder.join(SBOM);
        ensure!(path.is_file(), "nothing is built for {} in {}; run `{command}`", host.name, dist.display());
        let sbom = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let document: Document = serde_json::from_slice(&sbom)
            .with_context(|| format!("reading {}: damaged; run `{command}`", path.display()))?;
        let root = document.package(ROOT).with_context(|| format!("{} describes nothing", path.display()))?;
        let version = root.version_info.clone();
        let version = version.with_context(|| format!("{} is an older version's; run `{command}`", path.display()))?;
        let targets = targets(&document);
        Ok(Self {
            host,
            version,
            origin: root.source_info.clone().unwrap_or_default(),
            revision: sbom::revision(&document).map(str::to_owned),
            registrar: document.package(sbom::REGISTRAR).and_then(|package| package.version_info.clone()),
            created: source_date_epoch()?.map_or_else(|| created(&document), Ok)?,
            layers: layers(&document, &folder, &Sha256::of(&sbom))?,
            targets,
            sbom,
        })
    }
}

fn targets(document: &Document) -> Vec<String> {
    let files = document.files.iter().map(|file| file.file_name.trim_start_matches("./"));
    let mut targets: Vec<_> = files.filter_map(target).map(str::to_owned).collect();
    targets.sort();
    targets
}

fn created(document: &Document) -> Result<u64> {
    let time = DateTime::parse_from_rfc3339(&document.creation_info.created).ok();
    let seconds = time.and_then(|time| u64::try_from(time.timestamp()).ok());
    seconds.with_context(|| format!("{:?} is no time", document.creation_info.created))
}

/// The files in their layers, each after the folder that it is in.
fn layers(document: &Document, folder: &Path, sbom: &Sha256) -> Result<[Vec<Item>; 2]> {
    let mut files = Vec::new();
    for file in &document.files {
        let path = file.file_name.trim_start_matches("./");
        let sha256 = file.checksum(Algorithm::Sha256).with_context(|| format!("no digest of {path}"))?;
        if !ALIAS_HARDLINKS.contains(&path) {
            files.push((path.to_owned(), folder.join(ROOTFS).join(path), Sha256::parse(sha256)?));
        }
    }
    files.push((SBOM_INSIDE.into(), folder.join(SBOM), sbom.clone()));
    let (mut emulators, mut rest): (Vec<_>, Vec<_>) = files.into_iter().partition(|(path, ..)| target(path).is_some());
    emulators.sort_by_cached_key(|(path, ..)| {
        let target = target(path).unwrap_or_default();
        (order::key(target).0, target.to_owned())
    });
    rest.sort();
    let mut folders = Vec::new();
    let layers = [emulators, rest].map(|files| {
        let mut items = Vec::new();
        for (path, source, sha256) in files {
            let mode = if is_program(&path) { 0o755 } else { 0o644 };
            add(&mut items, &mut folders, path.clone(), Kind::File { source, sha256, mode });
            // A link comes after the file that it leads to.
            for alias in ALIAS_HARDLINKS.into_iter().filter(|_| path == REGISTRAR) {
                add(&mut items, &mut folders, alias.to_owned(), Kind::HardLink(path.clone()));
            }
        }
        items
    });
    Ok(layers)
}

/// Adds a file, after those of its folders that no layer has yet.
fn add(items: &mut Vec<Item>, folders: &mut Vec<String>, path: String, kind: Kind) {
    for (at, _) in path.match_indices('/') {
        let folder = &path[..at];
        if !folders.iter().any(|known| known == folder) {
            folders.push(folder.to_owned());
            items.push(Item { path: folder.to_owned(), kind: Kind::Folder });
        }
    }
    items.push(Item { path, kind });
}
