//! Which packages are wanted: `qemu-user-static` and what it requires, the newest of each, nothing but emulators.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::primary::Entry;

/// The meta package, and what all names of emulator packages begin with. Scriptlets and static-PIE programs require
/// shells and loaders too; the prefix keeps those out.
pub const ROOT: &str = "qemu-user-static";

/// The closure of [`ROOT`] for a host architecture in RPM's terms. Where several repositories or builds hold a package,
/// the newest wins.
///
/// # Errors
/// If the root is missing, or requires an emulator package that nobody holds.
pub fn select(entries: Vec<Entry>, arch: &str) -> Result<Vec<Entry>> {
    let mut newest: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| entry.arch == arch || entry.arch == "noarch") {
        match newest.get(&entry.name) {
            Some(known) if known.evr() >= entry.evr() => {}
            _ => drop(newest.insert(entry.name.clone(), entry)),
        }
    }
    if !newest.contains_key(ROOT) {
        bail!("the repository holds no package {ROOT} for {arch}");
    }
    let provider = |wanted: &str| {
        newest.values().find(|entry| entry.name == wanted || entry.provides.iter().any(|name| name == wanted))
    };
    let mut chosen = BTreeSet::new();
    let mut open = vec![ROOT];
    while let Some(wanted) = open.pop() {
        let Some(entry) = provider(wanted) else {
            bail!("package {ROOT} requires {wanted}, which the repository does not hold for {arch}");
        };
        if chosen.insert(entry.name.clone()) {
            open.extend(entry.requires.iter().map(String::as_str).filter(|name| name.starts_with(ROOT)));
        }
    }
    Ok(newest.into_values().filter(|entry| chosen.contains(&entry.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::{Entry, select};

    fn entry(name: &str, arch: &str, version: &str, requires: &[&str]) -> Entry {
        Entry {
            name: name.into(),
            arch: arch.into(),
            epoch: "2".into(),
            version: version.into(),
            release: "1.fc45".into(),
            requires: requires.iter().map(|&name| name.into()).collect(),
            ..Entry::default()
        }
    }

    #[test]
    fn follows_emulator_packages_only_and_takes_the_newest() {
        let entries = vec![
            entry("qemu-user-static", "x86_64", "10.1.5", &["qemu-user-static-arm", "/bin/sh", "rtld(GNU_HASH)"]),
            entry("qemu-user-static", "x86_64", "9.2.4", &["qemu-user-static-cris"]),
            entry("qemu-user-static-arm", "x86_64", "9.2.4", &[]),
            entry("qemu-user-static-arm", "x86_64", "10.1.5", &["qemu-user-static"]),
            entry("qemu-user-static-arm", "aarch64", "11.0.0", &[]),
            entry("qemu-user-static-cris", "x86_64", "9.2.4", &[]),
        ];
        let chosen = select(entries, "x86_64").expect("a closure");
        let names: Vec<_> = chosen.iter().map(|entry| format!("{}-{}", entry.name, entry.version)).collect();
        assert_eq!(names, ["qemu-user-static-10.1.5", "qemu-user-static-arm-10.1.5"]);
    }

    #[test]
    fn says_what_is_missing() {
        let alone = vec![entry("qemu-user-static", "x86_64", "1", &["qemu-user-static-arm"])];
        let error = select(alone, "x86_64").expect_err("an incomplete repository");
        assert!(error.to_string().contains("requires qemu-user-static-arm"), "{error}");
        let error = select(Vec::new(), "s390x").expect_err("an empty repository");
        assert!(error.to_string().contains("no package qemu-user-static for s390x"), "{error}");
    }
}
