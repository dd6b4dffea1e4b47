//! OCI's image format, as far as it is written here, as types: index, manifest, configuration, and what leads to them.
//!
//! Own types, since the crate that has them (`oci-spec`) brings builders, accessors and regular expressions with it: some
//! twenty crates for these structures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Text by key, sorted.
pub(crate) type Annotations = BTreeMap<String, String>;

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What leads to a blob. The format has `artifactType` too, which is left out: the manifest says it, and skopeo 1.9 drops it
/// from an index that it copies, which is another one then.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// `sha256:` and 64 digits.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub(crate) annotations: Annotations,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    /// In Go's terms: `amd64`.
    pub(crate) architecture: String,
    pub(crate) os: String,
}

/// What an index leads to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub(crate) schema_version: u32,
    pub(crate) media_type: String,
    /// Manifests, or other indexes.
    pub manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub(crate) annotations: Annotations,
}

/// What an image, or something that belongs to one, is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub(crate) schema_version: u32,
    /// [`MANIFEST`].
    pub(crate) media_type: String,
    /// What it is, where it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest of what it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub(crate) annotations: Annotations,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Config {
    /// When it was made: `2026-11-23T17:36:27Z`.
    pub(crate) created: String,
    pub(crate) architecture: String,
    pub(crate) os: String,
    pub(crate) config: Settings,
    pub(crate) rootfs: RootFs,
    pub(crate) history: Vec<History>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Settings {
    pub(crate) entrypoint: Vec<String>,
    #[serde(rename = "Env")]
    pub(crate) environment: Vec<String>,
    pub(crate) working_dir: String,
    pub(crate) labels: Annotations,
}

/// Layers as they are before compression.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RootFs {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Digests of their archives, the lowest first.
    pub(crate) diff_ids: Vec<String>,
}

/// How a layer was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) created: String,
    pub(crate) created_by: String,
    pub(crate) comment: String,
}

/// What `docker load` reads, of each image in an archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DockerImage {
    pub(crate) config: String,
    pub(crate) repo_tags: Vec<String>,
    /// Paths of its layers, the lowest first.
    pub(crate) layers: Vec<String>,
}
