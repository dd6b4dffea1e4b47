//! A bill of materials of the root file system, in SPDX 2.3: its files with their digests, the packages and sources that
//! they come from, how each was proven, and the crates of `registrar`.
//!
//! The same content gives the same document, byte by byte: nothing of it comes from a clock or from chance. Pure, but for
//! [`files`] and [`crates`], which read digests and crates; writing it somewhere is for [`crate::rootfs`].

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat};

use self::files::Digests;
use self::names::Source;
use self::spdx::{
    Algorithm, Checksum, CreationInfo, DOCUMENT, Document, ExternalRef, File, NOASSERTION, Package, Purpose,
    Relationship, RelationshipType, VerificationCode,
};
use crate::digest::Sha256;
use crate::extract::EmulatorRecord;
use crate::verify::Proof;

pub mod crates;
pub mod files;
mod licence;
mod names;
pub mod spdx;

pub use names::source_address;

use crates::Crate;

/// Id of the package that is the root file system.
pub const ROOT: &str = "SPDXRef-RootFileSystem";

/// Id of `registrar` as a package.
const REGISTRAR: &str = "SPDXRef-Package-registrar";

/// What begins the word on a package that a key has signed; the key's fingerprint follows.
pub const SIGNED_BY: &str = "signed by ";

/// All that a document tells of.
#[derive(Debug)]
pub struct Contents<'a> {
    /// Where the emulators come from, in words.
    pub origin: &'a str,
    /// The packages.
    pub packages: &'a [Proof],
    /// The emulators that they gave.
    pub emulators: &'a [EmulatorRecord],
    /// All regular files of the root file system.
    pub files: &'a [Digests],
    /// What `registrar` is made of, besides itself.
    pub crates: &'a [Crate],
    /// When all this was made, in seconds since 1970.
    pub created: u64,
}

/// The document.
///
/// # Errors
/// If the time is none that can be written.
pub fn document(contents: &Contents<'_>) -> Result<Document> {
    let created = i64::try_from(contents.created).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let created = created.with_context(|| format!("{} is no time that can be written", contents.created))?;
    let mut document = Document {
        spdx_version: "SPDX-2.3".into(),
        data_license: "CC0-1.0".into(),
        id: DOCUMENT.into(),
        name: "registrar-image".into(),
        document_namespace: String::new(),
        creation_info: CreationInfo {
            created: created.to_rfc3339_opts(SecondsFormat::Secs, true),
            creators: vec![concat!("Tool: registrar-xtask-", env!("CARGO_PKG_VERSION")).into()],
        },
        packages: vec![root(contents)],
        files: contents.files.iter().map(file).collect(),
        has_extracted_licensing_infos: vec![],
        relationships: vec![relationship(DOCUMENT, RelationshipType::Describes, ROOT)],
    };
    add_packages(&mut document, contents);
    add_registrar(&mut document, contents.crates);
    add_files_origins(&mut document, contents);
    let declared = document.packages.iter().map(|package| package.license_declared.as_str());
    document.has_extracted_licensing_infos = licence::extracted(declared);
    document.packages.sort_by(|one, other| one.id.cmp(&other.id));
    document.files.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    document.relationships.sort();
    // Unique to its content, as it must be, and the same for the same content.
    let digest = Sha256::of(&serde_json::to_vec(&document).context("writing the bill of materials")?);
    document.document_namespace = format!("https://spdx.org/spdxdocs/registrar-image-{digest}");
    Ok(document)
}

/// The whole, with the digest over all of its files.
fn root(contents: &Contents<'_>) -> Package {
    let code = files::verification_code(contents.files.iter().map(|file| file.sha1.as_str()));
    Package {
        files_analyzed: true,
        package_verification_code: Some(VerificationCode { value: code }),
        source_info: Some(contents.origin.into()),
        ..package(ROOT.into(), "root-file-system", Purpose::Container)
    }
}

/// The packages, the source packages that they were built from, and what they are to each other.
fn add_packages(document: &mut Document, contents: &Contents<'_>) {
    let mut sources = BTreeSet::new();
    for proof in contents.packages {
        let id = package_id(proof);
        let name = names::of(proof, contents.origin);
        document.relationships.push(relationship(ROOT, RelationshipType::Contains, &id));
        if let Some(source) = &name.source {
            document.relationships.push(relationship(&id, RelationshipType::GeneratedFrom, &source_id(source)));
            sources.insert(source.clone());
        }
        let licence = licence::declared(&proof.licence);
        document.packages.push(Package {
            version_info: Some(name.version),
            supplier: Some(supplier(proof, contents.origin)),
            checksums: vec![sha256(&proof.sha256)],
            source_info: Some(format!("built from {}", proof.source)),
            license_declared: licence.expression,
            license_comments: licence.comment,
            external_refs: vec![purl(name.purl)],
            comment: Some(proven(proof)),
            ..package(id, &name.name, Purpose::Application)
        });
    }
    for source in sources {
        document.packages.push(Package {
            version_info: Some(source.version.clone()),
            package_file_name: source.file.clone(),
            download_location: source.address.clone().unwrap_or_else(|| NOASSERTION.into()),
            external_refs: vec![purl(source.purl.clone())],
            ..package(source_id(&source), &source.name, Purpose::Source)
        });
    }
}

