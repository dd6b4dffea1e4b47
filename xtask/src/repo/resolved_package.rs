//! A package that is wanted, as its repository's list describes it: what is fetched, and what `fetch.lock` holds.

use anyhow::{Context, Result, ensure};
use codegen::table::Emulator;
use serde::{Deserialize, Serialize};

use super::repo_package::RepoPackage;
use super::{MAX_FILE, check_base, validate_relative_path, validate_rpm_token};
use crate::download::Location;
use crate::verify::digest::ExpectedDigest;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResolvedPackage {
    pub(crate) name: String,
    /// Name, epoch, version, release, architecture: `qemu-user-static-arm-2:11.1.3-1.fc45.x86_64`.
    pub(crate) nevra: String,
    pub(crate) version: String,
    pub(crate) source: String,
    #[serde(flatten)]
    pub(crate) expected: ExpectedDigest,
    pub(crate) repository: String,
    /// Path below the repository's root, or below [`ResolvedPackage::base`].
    pub(crate) href: String,
    /// The URL below which it is, if not in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<String>,
    /// QEMU's names of the targets whose emulators it holds, as the list says; sorted.
    pub(crate) targets: Vec<String>,
}

impl ResolvedPackage {
    pub(crate) fn of(entry: &RepoPackage, repository: &str) -> Result<Self> {
        let expected = entry.expected.clone().with_context(|| format!("nothing is promised of {}", entry.name))?;
        let emulators = entry.files.iter().filter_map(|path| Emulator::from_file_name(path.strip_prefix("/usr/bin/")?));
        let mut targets: Vec<_> = emulators.map(|emulator| emulator.target).collect();
        targets.sort();
        targets.dedup();
        Ok(Self {
            name: entry.name.clone(),
            nevra: format!("{}-{}:{}-{}.{}", entry.name, entry.epoch, entry.version, entry.release, entry.arch),
            version: entry.version.clone(),
            source: entry.source_rpm.clone(),
            expected,
            repository: repository.into(),
            href: entry.href.clone(),
            base: entry.base.as_ref().map(Location::name),
            targets,
        })
    }

    /// Whether it matters for the wanted targets: it holds one of their emulators, or none at all (license files).
    pub(crate) fn is_wanted(&self, targets: &[String]) -> bool {
        targets.is_empty() || self.targets.is_empty() || self.targets.iter().any(|target| targets.contains(target))
    }

    /// That everything is what such packages have: `fetch.lock` is a file that anybody may have written.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { name, nevra, version, source, expected, repository, href, base, targets } = self;
        validate_rpm_token(name)?;
        validate_rpm_token(version)?;
        let words = nevra_words(nevra).filter(|words| (words[0], words[2]) == (name, version));
        let words = words.with_context(|| format!("{nevra:?} is no full name of the package {name} {version}"))?;
        for word in words {
            validate_rpm_token(word)?;
        }
        // A list may leave it out.
        if !source.is_empty() {
            validate_rpm_token(source)?;
        }
        validate_relative_path(href)?;
        if let Some(base) = base {
            check_base(base)?;
        }
        for target in targets {
            let emulator = Emulator::from_file_name(&format!("qemu-{target}-static"));
            ensure!(emulator.is_some_and(|emulator| emulator.target == *target), "{target:?} is no target of QEMU's");
        }
        let plain = !repository.is_empty() && !repository.contains(char::is_control);
        ensure!(plain, "{repository:?} is no repository of the package {name}");
        let size = expected.size;
        ensure!(size <= MAX_FILE, "{name} is to have {size} bytes, which no package has (at most {MAX_FILE})");
        Ok(())
    }

    /// What tells two builds of a package apart: `2:11.1.3-1.fc45`.
    pub(crate) fn evr(&self) -> &str {
        let end = self.nevra.strip_prefix(self.name.as_str()).unwrap_or(&self.nevra);
        let end = end.trim_start_matches('-');
        end.rsplit_once('.').map_or(end, |(evr, _)| evr)
    }
}

fn nevra_words(nevra: &str) -> Option<[&str; 5]> {
    let (start, arch) = nevra.rsplit_once('.')?;
    let (start, release) = start.rsplit_once('-')?;
    let (start, version) = start.rsplit_once(':')?;
    let (name, epoch) = start.rsplit_once('-')?;
    Some([name, epoch, version, release, arch])
}

/// `qemu`, `11.1.3` and `1.fc45` of `qemu-11.1.3-1.fc45.src.rpm`.
pub(crate) fn source_parts(source: &str) -> Option<(&str, &str, &str)> {
    let (rest, release) = source.strip_suffix(".src.rpm")?.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name, version, release))
}

