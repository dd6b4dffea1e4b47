//! RPM repositories: metadata, choice, packages side by side.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;

use super::{Plan, Request};
use crate::download::{Fetcher, Location, Mirrors};
use crate::output::progress;
use crate::repo::primary;
use crate::repo::repo_package::RepoPackage;
use crate::repo::resolved_package::ResolvedPackage;
use crate::repo::{check_base, repomd, resolve};
use crate::system::parallel;
use crate::verify::digest::ExpectedDigest;
use crate::verify::package::Package;

/// How many packages are fetched at once; more would only be rude to a mirror.
const CONNECTIONS: usize = 4;

pub(super) const INDEX: &str = "repodata/repomd.xml";

#[derive(Debug)]
pub(super) struct Repository {
    pub(super) id: String,
    pub(super) mirrors: Mirrors,
    /// What its index may be, the newest first; without, whatever its first mirror gives.
    pub(super) versions: Vec<ExpectedDigest>,
}

/// The packages of the closure, of several repositories that belong together: the newest of each.
pub(super) fn resolve(repositories: &[Repository], host: &str, fetcher: &Fetcher) -> Result<Vec<ResolvedPackage>> {
    let mut entries = Vec::new();
    for (index, repository) in repositories.iter().enumerate() {
        let list = list(repository, resolve::ROOT, fetcher)?;
        entries.extend(list.into_iter().map(|entry| RepoPackage { repository: index, ..entry }));
    }
    let chosen = resolve::resolve(entries, host).with_context(|| {
        let names: Vec<_> = repositories.iter().map(|repository| repository.id.as_str()).collect();
        format!("choosing packages of {}", names.join(" and "))
    })?;
    chosen.iter().map(|entry| ResolvedPackage::of(entry, &repositories[entry.repository].id)).collect()
}

/// What of a repository's list has a name that begins with `prefix`.
pub(super) fn list(repository: &Repository, prefix: &str, fetcher: &Fetcher) -> Result<Vec<RepoPackage>> {
    let mirrors = &repository.mirrors;
    let index = index(repository, fetcher)?;
    let name = mirrors.first().of(INDEX);
    let primary = repomd::primary(&index).with_context(|| format!("reading {name}"))?;
    let progress = progress::bytes(primary.expected.size, "fetching the list");
    let elsewhere = elsewhere(primary.base, repository).with_context(|| format!("reading {name}"))?;
    let mirrors = elsewhere.as_ref().unwrap_or(mirrors);
    let path = fetcher.file(mirrors, &primary.href, &primary.expected, &progress)?;
    let context = || format!("reading {}", mirrors.first().of(&primary.href));
    let algorithm = primary.expected.digest.algorithm;
    fetcher.log_verified(&format!("{} of {}: size and {algorithm} as repomd.xml says", primary.href, repository.id));
    let file = std::fs::File::open(&path).with_context(context)?;
    primary::packages(file, primary.decompressed_size, prefix).with_context(context)
}

/// The repository's index, as the metalink promises it where there is one.
fn index(repository: &Repository, fetcher: &Fetcher) -> Result<Vec<u8>> {
    let (id, mirrors) = (&repository.id, &repository.mirrors);
    if repository.versions.is_empty() {
        if fetcher.options.verbose {
            eprintln!("unproven: repomd.xml of {id}: nothing vouches for it");
        }
        return fetcher.fetch_unpinned(mirrors.first(), INDEX);
    }
    let (index, which) = fetcher
        .fetch_any_of(mirrors, INDEX, &repository.versions)
        .with_context(|| format!("no mirror has an index of {id} that the metalink lists"))?;
    if which > 0 {
        // Mirrors that are a little behind, which the metalink allows for.
        fetcher.warn(&format!("{id} is an older one, which the metalink still lists: no mirror gives the newest"));
    }
    let algorithm = repository.versions[which].digest.algorithm;
    fetcher.log_verified(&format!("repomd.xml of {id}: size and {algorithm} as the metalink says"));
    Ok(index)
}

