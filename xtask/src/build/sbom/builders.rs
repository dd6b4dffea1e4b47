//! The small pieces that a document is put together from, each in its plainest form, and their ids.

use super::files::Digests;
use super::names::Source;
use super::spdx::{
    Algorithm, Checksum, ExternalRef, File, NOASSERTION, Package, Purpose, Relationship, RelationshipType,
};
use crate::verify::VerifiedPackage;
use crate::verify::digest::Sha256;

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
