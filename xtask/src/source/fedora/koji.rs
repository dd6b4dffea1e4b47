//! Fedora's build system keeps signed builds that mirrors have dropped: what `--locked` asks for years later.

use anyhow::{Context, Result};

use crate::download::Mirrors;
use crate::repo::resolved_package::{ResolvedPackage, source_parts};

#[derive(Debug)]
pub(in crate::source) struct Koji {
    pub(in crate::source) mirrors: Mirrors,
    pub(super) fingerprints: Vec<String>,
}

impl Koji {
    pub(in crate::source) fn paths(&self, chosen: &ResolvedPackage) -> Result<Vec<String>> {
        let (name, version, release) = source_parts(&chosen.source)
            .with_context(|| format!("{:?} is no name of a source package", chosen.source))?;
        let arch = chosen.nevra.rsplit('.').next().unwrap_or_default();
        let file = chosen.href.rsplit('/').next().unwrap_or(&chosen.href);
        // A key goes by the end of its fingerprint.
        let keys = self.fingerprints.iter().filter_map(|fingerprint| fingerprint.get(fingerprint.len().max(8) - 8..));
        let path =
            |key: &str| format!("{name}/{version}/{release}/data/signed/{}/{arch}/{file}", key.to_ascii_lowercase());
        Ok(keys.map(path).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::Location;
    use crate::verify::digest::{ExpectedDigest, Sha256};

    #[test]
    fn a_package_is_where_its_source_and_key_lead() {
        let fingerprints = vec!["4F50A6114CD5C6976A7F1179655A4B02F577861E".into()];
        let koji = Koji { mirrors: Location::parse("https://koji").into(), fingerprints };
        let mut chosen = ResolvedPackage {
            name: "qemu-user-static-arm".into(),
            nevra: "qemu-user-static-arm-2:11.1.3-1.fc45.x86_64".into(),
            version: "11.1.3".into(),
            source: "qemu-11.1.3-1.fc45.src.rpm".into(),
            expected: ExpectedDigest { digest: Sha256::of(b"").into(), size: 0 },
            repository: "updates-released-f45".into(),
            href: "Packages/q/qemu-user-static-arm-11.1.3-1.fc45.x86_64.rpm".into(),
            base: None,
            targets: Vec::new(),
        };
        assert_eq!(
            koji.paths(&chosen).expect("a path"),
            ["qemu/11.1.3/1.fc45/data/signed/f577861e/x86_64/qemu-user-static-arm-11.1.3-1.fc45.x86_64.rpm"]
        );
        assert_eq!(chosen.evr(), "2:11.1.3-1.fc45");
        chosen.source = "qemu".into();
        koji.paths(&chosen).expect_err("no source package");
    }
}
