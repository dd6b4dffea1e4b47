//! SPDX 2.3's JSON as types, each with a function that makes its plainest form. `spdx-rs` is not maintained;
//! `serde-spdx` generates its types from a schema at build time.

use serde::{Deserialize, Serialize};

use super::files::Digests;
use super::names::Source;
use crate::verify::VerifiedPackage;
use crate::verify::digest::Sha256;

pub(crate) const NOASSERTION: &str = "NOASSERTION";

pub(crate) const DOCUMENT: &str = "SPDXRef-DOCUMENT";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    pub(crate) spdx_version: String,
    pub(crate) data_license: String,
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
    pub(crate) name: String,
    /// An address that no other document has; nothing needs to be there.
    pub(crate) document_namespace: String,
    pub(crate) creation_info: CreationInfo,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
    pub(crate) packages: Vec<Package>,
    pub(crate) files: Vec<File>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) has_extracted_licensing_infos: Vec<ExtractedLicense>,
    pub(crate) relationships: Vec<Relationship>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CreationInfo {
    pub(crate) created: String,
    /// `Tool: name-version`.
    pub(crate) creators: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Package {
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version_info: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) package_file_name: Option<String>,
    /// Who distributes it: `Organization: name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) supplier: Option<String>,
    pub(crate) download_location: String,
    pub(crate) files_analyzed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) package_verification_code: Option<VerificationCode>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) checksums: Vec<Checksum>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_info: Option<String>,
    pub(crate) license_concluded: String,
    pub(crate) license_declared: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) license_comments: Option<String>,
    pub(crate) copyright_text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) external_refs: Vec<ExternalRef>,
    pub(crate) primary_package_purpose: Purpose,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Purpose {
    Application,
    Container,
    Library,
    Source,
}

/// SHA-1 of the SHA-1 of all files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VerificationCode {
    #[serde(rename = "packageVerificationCodeValue")]
    pub(crate) value: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    #[serde(rename = "checksumValue")]
    pub(crate) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    /// What SPDX wants of every file.
    Sha1,
    Sha256,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalRef {
    pub(crate) reference_category: String,
    pub(crate) reference_type: String,
    pub(crate) reference_locator: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
    pub(crate) file_name: String,
    pub(crate) checksums: Vec<Checksum>,
    pub(crate) license_concluded: String,
    pub(crate) copyright_text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExtractedLicense {
    pub(crate) license_id: String,
    pub(crate) extracted_text: String,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Relationship {
    pub(crate) spdx_element_id: String,
    pub(crate) relationship_type: RelationshipType,
    pub(crate) related_spdx_element: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RelationshipType {
    Describes,
    Contains,
    GeneratedFrom,
    StaticLink,
    DependsOn,
    BuildToolOf,
}

impl Document {
    /// What `id` is to others in one way: their ids.
    pub(crate) fn related<'a>(&'a self, id: &'a str, kind: RelationshipType) -> impl Iterator<Item = &'a str> {
        let is_it = move |one: &&Relationship| one.spdx_element_id == id && one.relationship_type == kind;
        self.relationships.iter().filter(is_it).map(|one| one.related_spdx_element.as_str())
    }

    pub(crate) fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }
}

impl File {
    pub(crate) fn checksum(&self, algorithm: Algorithm) -> Option<&str> {
        let checksum = self.checksums.iter().find(|checksum| checksum.algorithm == algorithm)?;
        Some(&checksum.value)
    }
}

pub(super) fn package(id: String, name: &str, purpose: Purpose) -> Package {
    Package {
        id,
        name: name.into(),
        version_info: None,
        package_file_name: None,
        supplier: None,
        download_location: NOASSERTION.into(),
        files_analyzed: false,
        package_verification_code: None,
        checksums: vec![],
        source_info: None,
        license_concluded: NOASSERTION.into(),
        license_declared: NOASSERTION.into(),
        license_comments: None,
        copyright_text: NOASSERTION.into(),
        external_refs: vec![],
        primary_package_purpose: purpose,
        comment: None,
    }
}

pub(super) fn file(file: &Digests) -> File {
    File {
        id: file_id(&file.path),
        file_name: format!("./{}", file.path),
        checksums: vec![Checksum { algorithm: Algorithm::Sha1, value: file.sha1.clone() }, sha256(&file.sha256)],
        license_concluded: NOASSERTION.into(),
        copyright_text: NOASSERTION.into(),
    }
}

pub(super) fn sha256(digest: &Sha256) -> Checksum {
    Checksum { algorithm: Algorithm::Sha256, value: digest.to_string() }
}

pub(super) fn purl(locator: String) -> ExternalRef {
    ExternalRef {
        reference_category: "PACKAGE-MANAGER".into(),
        reference_type: "purl".into(),
        reference_locator: locator,
    }
}

pub(super) fn relationship(one: &str, kind: RelationshipType, other: &str) -> Relationship {
    Relationship { spdx_element_id: one.into(), relationship_type: kind, related_spdx_element: other.into() }
}

pub(super) fn file_id(path: &str) -> String {
    id("File", path)
}

pub(super) fn package_id(verified: &VerifiedPackage) -> String {
    id("Package", &verified.nevra)
}

pub(super) fn source_id(source: &Source) -> String {
    id("Source", &format!("{}-{}", source.name, source.version))
}

/// An id of letters, digits, dots and dashes, as SPDX wants them. What differs only in other characters stays apart.
pub(super) fn id(kind: &str, name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let sanitised: String = name.chars().map(plain).collect();
    if sanitised == name {
        return format!("SPDXRef-{kind}-{name}");
    }
    let digest = Sha256::of(name.as_bytes()).to_string();
    format!("SPDXRef-{kind}-{sanitised}-{}", &digest[..8])
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn ids_are_plain_and_of_one_thing_each() {
        let names = ["usr/bin/x86_64", "usr/bin/x86-64", "usr-bin-x86-64", "usr.bin", "a:b", "a_b", "a b", "\u{e4}"];
        let mut ids: Vec<_> = names.iter().map(|name| id("File", name)).collect();
        assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))), "{ids:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), names.len(), "{ids:?}");
        assert_eq!(id("File", "usr.bin"), "SPDXRef-File-usr.bin");
    }
}
