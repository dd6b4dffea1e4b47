//! A package that is wanted, as its repository's list describes it: what is fetched, and what `fetch.lock` holds.

use anyhow::{Context, Result, ensure};
use codegen::table::Emulator;
use serde::{Deserialize, Serialize};

use super::primary::Entry;
use super::{LARGEST_FILE, Promise, check_base, check_href, check_word};
use crate::download::Location;

/// One wanted package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Its name.
    pub name: String,
    /// Name, epoch, version, release, architecture: `qemu-user-static-arm-2:11.1.3-1.fc45.x86_64`.
    pub nevra: String,
    /// QEMU's version alone.
    pub version: String,
    /// The source package: `qemu-11.1.3-1.fc45.src.rpm`.
    pub source: String,
    /// What the file must be.
    #[serde(flatten)]
    pub promise: Promise,
    /// Which repository lists it.
    pub repository: String,
    /// Path below the repository's root, or below [`Chosen::base`].
    pub href: String,
    /// The URL below which it is, if not in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// QEMU's names of the targets whose emulators it holds, as the list says; sorted.
    pub targets: Vec<String>,
}

impl Chosen {
    /// Of an entry of a repository's list.
    ///
    /// # Errors
    /// If the list promises nothing of the package.
    pub fn of(entry: &Entry, repository: &str) -> Result<Self> {
        let promise = entry.promise.clone().with_context(|| format!("nothing is promised of {}", entry.name))?;
        let emulators = entry.files.iter().filter_map(|path| Emulator::from_file_name(path.strip_prefix("/usr/bin/")?));
        let mut targets: Vec<_> = emulators.map(|emulator| emulator.target).collect();
        targets.sort();
        targets.dedup();
        Ok(Self {
            name: entry.name.clone(),
            nevra: format!("{}-{}:{}-{}.{}", entry.name, entry.epoch, entry.version, entry.release, entry.arch),
            version: entry.version.clone(),
            source: entry.source_rpm.clone(),
            promise,
            repository: repository.into(),
            href: entry.href.clone(),
            base: entry.base.as_ref().map(Location::name),
            targets,
        })
    }

    /// Whether it matters for the wanted targets: it holds one of their emulators, or none at all (licence texts).
    pub fn is_wanted(&self, targets: &[String]) -> bool {
        targets.is_empty() || self.targets.is_empty() || self.targets.iter().any(|target| targets.contains(target))
    }

    /// That everything is what such packages have: `fetch.lock` is a file that anybody may have written.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<()> {
        let Self { name, nevra, version, source, promise, repository, href, base, targets } = self;
        check_word(name)?;
        check_word(version)?;
        let words = nevra_words(nevra).filter(|words| (words[0], words[2]) == (name, version));
        let words = words.with_context(|| format!("{nevra:?} is no full name of the package {name} {version}"))?;
        for word in words {
            check_word(word)?;
        }
        // A list may leave it out.
        if !source.is_empty() {
            check_word(source)?;
        }
        check_href(href)?;
        if let Some(base) = base {
            check_base(base)?;
        }
        for target in targets {
            let emulator = Emulator::from_file_name(&format!("qemu-{target}-static"));
            ensure!(emulator.is_some_and(|emulator| emulator.target == *target), "{target:?} is no target of QEMU's");
        }
        let plain = !repository.is_empty() && !repository.contains(char::is_control);
        ensure!(plain, "{repository:?} is no repository of the package {name}");
        let size = promise.size;
        ensure!(size <= LARGEST_FILE, "{name} is to have {size} bytes, which no package has (at most {LARGEST_FILE})");
        Ok(())
    }

    /// What tells two builds of a package apart: `2:11.1.3-1.fc45`.
    pub fn evr(&self) -> &str {
        let end = self.nevra.strip_prefix(self.name.as_str()).unwrap_or(&self.nevra);
        let end = end.trim_start_matches('-');
        end.rsplit_once('.').map_or(end, |(evr, _)| evr)
    }
}

/// Name, epoch, version, release, and architecture.
fn nevra_words(nevra: &str) -> Option<[&str; 5]> {
    let (start, arch) = nevra.rsplit_once('.')?;
    let (start, release) = start.rsplit_once('-')?;
    let (start, version) = start.rsplit_once(':')?;
    let (name, epoch) = start.rsplit_once('-')?;
    Some([name, epoch, version, release, arch])
}

