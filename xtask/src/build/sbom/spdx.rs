//! SPDX 2.3's JSON, as far as it is used here, as types; what goes into them is for the modules beside this one.
//!
//! Own types, because the crates that have some are not kept up (`spdx-rs`), or do not build everywhere and generate
//! theirs from a schema at build time (`serde-spdx`); expressions are left to the crate `spdx`.

use serde::{Deserialize, Serialize};

/// What is said where nothing is known.
pub(crate) const NOASSERTION: &str = "NOASSERTION";

/// The document's own id.
pub(crate) const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// A whole document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Version of the format.
    pub(crate) spdx_version: String,
    /// License of the document itself.
    pub(crate) data_license: String,
    /// [`DOCUMENT`].
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
    /// What it is about.
    pub(crate) name: String,
    /// An address that no other document has; nothing needs to be there.
    pub(crate) document_namespace: String,
    /// Who made it when.
    pub(crate) creation_info: CreationInfo,
    /// What applies to all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
    /// Things that have a name and a version.
    pub(crate) packages: Vec<Package>,
    /// Files of those packages whose files are listed.
    pub(crate) files: Vec<File>,
    /// Licenses that SPDX does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) has_extracted_licensing_infos: Vec<ExtractedLicense>,
    /// What belongs to what.
    pub(crate) relationships: Vec<Relationship>,
}

/// Who made a document when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CreationInfo {
    /// `2026-11-23T17:36:27Z`.
    pub(crate) created: String,
    /// `Tool: name-version`.
    pub(crate) creators: Vec<String>,
}

/// A package, a source package, a crate, or the whole root file system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Package {
    /// Its id.
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
    /// Its name.
    pub name: String,
    /// Its version in its distribution's notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version_info: Option<String>,
    /// Its file, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) package_file_name: Option<String>,
    /// Who distributes it: `Organization: name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) supplier: Option<String>,
    /// Where it can be had.
    pub(crate) download_location: String,
    /// Whether its files are listed.
    pub(crate) files_analyzed: bool,
    /// One digest over those of all its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) package_verification_code: Option<VerificationCode>,
    /// Digests of its file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) checksums: Vec<Checksum>,
    /// Where it comes from, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_info: Option<String>,
    /// What somebody has concluded of its license: nobody has.
    pub(crate) license_concluded: String,
    /// What it says of its license itself, as an expression.
    pub(crate) license_declared: String,
    /// What it says where that is no expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) license_comments: Option<String>,
    /// What it says of its copyright.
    pub(crate) copyright_text: String,
    /// Names of it elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) external_refs: Vec<ExternalRef>,
    /// What it is for.
    pub(crate) primary_package_purpose: Purpose,
    /// How it was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

/// What a package is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Purpose {
    /// To be run.
    Application,
    /// To be the content of a container image.
    Container,
    /// To be linked.
    Library,
    /// To be compiled.
    Source,
}

/// SHA-1 of the SHA-1 of all files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VerificationCode {
    /// 40 hexadecimal digits.
    #[serde(rename = "packageVerificationCodeValue")]
    pub(crate) value: String,
}

/// One digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checksum {
    /// Of what kind.
    pub(crate) algorithm: Algorithm,
    /// Its hexadecimal digits.
    #[serde(rename = "checksumValue")]
    pub(crate) value: String,
}

/// Kinds of digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    /// What SPDX wants of every file.
    Sha1,
    /// What proves something.
    Sha256,
}

/// A name of a package elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalRef {
    /// `PACKAGE-MANAGER`.
    pub(crate) reference_category: String,
    /// `purl`.
    pub(crate) reference_type: String,
    /// The name.
    pub(crate) reference_locator: String,
}

/// A file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    /// Its id.
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
    /// `./usr/bin/qemu-arm-static`.
    pub(crate) file_name: String,
    /// SHA-1 and SHA-256 of its content.
    pub(crate) checksums: Vec<Checksum>,
    /// What somebody has concluded of its license: nobody has.
    pub(crate) license_concluded: String,
    /// What it says of its copyright.
    pub(crate) copyright_text: String,
}

/// A license that SPDX does not know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExtractedLicense {
    /// `LicenseRef-…`.
    pub(crate) license_id: String,
    /// Its text, or where that is.
    pub(crate) extracted_text: String,
    /// Its name.
    pub(crate) name: String,
}

/// What one thing is to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Relationship {
    /// The one.
    pub(crate) spdx_element_id: String,
    /// What it is to the other.
    pub(crate) relationship_type: RelationshipType,
    /// The other.
    pub(crate) related_spdx_element: String,
}

/// Kinds of relationships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RelationshipType {
    /// A document and its main subject.
    Describes,
    /// A whole and its part.
    Contains,
    /// What came out and what it came out of.
    GeneratedFrom,
    /// A program and what is linked into it.
    StaticLink,
    /// What cannot be made or run without the other.
    DependsOn,
    /// A compiler and what it has compiled.
    BuildToolOf,
}

impl Document {
    /// What `id` is to others in one way: their ids.
    pub(crate) fn related<'a>(&'a self, id: &'a str, kind: RelationshipType) -> impl Iterator<Item = &'a str> {
        let is_it = move |one: &&Relationship| one.spdx_element_id == id && one.relationship_type == kind;
        self.relationships.iter().filter(is_it).map(|one| one.related_spdx_element.as_str())
    }

    /// The package with an id.
    pub(crate) fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }
}

impl File {
    /// Its digest of one kind.
    pub(crate) fn checksum(&self, algorithm: Algorithm) -> Option<&str> {
        let checksum = self.checksums.iter().find(|checksum| checksum.algorithm == algorithm)?;
        Some(&checksum.value)
    }
}
