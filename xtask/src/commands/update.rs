//! `cargo xtask update`: what the newest packages would change, and `fetch.lock`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use crate::commands::fetch_args::FetchArgs;
use crate::output::say;
use crate::repo::resolved_package::ResolvedPackage;
use crate::source::lock::{Lock, Locked};
use crate::source::{self, Plan};
use crate::workspace::atomic_dir;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    fetch: FetchArgs,

    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let path = args.fetch.lock_path();
    // From reading to writing: another run may be about another host.
    let _lock = atomic_dir::lock(&path)?;
    let old = Lock::read(&path)?.unwrap_or_default();
    let mut new = old.clone();
    for request in args.fetch.requests()? {
        ensure!(!request.locked, "update finds the newest packages; leave out --locked");
        ensure!(request.targets.is_empty(), "a lock holds all targets; leave out --target");
        let Plan { origin, release, packages, .. } = source::plan(&request, &args.fetch.fetcher())?;
        let locked = Locked { origin, release: release.map(|release| release.to_string()), packages };
        for line in changes(old.hosts.get(request.host.name), &locked) {
            say!("{}: {line}", request.host.name);
        }
        new.hosts.insert(request.host.name.into(), locked);
    }
    if new == old {
        say!("{} is up to date", path.display());
    } else if args.dry_run {
        say!("{} would change; leave out --dry-run to write it", path.display());
    } else {
        new.write(&path)?;
        say!("wrote {}", path.display());
    }
    Ok(())
}

/// What differs, a line each: the release, QEMU's version, targets, packages.
fn changes(old: Option<&Locked>, new: &Locked) -> Vec<String> {
    let none = Locked { origin: String::new(), release: None, packages: Vec::new() };
    let old = old.unwrap_or(&none);
    let mut lines = Vec::new();
    let mut differ = |what: &str, old: &str, new: &str| {
        if old != new {
            let arrow = if old.is_empty() { String::new() } else { format!("{old} -> ") };
            lines.push(format!("{what}{arrow}{new}"));
        }
    };
    differ("", &old.origin, &new.origin);
    differ("QEMU ", &versions(old), &versions(new));
    let targets = |locked: &Locked| -> BTreeSet<String> {
        locked.packages.iter().flat_map(|chosen| chosen.targets.iter().cloned()).collect()
    };
    let (before, now) = (targets(old), targets(new));
    let count = |names: &[&String]| format!("{} target{}", names.len(), if names.len() == 1 { "" } else { "s" });
    let list = |names: &[&String]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    for (word, names) in
        [("gone", before.difference(&now).collect::<Vec<_>>()), ("new", now.difference(&before).collect())]
    {
        if !names.is_empty() {
            lines.push(format!("{} {word}: {}", count(&names), list(&names)));
        }
    }
    let by_name = |locked: &Locked| -> BTreeMap<String, ResolvedPackage> {
        locked.packages.iter().map(|chosen| (chosen.name.clone(), chosen.clone())).collect()
    };
    let (before, now) = (by_name(old), by_name(new));
    for name in before.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        match (before.get(name), now.get(name)) {
            (Some(old), Some(new)) if old.nevra != new.nevra => {
                lines.push(format!("~ {name} {} -> {}", old.evr(), new.evr()));
            }
            (Some(old), Some(new)) if old.expected != new.expected => {
                lines.push(format!("~ {name} {}: other bytes, {}", old.evr(), new.expected.digest));
            }
            (None, Some(new)) => lines.push(format!("+ {name} {}", new.evr())),
            (Some(old), None) => lines.push(format!("- {name} {}", old.evr())),
            _ => {}
        }
    }
    lines
}

fn versions(locked: &Locked) -> String {
    let versions: BTreeSet<_> = locked.packages.iter().map(|chosen| chosen.version.as_str()).collect();
    versions.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::digest::ExpectedDigest;
    use crate::verify::digest::Sha256;

    fn locked(origin: &str, packages: &[(&str, &str, &str)]) -> Locked {
        let chosen = |&(name, version, targets): &(&str, &str, &str)| ResolvedPackage {
            name: name.into(),
            nevra: format!("{name}-2:{version}-1.fc45.x86_64"),
            version: version.into(),
            source: format!("qemu-{version}-1.fc45.src.rpm"),
            expected: ExpectedDigest { digest: Sha256::of(version.as_bytes()).into(), size: 1 },
            repository: "fedora-45".into(),
            href: format!("Packages/q/{name}.rpm"),
            base: None,
            targets: targets.split_whitespace().map(str::to_owned).collect(),
        };
        Locked { origin: origin.into(), release: Some("45".into()), packages: packages.iter().map(chosen).collect() }
    }

    #[test]
    fn changes_name_what_a_maintainer_decides_by() {
        let old =
            locked("Fedora 44", &[("all", "10.2.2", ""), ("arm", "10.2.2", "arm armeb"), ("cris", "10.2.2", "cris")]);
        let new = locked("Fedora 45", &[("all", "11.1.3", ""), ("arm", "11.1.3", "arm"), ("m68k", "11.1.3", "m68k")]);
        assert_eq!(
            changes(Some(&old), &new),
            [
                "Fedora 44 -> Fedora 45",
                "QEMU 10.2.2 -> 11.1.3",
                "2 targets gone: armeb, cris",
                "1 target new: m68k",
                "~ all 2:10.2.2-1.fc45 -> 2:11.1.3-1.fc45",
                "~ arm 2:10.2.2-1.fc45 -> 2:11.1.3-1.fc45",
                "- cris 2:10.2.2-1.fc45",
                "+ m68k 2:11.1.3-1.fc45",
            ]
        );
        assert_eq!(changes(Some(&new), &new), Vec::<String>::new());
        let mut rebuilt = new.clone();
        rebuilt.packages[0].expected.digest = Sha256::of(b"other bytes").into();
        assert!(changes(Some(&new), &rebuilt)[0].starts_with("~ all 2:11.1.3-1.fc45: other bytes, SHA-256 "));
    }
}
