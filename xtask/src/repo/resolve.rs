//! Which packages are wanted: the newest `qemu-user-static`, the emulators that it requires, and what replaces
//! packages that were split or renamed. On a consistent repository the result is dnf's.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::repo_package::{Range, RepoPackage};

/// The meta package, and the prefix of all emulator packages: other requirements, such as shells, are left out.
pub const ROOT: &str = "qemu-user-static";

/// [`ROOT`] and what it requires for an architecture, sorted by name: of several builds the newest, of equals the
/// first.
pub fn resolve(entries: Vec<RepoPackage>, arch: &str) -> Result<Vec<RepoPackage>> {
    let mut newest: BTreeMap<String, RepoPackage> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| entry.arch == arch || entry.arch == "noarch") {
        match newest.get(&entry.name) {
            Some(known) if known.evr() >= entry.evr() => {}
            _ => drop(newest.insert(entry.name.clone(), entry)),
        }
    }
    let index = Index::new(&newest);
    let mut chosen = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![ROOT];
    while let Some(wanted) = open.pop() {
        if !seen.insert(wanted) {
            continue;
        }
        match index.find(wanted).as_slice() {
            [] if wanted == ROOT => bail!("the repository holds no package {ROOT} for {arch}"),
            [] => bail!("package {ROOT} requires {wanted}, which the repository does not hold for {arch}"),
            [entry] if entry.name == wanted => {
                chosen.insert(entry.name.clone());
                open.extend(entry.requires.iter().map(String::as_str).filter(|name| index.is_emulators(name)));
            }
            others => open.extend(others.iter().map(|entry| entry.name.as_str())),
        }
    }
    Ok(newest.into_values().filter(|entry| chosen.contains(&entry.name)).collect())
}

struct Index<'a> {
    newest: &'a BTreeMap<String, RepoPackage>,
    providers: BTreeMap<&'a str, Vec<&'a RepoPackage>>,
    obsoleters: BTreeMap<&'a str, Vec<(&'a RepoPackage, &'a Range)>>,
}

impl<'a> Index<'a> {
    fn new(newest: &'a BTreeMap<String, RepoPackage>) -> Self {
        let mut index = Self { newest, providers: BTreeMap::new(), obsoleters: BTreeMap::new() };
        for entry in newest.values() {
            for name in &entry.provides {
                index.providers.entry(name).or_default().push(entry);
            }
            for range in &entry.obsoletes {
                index.obsoleters.entry(&range.name).or_default().push((entry, range));
            }
        }
        index
    }

    /// Whether a required name is an emulator package's: by its prefix, or a candidate under a new name.
    fn is_emulators(&self, name: &str) -> bool {
        name.starts_with(ROOT) || self.newest.contains_key(name)
    }

    /// The package of that name, or others in its place.
    fn find(&self, wanted: &str) -> Vec<&'a RepoPackage> {
        let Some(entry) = self.newest.get(wanted) else { return self.fallback_providers(wanted) };
        let others = self.replacements(entry);
        if others.is_empty() { vec![entry] } else { others }
    }

    /// Newer packages that obsolete this one, such as the halves of a split. Older ones do not count, so replacing
    /// ends.
    fn replacements(&self, entry: &RepoPackage) -> Vec<&'a RepoPackage> {
        let evr = entry.evr();
        let applies = |(other, range): &(&RepoPackage, &Range)| range.admits(&entry.name, &evr) && other.evr() > evr;
        self.obsoleters(&entry.name).iter().filter(|pair| applies(pair)).map(|(other, _)| *other).collect()
    }

    /// For a missing package: the emulator packages that provide its name, else the newest other provider, else what
    /// obsoletes it.
    fn fallback_providers(&self, wanted: &str) -> Vec<&'a RepoPackage> {
        let providers = self.providers.get(wanted).map(Vec::as_slice).unwrap_or_default();
        let emulators: Vec<_> = providers.iter().copied().filter(|entry| entry.name.starts_with(ROOT)).collect();
        if !emulators.is_empty() {
            return emulators;
        }
        // Of equally new ones the first by name: `providers` is sorted so.
        match providers.iter().copied().rev().max_by(|one, other| one.evr().cmp(&other.evr())) {
            Some(newest) => vec![newest],
            None => self.obsoleters(wanted).iter().map(|(entry, _)| *entry).collect(),
        }
    }

    fn obsoleters(&self, name: &str) -> &[(&'a RepoPackage, &'a Range)] {
        self.obsoleters.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
