//! Fedora's own servers: which release, its repositories by way of the metalink server, the keys that it is signed with.

use anyhow::{Context, Result};

use super::keyring_rpm;
use super::repository::{self, Repository};
use super::{Plan, Request};
use crate::download::{Fetcher, Location, Mirrors, Missing, NotCached, Unreachable};
use crate::output::progress;
use crate::repo::metalink;
use crate::repo::resolved_package::ResolvedPackage;
use crate::verify::{Keys, Trust};

use servers::Servers;

pub(super) use koji::Koji;
pub(crate) use release::parse_wanted;
pub use release::{KEYS, NEWEST_KNOWN, Release};

mod koji;
mod release;
mod servers;

/// How many mirrors of a metalink are made use of; it lists a hundred.
const MOST_MIRRORS: usize = 10;

const KEYRING: &str = "fedora.gpg";

/// Finds out which release is meant: the first contact, which alone tells whether Fedora can be reached.
pub(super) fn contact(request: &Request, fetcher: &Fetcher) -> Result<Release> {
    if let Some(release) = request.release {
        return Ok(release);
    }
    let servers = Servers::new(request.fedora_base_url.as_deref());
    let list = fetcher.fetch_unpinned(&servers.project(), "releases.json").context("asking Fedora for its releases");
    let error = match list.and_then(|list| release::newest(&list)) {
        Ok((release, newer)) => {
            if let Some(newer) = newer {
                fetcher.warn(&format!(
                    "Fedora {newer} is out, and this source does not know its key yet; taking {release}"
                ));
            }
            return Ok(release);
        }
        Err(error) => error,
    };
    let known = Release::Number(release::NEWEST_KNOWN);
    if is_out_of_reach(&error) {
        let first = &known.repositories(request.host.name)[0];
        let response = fetcher.fetch_unpinned(&servers.metalinks(), &servers::metalink(&first.id, request.host.name));
        if response.is_err_and(|error| is_out_of_reach(&error)) {
            return Err(error);
        }
    }
    fetcher.warn(&format!("taking Fedora {known}, the newest that this source knows: {error:#}"));
    Ok(known)
}

pub(super) fn is_out_of_reach(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Unreachable>() || cause.is::<NotCached>())
}

pub(super) fn plan(release: Release, request: &Request, fetcher: &Fetcher) -> Result<Plan> {
    let repositories = repositories(release, request, fetcher)?;
    let packages = repository::resolve(&repositories, request.host.name, fetcher)?;
    Ok(Plan { origin: origin(release), release: Some(release), repositories, packages, koji: None })
}

fn origin(release: Release) -> String {
    format!("Fedora {release}")
}

/// A release's repositories, each with where it can be had and what its index must be.
pub(super) fn repositories(release: Release, request: &Request, fetcher: &Fetcher) -> Result<Vec<Repository>> {
    let host = request.host.name;
    let repos = release.repositories(host).into_iter();
    repos.map(|repo| repository(release, repo, request, fetcher)).collect()
}

fn repository(release: Release, repo: release::Repo, request: &Request, fetcher: &Fetcher) -> Result<Repository> {
    let (host, servers) = (request.host.name, Servers::new(request.fedora_base_url.as_deref()));
    let unproven = |location: Location, why: &str| {
        eprintln!("unproven: the index of {}: {why}; the packages' signatures decide", repo.id);
        Repository { id: repo.id.clone(), mirrors: location.into(), versions: Vec::new() }
    };
    if let Some(mirror) = &request.mirror {
        return Ok(unproven(mirror.below(&repo.path), "it comes from --mirror, not by way of a metalink"));
    }
    let response = fetcher.fetch_unpinned(&servers.metalinks(), &servers::metalink(&repo.id, host));
    match response {
        Ok(document) => {
            let metalink = metalink::parse(&document)
                .with_context(|| format!("reading the metalink of {} for {host}", repo.id))?;
            fetcher.log_verified(&format!("metalink of {} for {host}: from {}", repo.id, servers.metalinks().name()));
            let places = metalink.mirrors.into_iter().take(MOST_MIRRORS).map(|mirror| Location::Url(mirror.url));
            let versions = std::iter::once(metalink.current).chain(metalink.alternates).collect();
            Ok(Repository { id: repo.id.clone(), mirrors: Mirrors::new(places.collect()), versions })
        }
        Err(error) if release.may_have_ended() && is_absent(&error) => {
            Ok(unproven(servers.archive(host).below(&repo.path), "it comes from the archive, which has no metalinks"))
        }
        Err(error) => {
            let doubt = if is_absent(&error) { " (is there such a release, for that host?)" } else { "" };
            Err(error.context(format!("asking for mirrors of Fedora {release}, {} for {host}{doubt}", repo.id)))
        }
    }
}

