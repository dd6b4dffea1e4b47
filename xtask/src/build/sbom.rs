//! The SBOM of the root file system in SPDX 2.3: files, packages, sources, the crates of `registrar`, and how each was
//! verified.
//!
//! Every component has a supplier and is reached from the document, as the NTIA's minimum elements ask. The same
//! content gives the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat};

use self::files::Digests;
use self::spdx::{
    CreationInfo, DOCUMENT, Document, NOASSERTION, Package, Purpose, RelationshipType, VerificationCode, file, file_id,
    id, package, package_id, purl, relationship, sha256, source_id,
};
use crate::build::compile::build_info::BuildInfo;
use crate::build::rootfs::{self, RootfsInputs};
use crate::extract::EmulatorRecord;
use crate::verify::VerifiedPackage;
use crate::verify::digest::Sha256;

pub mod crates;
pub mod files;
mod license;
pub(super) mod names;
pub(crate) mod spdx;

use crates::Crate;

pub(crate) const ROOT: &str = "SPDXRef-RootFileSystem";

pub(crate) const REGISTRAR: &str = "SPDXRef-Package-registrar";

const PROJECT: &str = "Organization: registrar";

/// What begins the source of `registrar`; the commit follows.
const GIT_COMMIT: &str = "git commit ";

/// What no package says: which libraries of which versions its emulators were linked with.
const NOT_LISTED: &str = "the QEMU emulators are statically linked: they contain libraries (glibc, glib, pcre2, zlib and \
                          others) that this SBOM does not list";

/// What begins the word on a package that a key has signed; the key's fingerprint follows.
pub(crate) const SIGNED_BY: &str = "signed by ";

#[derive(Debug)]
pub struct Contents<'a> {
    pub version: &'a str,
    pub origin: &'a str,
    pub packages: &'a [VerifiedPackage],
    pub emulators: &'a [EmulatorRecord],
    pub files: &'a [Digests],
    /// What `registrar` is made of, besides itself.
    pub crates: &'a [Crate],
    pub build: &'a BuildInfo,
    pub created: u64,
}

pub(crate) fn write(inputs: &RootfsInputs<'_>, files: &[Digests], folder: &Path) -> Result<()> {
    let document = document(&Contents {
        version: &inputs.provenance.qemu_version,
        origin: &inputs.provenance.origin,
        packages: &inputs.stage.record.packages,
        emulators: &inputs.stage.record.emulators,
        files,
        crates: &inputs.crates,
        build: &inputs.build,
        created: inputs.created,
    })?;
    let mut text = serde_json::to_vec_pretty(&document).context("writing the SBOM")?;
    text.push(b'\n');
    rootfs::write_file(&folder.join(rootfs::SBOM), &text)
}

pub fn document(contents: &Contents<'_>) -> Result<Document> {
    let mut document = Document {
        spdx_version: "SPDX-2.3".into(),
        data_license: "CC0-1.0".into(),
        id: DOCUMENT.into(),
        name: "registrar-image".into(),
        document_namespace: String::new(),
        creation_info: CreationInfo {
            created: time(contents.created)?,
            creators: vec![concat!("Tool: registrar-xtask-", env!("CARGO_PKG_VERSION")).into()],
        },
        comment: Some(NOT_LISTED.into()),
        packages: vec![root(contents)],
        files: contents.files.iter().map(file).collect(),
        has_extracted_licensing_infos: vec![],
        relationships: vec![relationship(DOCUMENT, RelationshipType::Describes, ROOT)],
    };
    add_packages(&mut document, contents);
    add_registrar(&mut document, contents);
    add_files_origins(&mut document, contents);
    let declared = document.packages.iter().map(|package| package.license_declared.as_str());
    document.has_extracted_licensing_infos = license::extracted(declared);
    document.packages.sort_by(|one, other| one.id.cmp(&other.id));
    document.files.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    document.relationships.sort();
    // Unique to its content, as it must be, and the same for the same content.
    let digest = Sha256::of(&serde_json::to_vec(&document).context("writing the SBOM")?);
    document.document_namespace = format!("https://spdx.org/spdxdocs/registrar-image-{digest}");
    Ok(document)
}

