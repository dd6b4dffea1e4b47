//! RPM repositories in a folder or at a URL: metadata, choice, packages side by side.

use anyhow::{Context, Result};
use codegen::table::Emulator;

use super::Request;
use crate::download::{Fetcher, Location};
use crate::package::{Format, Package};
use crate::repo::primary::Entry;
use crate::repo::{closure, primary, repomd};
use crate::{parallel, progress};

/// How many packages are fetched at once; more would only be rude to a mirror.
const CONNECTIONS: usize = 4;

/// The wanted packages of one or several repositories that belong together, the newest of each.
pub(super) fn fetch(locations: &[Location], request: &Request, fetcher: &Fetcher) -> Result<Vec<Package>> {
    let mut entries = Vec::new();
    for (index, location) in locations.iter().enumerate() {
        entries.extend(list(location, fetcher)?.into_iter().map(|entry| (entry, index)));
    }
    let place = |wanted: &Entry| entries.iter().find(|(entry, _)| entry == wanted).map_or(0, |&(_, index)| index);
    let all = entries.iter().map(|(entry, _)| entry.clone()).collect();
    let mut chosen = closure::select(all, request.host.name)
        .with_context(|| format!("choosing packages of {}", locations[0].of("")))?;
    chosen.retain(|entry| is_wanted(entry, &request.targets));
    let sizes = chosen.iter().filter_map(|entry| entry.promise.as_ref()).map(|promise| promise.size);
    let bar = progress::bytes(sizes.fold(0, u64::saturating_add), "fetching packages");
    parallel::each(&chosen, CONNECTIONS, |entry| package(entry, &locations[place(entry)], fetcher, &bar))
}

/// The emulator packages that a repository lists.
fn list(location: &Location, fetcher: &Fetcher) -> Result<Vec<Entry>> {
    let repomd = fetcher.metadata(location, "repodata/repomd.xml")?;
    let primary =
        repomd::primary(&repomd).with_context(|| format!("reading {}", location.of("repodata/repomd.xml")))?;
    let bar = progress::bytes(primary.promise.size, "fetching the list");
    let path = fetcher.file(location, &primary.href, &primary.promise, &bar)?;
    let context = || format!("reading {}", location.of(&primary.href));
    let file = std::fs::File::open(&path).with_context(context)?;
    primary::packages(file, primary.open_size, closure::ROOT).with_context(context)
}

fn package(entry: &Entry, location: &Location, fetcher: &Fetcher, bar: &indicatif::ProgressBar) -> Result<Package> {
    let promise = entry.promise.as_ref().with_context(|| format!("nothing is promised of {}", entry.name))?;
    let path = match location {
        // Where it is, it is verified when it is opened; once is enough.
        Location::Folder(folder) => folder.join(&entry.href),
        Location::Url(_) => fetcher.file(location, &entry.href, promise, bar)?,
    };
    Ok(Package { name: entry.name.clone(), promise: Some(promise.clone()), path, format: Format::Rpm, stated: None })
}

/// Whether a package matters for the wanted targets: it lists one of their emulators, or none at all (licence texts).
fn is_wanted(entry: &Entry, targets: &[String]) -> bool {
    let mut emulators =
        entry.files.iter().filter_map(|path| Emulator::from_file_name(path.strip_prefix("/usr/bin/")?)).peekable();
    targets.is_empty() || emulators.peek().is_none() || emulators.any(|emulator| targets.contains(&emulator.target))
}