fn is_absent(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<Missing>().is_some_and(Missing::is_absent))
}

/// The keys that may sign a release: those that the user names, else those with the pinned fingerprints.
pub(super) fn trust(
    release: Release,
    repositories: &[Repository],
    request: &Request,
    fetcher: &Fetcher,
) -> Result<Trust> {
    if !request.keys.is_empty() {
        return Ok(Trust::Keys(Keys::from_files(&request.keys)?));
    }
    let fingerprints = fingerprints(release, request)?;
    let pinned = |keyrings: &[Vec<u8>], name: &str| Keys::pinned(keyrings, name, &fingerprints);
    let project = Servers::new(request.fedora_base_url.as_deref()).project();
    let name = project.of(KEYRING);
    // The fingerprint proves it, so what is kept is as good as what would be fetched, if it has all that may be needed.
    let kept = fetcher.cache.small(&name).and_then(|(keyring, _)| pinned(&[keyring], &name).ok());
    let is_enough = |keys: &Keys| keys.count() >= fingerprints.len() && !fetcher.options.refresh;
    let fetched = || fetcher.fetch_unpinned(&project, KEYRING).and_then(|keyring| pinned(&[keyring], &name));
    let packaged = || from_package(repositories, fetcher).and_then(|keyrings| pinned(&keyrings, keyring_rpm::NAME));
    let keys = match kept {
        Some(keys) if is_enough(&keys) => keys,
        Some(keys) => fetched().unwrap_or(keys),
        None => fetched().or_else(|error| packaged().map_err(|_| error))?,
    };
    fetcher.log_verified(&format!(
        "key {} of {}: it has the fingerprint that is wanted",
        keys.cache_key(),
        keys.names()
    ));
    Ok(Trust::Keys(keys))
}

/// Fingerprints of the keys that may sign a release: those that the user names, else the pinned ones.
fn fingerprints(release: Release, request: &Request) -> Result<Vec<String>> {
    match request.fingerprints.as_slice() {
        [] => release.fingerprints(),
        named => Ok(named.to_vec()),
    }
}

fn from_package(repositories: &[Repository], fetcher: &Fetcher) -> Result<Vec<Vec<u8>>> {
    let mut found = None;
    for repository in repositories {
        let entries = repository::list(repository, keyring_rpm::NAME, fetcher)?;
        found = entries
            .into_iter()
            .find(|entry| entry.name == keyring_rpm::NAME)
            .map(|entry| (entry, repository))
            .or(found);
    }
    let (entry, repository) = found.with_context(|| format!("no repository holds {}", keyring_rpm::NAME))?;
    let chosen = ResolvedPackage::of(&entry, &repository.id)?;
    let progress = progress::bytes(chosen.expected.size, "fetching the keys");
    let elsewhere = repository::elsewhere(entry.base.clone(), repository)?;
    let mirrors = elsewhere.as_ref().unwrap_or(&repository.mirrors);
    let path = fetcher.file(mirrors, &chosen.href, &chosen.expected, &progress)?;
    let file = std::fs::File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    keyring_rpm::keyrings(file, chosen.expected.size).with_context(|| format!("reading {}", chosen.nevra))
}

/// A plan from `fetch.lock`. No server is asked if all packages are in the cache.
pub(super) fn locked(
    release: Release,
    packages: Vec<ResolvedPackage>,
    request: &Request,
    fetcher: &Fetcher,
) -> Result<Plan> {
    let (host, servers) = (request.host.name, Servers::new(request.fedora_base_url.as_deref()));
    let is_there = |chosen: &ResolvedPackage| {
        !chosen.is_wanted(&request.targets) || fetcher.cache.file(&chosen.href, &chosen.expected).is_some()
    };
    // Of packages that are locked the metalink proves nothing, it only tells of mirrors.
    let known = || {
        let plain = |repo: release::Repo| Repository {
            id: repo.id,
            mirrors: Mirrors::new(vec![
                servers.downloads(host).below(&repo.path),
                servers.archive(host).below(&repo.path),
            ]),
            versions: Vec::new(),
        };
        release.repositories(host).into_iter().map(plain).collect()
    };
    let repositories = if fetcher.options.offline || packages.iter().all(is_there) {
        known()
    } else {
        repositories(release, request, fetcher).unwrap_or_else(|error| {
            fetcher.warn(&format!("asking Fedora's own servers for what is locked ({error:#})"));
            known()
        })
    };
    // With --key, a release may be one whose fingerprint is not known.
    let fingerprints = fingerprints(release, request).ok().filter(|_| !fetcher.options.offline);
    let koji = fingerprints.map(|fingerprints| Koji { mirrors: servers.koji().into(), fingerprints });
    Ok(Plan { origin: origin(release), release: Some(release), repositories, packages, koji })
}