#[cfg(test)]
mod tests {
    use super::{MAX_FILE, ResolvedPackage};
    use crate::verify::digest::{Algorithm, ExpectedDigest, Sha256};

    fn chosen() -> ResolvedPackage {
        ResolvedPackage {
            name: "qemu-user-static-arm".into(),
            nevra: "qemu-user-static-arm-2:11.1.3-1.fc45.x86_64".into(),
            version: "11.1.3".into(),
            source: "qemu-11.1.3-1.fc45.src.rpm".into(),
            expected: ExpectedDigest { digest: Sha256::of(b"").into(), size: MAX_FILE },
            repository: "/packages of mine".into(),
            href: "Packages/q/arm.rpm".into(),
            base: None,
            targets: vec!["arm".into(), "x86_64".into()],
        }
    }

    #[test]
    fn a_lock_names_the_kind_of_digest() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let expected = ExpectedDigest { digest: algorithm.of(b""), ..chosen().expected };
            let locked = ResolvedPackage { expected, base: Some("https://pool".into()), ..chosen() };
            let text = serde_json::to_string(&locked).expect("JSON");
            assert!(text.contains(&format!("\"{}\":\"", algorithm.in_metadata())), "{text}");
            assert_eq!(serde_json::from_str::<ResolvedPackage>(&text).expect("the same"), locked);
            serde_json::from_str::<ResolvedPackage>(&text.replace("\":\"", "\":\"0")).expect_err("no digest");
            serde_json::from_str::<ResolvedPackage>(&text.replace("\"sha", "\"SHA")).expect_err("no digest");
        }
    }

    #[test]
    fn what_is_locked_is_what_packages_have() {
        chosen().check().expect("a package");
        ResolvedPackage { source: String::new(), targets: Vec::new(), ..chosen() }
            .check()
            .expect("with less said of it");
        let nevra = |nevra: &str| ResolvedPackage { nevra: nevra.into(), ..chosen() };
        let target = |target: &str| ResolvedPackage { targets: vec!["arm".into(), target.into()], ..chosen() };
        let repository = |repository: &str| ResolvedPackage { repository: repository.into(), ..chosen() };
        let expected = ExpectedDigest { size: MAX_FILE + 1, ..chosen().expected };
        for (what, wrong, expected) in [
            (
                "no name",
                ResolvedPackage { name: String::new(), nevra: "-2:11.1.3-1.x86_64".into(), ..chosen() },
                "no name or",
            ),
            (
                "version",
                ResolvedPackage { version: "../1".into(), nevra: "a-2:../1-1.x86_64".into(), ..chosen() },
                "no name or",
            ),
            ("empty", nevra(""), "no full name"),
            ("of another package", nevra("qemu-user-static-alpha-2:11.1.3-1.fc45.x86_64"), "no full name"),
            ("of another version", nevra("qemu-user-static-arm-2:11.1.4-1.fc45.x86_64"), "no full name"),
            ("no epoch", nevra("qemu-user-static-arm-11.1.3-1.fc45.x86_64"), "no full name"),
            ("empty epoch", nevra("qemu-user-static-arm-:11.1.3-1.fc45.x86_64"), "no name or"),
            ("empty release", nevra("qemu-user-static-arm-2:11.1.3-.x86_64"), "no name or"),
            ("release", nevra("qemu-user-static-arm-2:11.1.3-\u{1b}[2J.x86_64"), "no name or"),
            ("architecture", nevra("qemu-user-static-arm-2:11.1.3-1.fc45.x86_64\n"), "no name or"),
            ("climbing", nevra("qemu-user-static-arm-2:11.1.3-1.fc45./etc"), "no name or"),
            ("source", ResolvedPackage { source: "qemu 11".into(), ..chosen() }, "no name or"),
            ("base", ResolvedPackage { base: Some("file:///pool".into()), ..chosen() }, "no http or https URL"),
            ("href", ResolvedPackage { href: "../arm.rpm".into(), ..chosen() }, "not a plain path"),
            ("empty target", target(""), "no target"),
            ("path as target", target("../arm"), "no target"),
            ("line as target", target("arm\n"), "no target"),
            ("file as target", target("arm-static"), "no target"),
            ("no repository", repository(""), "no repository"),
            ("two lines of repository", repository("fedora\nproven"), "no repository"),
            ("size", ResolvedPackage { expected, ..chosen() }, "which no package has"),
        ] {
            let error = format!("{:#}", wrong.check().expect_err(what));
            assert!(error.contains(expected) && !error.contains(char::is_control), "{what}: {error}");
        }
    }
}