/// Seconds since 1970 as `2026-11-23T17:36:27Z`.
pub(crate) fn time(seconds: u64) -> Result<String> {
    let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let time = time.with_context(|| format!("{seconds} is no time that can be written"))?;
    Ok(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn root(contents: &Contents<'_>) -> Package {
    let code = files::verification_code(contents.files.iter().map(|file| file.sha1.as_str()));
    Package {
        version_info: Some(contents.version.into()),
        supplier: Some(PROJECT.into()),
        files_analyzed: true,
        package_verification_code: Some(VerificationCode { value: code }),
        source_info: Some(contents.origin.into()),
        ..package(ROOT.into(), "root-file-system", Purpose::Container)
    }
}

fn add_packages(document: &mut Document, contents: &Contents<'_>) {
    let mut sources = BTreeMap::new();
    for verified in contents.packages {
        let id = package_id(verified);
        let name = names::of(verified, contents.origin);
        document.relationships.push(relationship(ROOT, RelationshipType::Contains, &id));
        let supplier = supplier(verified, contents.origin);
        if let Some(source) = name.source {
            // To checkers the first is no way from one to the other.
            for kind in [RelationshipType::GeneratedFrom, RelationshipType::DependsOn] {
                document.relationships.push(relationship(&id, kind, &source_id(&source)));
            }
            sources.entry(source).or_insert_with(|| supplier.clone());
        }
        let license = license::declared(&verified.license);
        let holds_emulators = contents.emulators.iter().any(|emulator| emulator.nevra == verified.nevra);
        let comment =
            if holds_emulators { format!("{}; {NOT_LISTED}", verification(verified)) } else { verification(verified) };
        document.packages.push(Package {
            version_info: Some(name.version),
            supplier: Some(supplier),
            checksums: vec![sha256(&verified.sha256)],
            source_info: Some(format!("built from {}", verified.source)),
            license_declared: license.expression,
            license_comments: license.comment,
            external_refs: vec![purl(name.purl)],
            comment: Some(comment),
            ..package(id, &name.name, Purpose::Application)
        });
    }
    for (source, supplier) in sources {
        document.packages.push(Package {
            version_info: Some(source.version.clone()),
            supplier: Some(supplier),
            package_file_name: source.file.clone(),
            download_location: source.address.clone().unwrap_or_else(|| NOASSERTION.into()),
            external_refs: vec![purl(source.purl.clone())],
            ..package(source_id(&source), &source.name, Purpose::Source)
        });
    }
}

fn add_registrar(document: &mut Document, contents: &Contents<'_>) {
    let BuildInfo { revision, rustc, linker } = contents.build;
    document.relationships.push(relationship(ROOT, RelationshipType::Contains, REGISTRAR));
    document.packages.push(Package {
        version_info: Some(env!("CARGO_PKG_VERSION").into()),
        supplier: Some(PROJECT.into()),
        source_info: revision.as_ref().map(|commit| format!("{GIT_COMMIT}{commit}")),
        license_declared: env!("CARGO_PKG_LICENSE").into(),
        comment: Some(format!("compiled from source here by {rustc}, linked by {linker}")),
        ..package(REGISTRAR.into(), "registrar", Purpose::Application)
    });
    let version = rustc.split(' ').nth(1).unwrap_or(rustc);
    let rust = id("Rust", version);
    document.relationships.push(relationship(&rust, RelationshipType::BuildToolOf, REGISTRAR));
    document.relationships.push(relationship(REGISTRAR, RelationshipType::DependsOn, &rust));
    document.packages.push(Package {
        version_info: Some(version.into()),
        supplier: Some("Organization: The Rust Project".into()),
        license_declared: "MIT OR Apache-2.0".into(),
        external_refs: vec![purl(format!("pkg:generic/rust@{}", names::escape(version)))],
        comment: Some("its standard library, and the C library that this is linked with, are part of registrar".into()),
        ..package(rust, "rust", Purpose::Library)
    });
    for one in contents.crates {
        let id = id("Crate", &format!("{}-{}", one.name, one.version));
        let license = license::declared(one.license.as_deref().unwrap_or_default());
        let archive =
            format!("https://static.crates.io/crates/{0}/{0}-{1}.crate", one.name, names::escape(&one.version));
        document.relationships.push(relationship(REGISTRAR, RelationshipType::StaticLink, &id));
        document.packages.push(Package {
            version_info: Some(one.version.clone()),
            supplier: Some(format!("Organization: {}", one.registry)),
            download_location: if one.registry == crates::CRATES_IO { archive } else { NOASSERTION.into() },
            checksums: one.sha256.iter().map(sha256).collect(),
            license_declared: license.expression,
            license_comments: license.comment,
            external_refs: vec![purl(format!(
                "pkg:cargo/{}@{}",
                names::escape(&one.name),
                names::escape(&one.version)
            ))],
            ..package(id, &one.name, Purpose::Library)
        });
    }
}

fn add_files_origins(document: &mut Document, contents: &Contents<'_>) {
    for file in contents.files {
        let id = file_id(&file.path);
        document.relationships.push(relationship(ROOT, RelationshipType::Contains, &id));
        let emulator = rootfs::target(&file.path);
        let licenses = file.path.strip_prefix("usr/share/licenses/").and_then(|path| path.split('/').next());
        let from = match (file.path.as_str(), emulator, licenses) {
            (rootfs::REGISTRAR, ..) | (_, _, Some("registrar")) => Some(REGISTRAR.to_owned()),
            (alias, ..) if rootfs::ALIAS_HARDLINKS.contains(&alias) => Some(REGISTRAR.to_owned()),
            (_, Some(target), _) => {
                let nevra = contents.emulators.iter().find(|one| one.target == target).map(|one| &one.nevra);
                contents.packages.iter().find(|verified| Some(&verified.nevra) == nevra).map(package_id)
            }
            (_, _, Some(name)) => contents
                .packages
                .iter()
                .find(|verified| names::of(verified, contents.origin).name == name)
                .map(package_id),
            _ => None,
        };
        if let Some(from) = from {
            document.relationships.push(relationship(&id, RelationshipType::GeneratedFrom, &from));
        }
    }
}

fn verification(verified: &VerifiedPackage) -> String {
    match &verified.signer {
        Some(fingerprint) => format!("{SIGNED_BY}{fingerprint}; signature, header and payload digests were verified"),
        None if verified.source.ends_with(".rpm") => {
            "signature not checked; header and payload digests were verified".into()
        }
        None => "SHA-256 as in the lists that apt has verified".into(),
    }
}

/// Who distributes a package: its vendor, else where it was found.
fn supplier(verified: &VerifiedPackage, origin: &str) -> String {
    match (verified.vendor.as_str(), origin.split(' ').next()) {
        ("", Some(distribution @ ("Debian" | "Ubuntu"))) => format!("Organization: {distribution}"),
        ("", _) => format!("Organization: {origin}"),
        (vendor, _) => format!("Organization: {vendor}"),
    }
}

pub(crate) fn revision(document: &Document) -> Option<&str> {
    document.package(REGISTRAR)?.source_info.as_deref()?.strip_prefix(GIT_COMMIT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn verified(name: &str, source: &str, signer: Option<&str>, vendor: &str) -> VerifiedPackage {
        VerifiedPackage {
            nevra: name.into(),
            version: "11.1.3".into(),
            source: source.into(),
            license: "MIT".into(),
            sha256: Sha256::of(name.as_bytes()),
            size: 1,
            signer: signer.map(str::to_owned),
            vendor: vendor.into(),
            build_time: 0,
        }
    }

    fn of(packages: &[VerifiedPackage], files: &[Digests], origin: &str, created: u64) -> Result<Document> {
        document(&Contents {
            version: "11.1.3",
            origin,
            packages,
            emulators: &[],
            files,
            crates: &[],
            build: &build(None),
            created,
        })
    }

    fn build(revision: Option<&str>) -> BuildInfo {
        BuildInfo {
            revision: revision.map(str::to_owned),
            rustc: "rustc 1.95.0 (59807616e 2026-04-14)".into(),
            linker: "rust-lld".into(),
        }
    }

    #[test]
    fn the_same_content_gives_the_same_document_and_any_other_another() {
        let packages = [verified("qemu-2:1-1.fc45.x86_64", "qemu-1-1.fc45.src.rpm", None, "")];
        let file = |content: &str| Digests {
            path: "registrar".into(),
            sha1: files::verification_code([content].into_iter()),
            sha256: Sha256::of(content.as_bytes()),
        };
        let text = |document: Result<Document>| serde_json::to_string(&document.expect("a document")).expect("JSON");
        let first = of(&packages, &[file("one")], "Fedora 45", 1);
        let namespace = first.as_ref().map(|document| document.document_namespace.clone()).expect("a document");
        assert_eq!(text(first), text(of(&packages, &[file("one")], "Fedora 45", 1)));
        for other in [
            of(&packages, &[file("two")], "Fedora 45", 1),
            of(&packages, &[file("one")], "Fedora 44", 1),
            of(&packages, &[file("one")], "Fedora 45", 2),
            of(&[], &[file("one")], "Fedora 45", 1),
        ] {
            assert_ne!(other.expect("a document").document_namespace, namespace);
        }
        of(&packages, &[], "Fedora 45", u64::MAX).expect_err("a time after all times");
    }

    #[test]
    fn each_package_says_how_it_was_proven_and_by_whom_it_is_distributed() {
        let (rpm, deb) = ("qemu-2:1-1.fc45.x86_64", "qemu-user_1:1-1_amd64");
        let (rpm_source, deb_source) = ("qemu-1-1.fc45.src.rpm", "qemu_1:1-1");
        for (verified, origin, proven, supplier) in [
            (
                verified(rpm, rpm_source, Some("ABCD"), "Fedora Project"),
                "Fedora 45",
                "signed by ABCD;",
                "Fedora Project",
            ),
            (verified(rpm, rpm_source, None, ""), "/srv/rpms", "signature not checked;", "/srv/rpms"),
            (verified(deb, deb_source, None, ""), "Debian GNU/Linux 13", "SHA-256 as in the lists that apt", "Debian"),
            (verified(deb, deb_source, None, ""), "Ubuntu 26.04 LTS", "SHA-256 as in the lists that apt", "Ubuntu"),
        ] {
            let document = of(&[verified], &[], origin, 0).expect("a document");
            let package = document.packages.iter().find(|one| one.id.starts_with("SPDXRef-Package-qemu"));
            let package = package.expect("the package");
            assert!(package.comment.as_deref().unwrap_or_default().starts_with(proven), "{package:?}");
            assert_eq!(package.supplier, Some(format!("Organization: {supplier}")), "{origin}");
        }
    }

    #[test]
    fn a_source_of_fedoras_is_where_koji_keeps_it() {
        let packages = [verified("qemu-2:1-1.fc45.x86_64", "qemu-1-1.fc45.src.rpm", None, "")];
        let koji = "https://kojipkgs.fedoraproject.org/packages/qemu/1/1.fc45/src/qemu-1-1.fc45.src.rpm";
        for (origin, address) in [("Fedora 45", koji), ("https://mirror.example", NOASSERTION)] {
            let document = of(&packages, &[], origin, 0).expect("a document");
            let source = document.packages.iter().find(|one| one.primary_package_purpose == Purpose::Source);
            assert_eq!(source.expect("a source").download_location, address);
        }
    }

    #[test]
    fn every_component_has_a_supplier_and_a_way_that_leads_to_it() {
        let packages = [
            verified("qemu-user-static-arm-2:1-1.fc45.x86_64", "qemu-1-1.fc45.src.rpm", None, "Fedora Project"),
            verified("qemu-user_1:1-1_amd64", "qemu_1:1-1", None, ""),
            verified("mine-1-1.x86_64", "mine-1-1.src.rpm", None, ""),
        ];
        let emulators = [EmulatorRecord {
            target: "arm".into(),
            path: "emulators/qemu-arm-static".into(),
            nevra: packages[0].nevra.clone(),
            size: 1,
            sha256: Sha256::of(b""),
            build_id: None,
        }];
        let file = |path: &str| Digests {
            path: path.into(),
            sha1: files::verification_code([].into_iter()),
            sha256: Sha256::of(b""),
        };
        let files = ["registrar", "usr/bin/qemu-arm-static", "usr/share/doc/registrar/packages"].map(file);
        let crates = ["crates.io", "registry.example"].map(|registry| Crate {
            name: registry.into(),
            version: "1.0.0".into(),
            license: None,
            sha256: None,
            registry: registry.into(),
        });
        let contents = Contents {
            version: "1",
            origin: "/srv/rpms",
            packages: &packages,
            emulators: &emulators,
            files: &files,
            crates: &crates,
            build: &build(Some("c0ffee")),
            created: 0,
        };
        let document = document(&contents).expect("a document");
        for package in &document.packages {
            let supplier = package.supplier.as_deref().and_then(|supplier| supplier.strip_prefix("Organization: "));
            assert!(supplier.is_some_and(|name| !name.is_empty()), "{package:?}");
        }
        // As ntia-conformance-checker 6 goes, which follows no other kinds.
        let kinds = [
            RelationshipType::Describes,
            RelationshipType::Contains,
            RelationshipType::StaticLink,
            RelationshipType::DependsOn,
        ];
        let mut reached = BTreeSet::from([DOCUMENT]);
        loop {
            let known = reached.len();
            let ways = document.relationships.iter().filter(|one| kinds.contains(&one.relationship_type));
            let more: Vec<_> = ways.filter(|one| reached.contains(&*one.spdx_element_id)).collect();
            reached.extend(more.iter().map(|one| one.related_spdx_element.as_str()));
            if reached.len() == known {
                break;
            }
        }
        let packages = document.packages.iter().map(|package| &package.id);
        for id in packages.chain(document.files.iter().map(|file| &file.id)) {
            assert!(reached.contains(id.as_str()), "no way leads to {id}");
        }

        assert_eq!(revision(&document), Some("c0ffee"));
        let comment = |name: &str| {
            let package = document.packages.iter().find(|package| package.name == name);
            package.and_then(|package| package.comment.as_deref()).unwrap_or_default()
        };
        assert!(comment("qemu-user-static-arm").ends_with(NOT_LISTED) && !comment("mine").contains(NOT_LISTED));
        assert!(document.comment.as_deref().is_some_and(|comment| comment == NOT_LISTED));
    }
}