#[cfg(test)]
mod tests {
    use super::{Chosen, LARGEST_FILE, Promise};
    use crate::digest::{Algorithm, Sha256};

    fn chosen() -> Chosen {
        Chosen {
            name: "qemu-user-static-arm".into(),
            nevra: "qemu-user-static-arm-2:11.1.3-1.fc45.x86_64".into(),
            version: "11.1.3".into(),
            source: "qemu-11.1.3-1.fc45.src.rpm".into(),
            promise: Promise { digest: Sha256::of(b"").into(), size: LARGEST_FILE },
            repository: "/packages of mine".into(),
            href: "Packages/q/arm.rpm".into(),
            base: None,
            targets: vec!["arm".into(), "x86_64".into()],
        }
    }

    #[test]
    fn a_lock_names_the_kind_of_digest() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let promise = Promise { digest: algorithm.of(b""), ..chosen().promise };
            let locked = Chosen { promise, base: Some("https://pool".into()), ..chosen() };
            let text = serde_json::to_string(&locked).expect("JSON");
            assert!(text.contains(&format!("\"{}\":\"", algorithm.in_metadata())), "{text}");
            assert_eq!(serde_json::from_str::<Chosen>(&text).expect("the same"), locked);
            serde_json::from_str::<Chosen>(&text.replace("\":\"", "\":\"0")).expect_err("no digest");
            serde_json::from_str::<Chosen>(&text.replace("\"sha", "\"SHA")).expect_err("no digest");
        }
    }

    #[test]
    fn what_is_locked_is_what_packages_have() {
        chosen().check().expect("a package");
        Chosen { source: String::new(), targets: Vec::new(), ..chosen() }.check().expect("with less said of it");
        let nevra = |nevra: &str| Chosen { nevra: nevra.into(), ..chosen() };
        let target = |target: &str| Chosen { targets: vec!["arm".into(), target.into()], ..chosen() };
        let repository = |repository: &str| Chosen { repository: repository.into(), ..chosen() };
        let promise = Promise { size: LARGEST_FILE + 1, ..chosen().promise };
        for (what, wrong, expected) in [
            ("no name", Chosen { name: String::new(), nevra: "-2:11.1.3-1.x86_64".into(), ..chosen() }, "no name or"),
            ("version", Chosen { version: "../1".into(), nevra: "a-2:../1-1.x86_64".into(), ..chosen() }, "no name or"),
            ("empty", nevra(""), "no full name"),
            ("of another package", nevra("qemu-user-static-alpha-2:11.1.3-1.fc45.x86_64"), "no full name"),
            ("of another version", nevra("qemu-user-static-arm-2:11.1.4-1.fc45.x86_64"), "no full name"),
            ("no epoch", nevra("qemu-user-static-arm-11.1.3-1.fc45.x86_64"), "no full name"),
            ("empty epoch", nevra("qemu-user-static-arm-:11.1.3-1.fc45.x86_64"), "no name or"),
            ("empty release", nevra("qemu-user-static-arm-2:11.1.3-.x86_64"), "no name or"),
            ("release", nevra("qemu-user-static-arm-2:11.1.3-\u{1b}[2J.x86_64"), "no name or"),
            ("architecture", nevra("qemu-user-static-arm-2:11.1.3-1.fc45.x86_64\n"), "no name or"),
            ("climbing", nevra("qemu-user-static-arm-2:11.1.3-1.fc45./etc"), "no name or"),
            ("source", Chosen { source: "qemu 11".into(), ..chosen() }, "no name or"),
            ("base", Chosen { base: Some("file:///pool".into()), ..chosen() }, "no http or https URL"),
            ("href", Chosen { href: "../arm.rpm".into(), ..chosen() }, "not a plain path"),
            ("empty target", target(""), "no target"),
            ("path as target", target("../arm"), "no target"),
            ("line as target", target("arm\n"), "no target"),
            ("file as target", target("arm-static"), "no target"),
            ("no repository", repository(""), "no repository"),
            ("two lines of repository", repository("fedora\nproven"), "no repository"),
            ("size", Chosen { promise, ..chosen() }, "which no package has"),
        ] {
            let error = format!("{:#}", wrong.check().expect_err(what));
            assert!(error.contains(expected) && !error.contains(char::is_control), "{what}: {error}");
        }
    }
}
