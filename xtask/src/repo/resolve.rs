//! Which packages are wanted: `qemu-user-static` and what it requires, the newest of each, nothing but emulators; and
//! what stands in for packages that were split or renamed.
//!
//! Works on [`is_candidate`] packages only, so that a repository's other 70,000 need not be kept. Of a repository that is
//! consistent it takes what dnf would; it decides where dnf would give up or ask, and always alike.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::repo_package::{Range, RepoPackage};

/// The meta package, and what all names of emulator packages begin with. Scriptlets and static-PIE programs require
/// shells and loaders too; the prefix keeps those out.
pub const ROOT: &str = "qemu-user-static";

/// The closure of [`ROOT`] for a host architecture in RPM's terms, sorted by name. Where several repositories or
/// builds hold a package, the newest wins, and of equals the first.
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
        match index.take(wanted) {
            Resolution::Itself(entry) => {
                chosen.insert(entry.name.clone());
                open.extend(entry.requires.iter().map(String::as_str).filter(|name| index.is_emulators(name)));
            }
            Resolution::Instead(others) if !others.is_empty() => {
                open.extend(others.iter().map(|entry| entry.name.as_str()))
            }
            Resolution::Instead(_) if wanted == ROOT => bail!("the repository holds no package {ROOT} for {arch}"),
            Resolution::Instead(_) => {
                bail!("package {ROOT} requires {wanted}, which the repository does not hold for {arch}")
            }
        }
    }
    Ok(newest.into_values().filter(|entry| chosen.contains(&entry.name)).collect())
}

enum Resolution<'a> {
    Itself(&'a RepoPackage),
    /// Others in its place; none if nobody has it.
    Instead(Vec<&'a RepoPackage>),
}

/// Packages by what they are, give and replace.
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

    /// Whether a required name is one of emulators: by its prefix, or because it is the new name of a package that
    /// still says how it was called.
    fn is_emulators(&self, name: &str) -> bool {
        name.starts_with(ROOT) || self.newest.contains_key(name)
    }

    fn take(&self, wanted: &str) -> Resolution<'a> {
        match self.newest.get(wanted) {
            Some(entry) => match self.replacements(entry) {
                others if others.is_empty() => Resolution::Itself(entry),
                others => Resolution::Instead(others),
            },
            None => Resolution::Instead(self.fallback_providers(wanted)),
        }
    }

    /// Packages that replace one that is there: all newer ones with a range that includes it, like the halves of a
    /// split. Only newer ones, so that replacing comes to an end, and a package that came back is not taken away by
    /// what once replaced it.
    fn replacements(&self, entry: &RepoPackage) -> Vec<&'a RepoPackage> {
        let evr = entry.evr();
        let applies = |(other, range): &(&RepoPackage, &Range)| range.admits(&entry.name, &evr) && other.evr() > evr;
        self.obsoleters(&entry.name).iter().filter(|pair| applies(pair)).map(|(other, _)| *other).collect()
    }

    /// Packages in place of one that is not there: emulator packages that provide its name, all of them; else the
    /// newest package of any name that does; else those that obsolete it, in whatever version, since none is there to
    /// be compared.
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
