//! How an image is run, and what is said of it: its configuration, labels and annotations.

use anyhow::Result;
use serde_json::{Value, json};

use super::contents::Contents;
use super::layer::Layer;
use super::spec::{Annotations, Platform};
use crate::build::sbom::time;
use crate::system::host::Host;

/// Licenses of all that is in it, as in the Containerfile.
const LICENSES: &str = "(MIT OR Apache-2.0) AND GPL-2.0-only AND LGPL-2.1-or-later";

const LAYERS: [&str; 2] = ["QEMU's emulators", "registrar, license files, packages, SBOM"];

/// As tonistiigi/binfmt's published image has it, for those who call this one by its command line. As in the Containerfile.
const ENVIRONMENT: [&str; 1] = ["QEMU_PRESERVE_ARGV0=1"];

pub(super) fn labels(contents: &Contents) -> Result<Annotations> {
    let mut labels: Annotations = [
        ("title", "registrar"),
        ("description", "Registers QEMU's user-mode emulators with binfmt_misc"),
        ("licenses", LICENSES),
        ("version", &contents.version),
        ("base.name", "scratch"),
        ("created", &time(contents.created)?),
    ]
    .map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_owned()))
    .into();
    let source = Some(env!("CARGO_PKG_REPOSITORY").to_owned()).filter(|source| !source.is_empty());
    for (key, value) in [("source", &source), ("revision", &contents.revision)] {
        if let Some(value) = value {
            labels.insert(format!("org.opencontainers.image.{key}"), value.clone());
        }
    }
    labels.insert("registrar.qemu.origin".into(), contents.origin.clone());
    labels.extend(contents.registrar.clone().map(|version| ("registrar.version".into(), version)));
    Ok(labels)
}

pub(super) fn config(contents: &Contents, layers: &[Layer]) -> Result<Value> {
    let created = time(contents.created)?;
    let Platform { architecture, os } = platform(contents.host);
    let history =
        LAYERS.map(|comment| json!({ "created": created, "created_by": "cargo xtask image", "comment": comment }));
    let diff_ids: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
    Ok(json!({
        "created": created,
        "architecture": architecture,
        "os": os,
        "config": {
            "Entrypoint": ["/registrar"],
            "Env": ENVIRONMENT,
            "WorkingDir": "/",
            "Labels": labels(contents)?,
        },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    }))
}

/// A host as engines name it.
pub(super) fn platform(host: Host) -> Platform {
    let platform = host.target().map_or_else(|| host.name.to_owned(), |target| target.platform());
    Platform { architecture: platform.trim_start_matches("linux/").into(), os: "linux".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_the_names_that_engines_give_them() {
        for (host, architecture) in
            [("aarch64", "arm64"), ("ppc64le", "ppc64le"), ("s390x", "s390x"), ("x86_64", "amd64")]
        {
            let host = Host::named(Some(host)).expect("a host");
            assert_eq!(platform(host), Platform { architecture: architecture.into(), os: "linux".into() });
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(time(0).expect("a time"), "1970-01-01T00:00:00Z");
        assert_eq!(time(1_790_000_000).expect("a time"), "2026-09-21T14:13:20Z");
        time(u64::MAX).expect_err("a time after all times");
    }
}
