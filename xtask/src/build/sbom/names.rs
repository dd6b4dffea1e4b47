//! Packages' names taken apart, and what they are called elsewhere: package URLs, and Koji's addresses of sources.

use std::fmt::Write as _;

use rpm_version::Nevra;

use crate::repo::resolved_package::source_parts;
use crate::verify::VerifiedPackage;

/// What Koji keeps for good: Fedora's builds, sources included.
const KOJI: &str = "https://kojipkgs.fedoraproject.org/packages";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// `qemu-user-static-arm`.
    pub(super) name: String,
    /// `2:11.1.3-1.fc45`.
    pub(super) version: String,
    pub(super) purl: String,
    pub(super) source: Option<Source>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    /// `qemu`.
    pub(super) name: String,
    /// `11.1.3-1.fc45`.
    pub(super) version: String,
    /// Its file, where its distribution has one for all of it.
    pub(super) file: Option<String>,
    pub(super) purl: String,
    /// Where it is for good, if that is known.
    pub(super) address: Option<String>,
}

pub(super) fn of(verified: &VerifiedPackage, origin: &str) -> Name {
    if verified.source.ends_with(".src.rpm") { rpm(verified, origin) } else { deb(verified, origin) }
}

pub(crate) fn source_address(verified: &VerifiedPackage, origin: &str) -> Option<String> {
    of(verified, origin).source?.address
}

fn rpm(verified: &VerifiedPackage, origin: &str) -> Name {
    let nevra = Nevra::parse(&verified.nevra);
    let epoch = Some(nevra.epoch()).filter(|epoch| !epoch.is_empty() && *epoch != "0");
    let release = format!("{}-{}", nevra.version(), nevra.release());
    // The distribution's mark in the release says whose package it is, whatever mirror it came from.
    let namespace = if nevra.release().contains(".fc") { "fedora/" } else { "" };
    let mut purl = format!("pkg:rpm/{namespace}{}@{}?arch={}", escape(nevra.name()), escape(&release), nevra.arch());
    if let Some(epoch) = epoch {
        // Writing to a String cannot fail.
        let _ = write!(purl, "&epoch={epoch}");
    }
    let _ = write!(purl, "&upstream={}", escape(&verified.source));
    let source = rpm_source(&verified.source, namespace, origin);
    let version = epoch.map_or_else(|| release.clone(), |epoch| format!("{epoch}:{release}"));
    Name { name: nevra.name().into(), version, purl, source }
}

/// Of `qemu-11.1.3-1.fc45.src.rpm`.
fn rpm_source(source: &str, namespace: &str, origin: &str) -> Option<Source> {
    let (name, version, release) = source_parts(source)?;
    let is_fedoras = origin.starts_with("Fedora ");
    Some(Source {
        name: name.into(),
        version: format!("{version}-{release}"),
        file: Some(source.into()),
        purl: format!("pkg:rpm/{namespace}{}@{}?arch=src", escape(name), escape(&format!("{version}-{release}"))),
        address: is_fedoras.then(|| {
            let [name, version, release] = [name, version, release].map(escape);
            format!("{KOJI}/{name}/{version}/{release}/src/{name}-{version}-{release}.src.rpm")
        }),
    })
}

/// Of `qemu-user-static_1:7.2+dfsg-7_amd64`, built from `qemu_1:7.2+dfsg-7`.
fn deb(verified: &VerifiedPackage, origin: &str) -> Name {
    let namespace = if origin.starts_with("Ubuntu") { "ubuntu" } else { "debian" };
    let purl = |name: &str, version: &str, arch: &str| {
        format!("pkg:deb/{namespace}/{}@{}?arch={}", escape(name), escape(version), escape(arch))
    };
    // Neither names nor versions nor architectures of Debian's hold an underscore.
    let mut parts = verified.nevra.splitn(3, '_');
    let [name, version, arch] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let source = verified.source.split_once('_').map(|(name, version)| Source {
        name: name.into(),
        version: version.into(),
        file: None,
        purl: purl(name, version, "source"),
        address: None,
    });
    Name { name: name.into(), version: version.into(), purl: purl(name, version, arch), source }
}

/// Escapes what may not stand as it is in a package URL or in an address's path.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::digest::Sha256;

    fn verified(nevra: &str, source: &str) -> VerifiedPackage {
        VerifiedPackage {
            nevra: nevra.into(),
            version: String::new(),
            source: source.into(),
            license: String::new(),
            sha256: Sha256::of(b""),
            size: 0,
            signer: None,
            vendor: String::new(),
            build_time: 0,
        }
    }

    #[test]
    fn packages_have_their_names_elsewhere() {
        for (nevra, source, origin, name, version, purl) in [
            (
                "qemu-user-static-arm-2:11.1.3-1.fc45.x86_64",
                "qemu-11.1.3-1.fc45.src.rpm",
                "Fedora 45",
                "qemu-user-static-arm",
                "2:11.1.3-1.fc45",
                "pkg:rpm/fedora/qemu-user-static-arm@11.1.3-1.fc45?arch=x86_64&epoch=2&upstream=qemu-11.1.3-1.fc45.src.rpm",
            ),
            (
                "qemu-user-static-aarch64_be-0:11.1.0~rc1-1.x86_64",
                "qemu-11.1.0~rc1-1.src.rpm",
                "/srv",
                "qemu-user-static-aarch64_be",
                "11.1.0~rc1-1",
                "pkg:rpm/qemu-user-static-aarch64_be@11.1.0~rc1-1?arch=x86_64&upstream=qemu-11.1.0~rc1-1.src.rpm",
            ),
            (
                "qemu-user-static_1:7.2+dfsg-7+deb12u18_amd64",
                "qemu_1:7.2+dfsg-7+deb12u18",
                "Debian GNU/Linux 12 (bookworm)",
                "qemu-user-static",
                "1:7.2+dfsg-7+deb12u18",
                "pkg:deb/debian/qemu-user-static@1:7.2%2Bdfsg-7%2Bdeb12u18?arch=amd64",
            ),
            (
                "qemu-user_1:10.1-2_arm64",
                "qemu_1:10.1-2",
                "Ubuntu 26.04 LTS",
                "qemu-user",
                "1:10.1-2",
                "pkg:deb/ubuntu/qemu-user@1:10.1-2?arch=arm64",
            ),
        ] {
            let found = of(&verified(nevra, source), origin);
            assert_eq!((&*found.name, &*found.version, &*found.purl), (name, version, purl));
        }
    }

    #[test]
    fn sources_of_fedoras_packages_have_an_address() {
        let nevra = "qemu-user-static-arm-2:11.1.3-1.fc45.x86_64";
        let address = "https://kojipkgs.fedoraproject.org/packages/qemu/11.1.3/1.fc45/src/qemu-11.1.3-1.fc45.src.rpm";
        let source = "qemu-11.1.3-1.fc45.src.rpm";
        for (source, origin, expected) in [
            (source, "Fedora 45", Some(address)),
            (source, "https://mirror.example/os", None),
            ("qemu_1:7.2-1", "Debian GNU/Linux 12 (bookworm)", None),
            ("qemu.src.rpm", "Fedora 45", None),
        ] {
            assert_eq!(source_address(&verified(nevra, source), origin).as_deref(), expected, "{source} of {origin}");
        }
        let found = of(&verified(nevra, source), "Fedora 45").source.expect("a source");
        assert_eq!((&*found.name, &*found.version), ("qemu", "11.1.3-1.fc45"));
        assert_eq!(found.purl, "pkg:rpm/fedora/qemu@11.1.3-1.fc45?arch=src");
    }
}
