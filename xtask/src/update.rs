//! `cargo xtask resolve` and `cargo xtask update`: which packages are the newest, what that changes, and `fetch.lock`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Result, ensure};
use indicatif::HumanBytes;

use crate::fetch_and_build::FetchArgs;
use crate::lock::{Lock, Locked};
use crate::memory;
use crate::repo::chosen::Chosen;
use crate::source::{self, Plan};

/// Options of `cargo xtask resolve`.
#[derive(Debug, clap::Args)]
pub struct ResolveArgs {
    #[command(flatten)]
    fetch: FetchArgs,
}

/// Options of `cargo xtask update`.
#[derive(Debug, clap::Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    fetch: FetchArgs,

    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

/// Shows which packages would be fetched.
///
/// # Errors
/// If the metadata cannot be had, or do not hold what is wanted.
pub fn resolve(args: &ResolveArgs) -> Result<()> {
    for request in args.fetch.requests()? {
        let start = Instant::now();
        let plan = source::plan(&request, &args.fetch.fetcher())?;
        let mut size = 0;
        for chosen in plan.chosen.iter().filter(|chosen| chosen.is_wanted(&request.targets)) {
            println!("{:60} {:>10}  {}", chosen.nevra, HumanBytes(chosen.promise.size), chosen.targets.join(" "));
            size += chosen.promise.size;
        }
        println!("{}: {} packages of {}, {}", request.host.name, plan.chosen.len(), plan.origin, HumanBytes(size));
        if args.fetch.verbose {
            let seconds = start.elapsed().as_secs_f64();
            println!("resolved in {seconds:.2} s, peak memory {} bytes", memory::peak()?);
        }
    }
    Ok(())
}

/// Brings `fetch.lock` up to date, and shows how.
///
/// # Errors
/// If the metadata cannot be had, or the lock cannot be read or written.
pub fn update(args: &UpdateArgs) -> Result<()> {
    let path = args.fetch.lock_path();
    let old = Lock::read(&path)?.unwrap_or_default();
    let mut new = old.clone();
    for request in args.fetch.requests()? {
        ensure!(!request.locked, "update finds the newest packages; leave out --locked");
        ensure!(request.targets.is_empty(), "a lock holds all targets; leave out --target");
        let Plan { origin, release, chosen, .. } = source::plan(&request, &args.fetch.fetcher())?;
        let locked = Locked { origin, release: release.map(|release| release.to_string()), packages: chosen };
        for line in changes(old.hosts.get(request.host.name), &locked) {
            println!("{}: {line}", request.host.name);
        }
        new.hosts.insert(request.host.name.into(), locked);
    }
    if new == old {
        println!("{} is up to date", path.display());
    } else if args.dry_run {
        println!("{} would change; leave out --dry-run to write it", path.display());
    } else {
        new.write(&path)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// What differs, a line each: the release, QEMU's version, targets, packages.
pub fn changes(old: Option<&Locked>, new: &Locked) -> Vec<String> {
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
    let by_name = |locked: &Locked| -> BTreeMap<String, Chosen> {
        locked.packages.iter().map(|chosen| (chosen.name.clone(), chosen.clone())).collect()
    };
    let (before, now) = (by_name(old), by_name(new));
    for name in before.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        match (before.get(name), now.get(name)) {
            (Some(old), Some(new)) if old.nevra != new.nevra => {
                lines.push(format!("~ {name} {} -> {}", old.evr(), new.evr()));
            }
            (Some(old), Some(new)) if old.promise != new.promise => {
                lines.push(format!("~ {name} {}: other bytes, SHA-256 {}", old.evr(), new.promise.sha256));
            }
            (None, Some(new)) => lines.push(format!("+ {name} {}", new.evr())),
            (Some(old), None) => lines.push(format!("- {name} {}", old.evr())),
            _ => {}
        }
    }
    lines
}

/// QEMU's version, or versions.
fn versions(locked: &Locked) -> String {
    let versions: BTreeSet<_> = locked.packages.iter().map(|chosen| chosen.version.as_str()).collect();
    versions.into_iter().collect::<Vec<_>>().join(", ")
}