/// `registrar` and its crates.
fn add_registrar(document: &mut Document, crates: &[Crate]) {
    document.relationships.push(relationship(ROOT, RelationshipType::Contains, REGISTRAR));
    document.packages.push(Package {
        version_info: Some(env!("CARGO_PKG_VERSION").into()),
        license_declared: env!("CARGO_PKG_LICENSE").into(),
        comment: Some("compiled from source here; Rust's standard library is not listed".into()),
        ..package(REGISTRAR.into(), "registrar", Purpose::Application)
    });
    for one in crates {
        let id = id("Crate", &format!("{}-{}", one.name, one.version));
        let licence = licence::declared(one.licence.as_deref().unwrap_or_default());
        let archive =
            format!("https://static.crates.io/crates/{0}/{0}-{1}.crate", one.name, names::escape(&one.version));
        document.relationships.push(relationship(REGISTRAR, RelationshipType::StaticLink, &id));
        document.packages.push(Package {
            version_info: Some(one.version.clone()),
            download_location: if one.is_published { archive } else { NOASSERTION.into() },
            checksums: one.sha256.iter().map(sha256).collect(),
            license_declared: licence.expression,
            license_comments: licence.comment,
            external_refs: vec![purl(format!(
                "pkg:cargo/{}@{}",
                names::escape(&one.name),
                names::escape(&one.version)
            ))],
            ..package(id, &one.name, Purpose::Library)
        });
    }
}

/// That the root file system contains the files, and which package each comes from, where one is known.
fn add_files_origins(document: &mut Document, contents: &Contents<'_>) {
    for file in contents.files {
        let id = file_id(&file.path);
        document.relationships.push(relationship(ROOT, RelationshipType::Contains, &id));
        let emulator = file.path.strip_prefix("usr/bin/qemu-").and_then(|name| name.strip_suffix("-static"));
        let licences = file.path.strip_prefix("usr/share/licenses/").and_then(|path| path.split('/').next());
        let from = match (file.path.as_str(), emulator, licences) {
            ("registrar", ..) | (_, _, Some("registrar")) => Some(REGISTRAR.to_owned()),
            (_, Some(target), _) => {
                let nevra = contents.emulators.iter().find(|one| one.target == target).map(|one| &one.nevra);
                contents.packages.iter().find(|proof| Some(&proof.nevra) == nevra).map(package_id)
            }
            (_, _, Some(name)) => {
                contents.packages.iter().find(|proof| names::of(proof, contents.origin).name == name).map(package_id)
            }
            _ => None,
        };
        if let Some(from) = from {
            document.relationships.push(relationship(&id, RelationshipType::GeneratedFrom, &from));
        }
    }
}

/// How it is known that a package is genuine.
fn proven(proof: &Proof) -> String {
    match &proof.signer {
        Some(fingerprint) => format!("{SIGNED_BY}{fingerprint}; signature, header and payload digests were verified"),
        None if proof.source.ends_with(".rpm") => {
            "signature not checked; header and payload digests were verified".into()
        }
        None => "SHA-256 as in the lists that apt has verified".into(),
    }
}

/// Who distributes a package.
fn supplier(proof: &Proof, origin: &str) -> String {
    match (proof.vendor.as_str(), origin.split(' ').next()) {
        ("", Some(distribution @ ("Debian" | "Ubuntu"))) => format!("Organization: {distribution}"),
        ("", _) => NOASSERTION.into(),
        (vendor, _) => format!("Organization: {vendor}"),
    }
}

/// A package of which nothing is known yet.
fn package(id: String, name: &str, purpose: Purpose) -> Package {
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

fn file(file: &Digests) -> File {
    File {
        id: file_id(&file.path),
        file_name: format!("./{}", file.path),
        checksums: vec![Checksum { algorithm: Algorithm::Sha1, value: file.sha1.clone() }, sha256(&file.sha256)],
        license_concluded: NOASSERTION.into(),
        copyright_text: NOASSERTION.into(),
    }
}

fn sha256(digest: &Sha256) -> Checksum {
    Checksum { algorithm: Algorithm::Sha256, value: digest.to_string() }
}

fn purl(locator: String) -> ExternalRef {
    ExternalRef {
        reference_category: "PACKAGE-MANAGER".into(),
        reference_type: "purl".into(),
        reference_locator: locator,
    }
}

fn relationship(one: &str, kind: RelationshipType, other: &str) -> Relationship {
    Relationship { spdx_element_id: one.into(), relationship_type: kind, related_spdx_element: other.into() }
}

fn file_id(path: &str) -> String {
    id("File", path)
}

fn package_id(proof: &Proof) -> String {
    id("Package", &proof.nevra)
}

fn source_id(source: &Source) -> String {
    id("Source", &format!("{}-{}", source.name, source.version))
}

/// An id of letters, digits, dots and dashes, as SPDX wants them. What differs only in other characters stays apart.
fn id(kind: &str, name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let sanitised: String = name.chars().map(plain).collect();
    if sanitised == name {
        return format!("SPDXRef-{kind}-{name}");
    }
    let digest = Sha256::of(name.as_bytes()).to_string();
    format!("SPDXRef-{kind}-{sanitised}-{}", &digest[..8])
}