/// The mirrors for a file whose metadata have `xml:base`. Metadata that came by https must not lead to http.
pub(super) fn elsewhere(base: Option<Location>, repository: &Repository) -> Result<Option<Mirrors>> {
    let Some(base) = base else { return Ok(None) };
    let is_https = |location: &Location| location.name().starts_with("https://");
    if is_https(repository.mirrors.first()) && !is_https(&base) {
        let (location, id) = (base.name(), &repository.id);
        bail!(
            "metadata of {id} name the place {location} for files (xml:base): what came by https must not lead to http"
        );
    }
    Ok(Some(base.into()))
}

pub(super) fn of_location(location: &Location) -> Repository {
    Repository { id: location.name(), mirrors: location.clone().into(), versions: Vec::new() }
}

pub(super) fn fetch(plan: &Plan, request: &Request, fetcher: &Fetcher) -> Result<Vec<Package>> {
    let wanted: Vec<_> = plan.packages.iter().filter(|chosen| chosen.is_wanted(&request.targets)).collect();
    let total = wanted.iter().map(|chosen| chosen.expected.size).fold(0, u64::saturating_add);
    let progress = progress::bytes(total, "fetching packages");
    parallel::each(&wanted, CONNECTIONS, |chosen| {
        let path = file(plan, chosen, fetcher, &progress)?;
        Ok(Package {
            name: chosen.name.clone(),
            nevra: Some(chosen.nevra.clone()),
            expected: Some(chosen.expected.clone()),
            path,
            stated: None,
        })
    })
}

fn file(plan: &Plan, chosen: &ResolvedPackage, fetcher: &Fetcher, progress: &ProgressBar) -> Result<PathBuf> {
    let Some(repository) = plan.repositories.iter().find(|repository| repository.id == chosen.repository) else {
        bail!("package {} is of a repository that is not known: {}", chosen.nevra, chosen.repository);
    };
    let base = chosen.base.as_deref().map(check_base).transpose()?;
    let elsewhere = elsewhere(base, repository).with_context(|| format!("fetching {}", chosen.nevra))?;
    let mirrors = elsewhere.as_ref().unwrap_or(&repository.mirrors);
    // Where it is, it is verified when it is opened; once is enough.
    if let Location::Folder(folder) = mirrors.first() {
        let path = folder.join(&chosen.href);
        // A pipe would be waited for.
        let kind = std::fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(kind.is_file(), "{} is not a plain file", path.display());
        return Ok(path);
    }
    let failure = match fetcher.file(mirrors, &chosen.href, &chosen.expected, progress) {
        Ok(path) => return Ok(path),
        Err(failure) => failure,
    };
    let Some(koji) = &plan.koji else { return Err(failure) };
    let elsewhere = koji.paths(chosen)?.into_iter().find_map(|path| {
        let path = fetcher.file(&koji.mirrors, &path, &chosen.expected, progress).ok()?;
        fetcher.log_verified(&format!(
            "{}: from Koji, size and {} as locked",
            chosen.nevra, chosen.expected.digest.algorithm
        ));
        Some(path)
    });
    elsewhere.ok_or(failure)
}

#[cfg(test)]
mod tests {
    use super::{Location, elsewhere, of_location};

    #[test]
    fn what_came_by_https_does_not_lead_to_http() {
        for (repository, base, is_good) in [
            ("https://a/os", "https://b/os", true),
            ("https://a/os", "http://b/os", false),
            ("http://a/os", "http://b/os", true),
            ("http://a/os", "https://b/os", true),
            ("/srv/os", "http://b/os", true),
        ] {
            let base = Location::parse(base);
            match elsewhere(Some(base.clone()), &of_location(&Location::parse(repository))) {
                Ok(mirrors) => assert!(is_good && mirrors.expect("a place").first() == &base, "{repository} {base:?}"),
                Err(error) => assert!(!is_good && error.to_string().contains("https must not lead to http"), "{error}"),
            }
        }
        assert!(elsewhere(None, &of_location(&Location::parse("https://a"))).expect("nothing").is_none());
    }
}
