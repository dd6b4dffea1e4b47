//! `cargo xtask inspect`: compares a build with its SBOM, and prints where each emulator comes from.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::build::rootfs::{ALIAS_HARDLINKS, PACKAGES, PACKAGES_INSIDE, REGISTRAR, ROOTFS, SBOM, is_program, target};
use crate::build::sbom::files::{self, Digests, Entry, Kind};
use crate::build::sbom::spdx::{Algorithm, Document, File, Package, RelationshipType};
use crate::build::sbom::{ROOT, SIGNED_BY};
use crate::output::{self, say};
use crate::system::host::Host;
use crate::workspace::atomic_dir;
use crate::workspace::workspace_root;

const SHORT_DIGEST: usize = 16;

const SHORT_LICENSE: usize = 32;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The machine that was built for [default: this one's architecture]
    #[arg(long, value_name = "ARCH")]
    host: Option<String>,

    /// Where the result went: DIR/HOST/rootfs
    #[arg(long, value_name = "DIR", default_value_os_t = workspace_root().join("dist"))]
    out: PathBuf,

    /// Print the SBOM (SPDX 2.3) instead
    #[arg(long)]
    json: bool,

    /// Show digests and licenses in full
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let host = Host::named(args.host.as_deref())?;
    let folder = args.out.join(host.name);
    let path = folder.join(SBOM);
    ensure!(
        path.is_file(),
        "nothing is built for {0} in {1}; run `cargo xtask fetch-and-build --host {0} --out {1}`",
        host.name,
        args.out.display()
    );
    // No other run may exchange the folder meanwhile.
    let _lock = atomic_dir::lock(&folder)?;
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let document: Document =
        serde_json::from_str(&text).with_context(|| format!("reading {}: damaged; build again", path.display()))?;
    let count = check(&folder, &document)?;
    if args.json {
        output::write(format_args!("{text}"));
    } else {
        say!("{}\n{count} files, all as recorded", table(&document, args.verbose));
    }
    Ok(())
}

/// Compares a folder with its SBOM; gives the number of files.
fn check(folder: &Path, document: &Document) -> Result<usize> {
    let root = folder.join(ROOTFS);
    let not_as_recorded = || format!("{} is not as recorded; build again", root.display());
    let entries = files::list(&root)?;
    check_names(&entries, document).with_context(not_as_recorded)?;
    check_aliases(&root).with_context(not_as_recorded)?;
    let found = files::digests(&root, &entries)?;
    check_digests(&found, document).with_context(not_as_recorded)?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    ensure!(
        read(&folder.join(PACKAGES))? == read(&root.join(PACKAGES_INSIDE))?,
        "{} is not the list inside the root file system; build again",
        folder.join(PACKAGES).display()
    );
    Ok(found.len())
}

/// That everything recorded is there, as what it is to be, and nothing else.
fn check_names(entries: &[Entry], document: &Document) -> Result<()> {
    let mut wanted: BTreeSet<_> = document.files.iter().map(path).collect();
    let mut folders = BTreeSet::new();
    for path in &wanted {
        folders.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
    }
    for Entry { path, kind } in entries {
        match (wanted.remove(path.as_str()), kind) {
            (true, Kind::File(mode)) => {
                let expected = if is_program(path) { 0o755 } else { 0o644 };
                ensure!(*mode == expected, "{path} has permissions {mode:o} instead of {expected:o}");
            }
            (true, _) => bail!("{path} is of another kind"),
            (false, Kind::Folder(mode)) if folders.contains(path) => {
                ensure!(*mode == 0o755, "{path} has permissions {mode:o} instead of 755");
            }
            (false, _) => bail!("{path} is in no record"),
        }
    }
    match wanted.first() {
        Some(missing) => bail!("{missing} is missing"),
        None => Ok(()),
    }
}

/// That every alias is a hard link to `registrar`, and not a copy.
fn check_aliases(root: &Path) -> Result<()> {
    for alias in ALIAS_HARDLINKS {
        let [one, other] = [alias, REGISTRAR].map(|path| files::identity(&root.join(path)));
        ensure!(one? == other?, "{alias} is another file than {REGISTRAR}");
    }
    Ok(())
}

/// That every file is what is recorded of it, and the record is of one piece.
fn check_digests(found: &[Digests], document: &Document) -> Result<()> {
    for digests in found {
        let recorded = document.files.iter().find(|file| path(file) == digests.path);
        let recorded = |algorithm| recorded.and_then(|file| file.checksum(algorithm)).unwrap_or("none");
        for (algorithm, is) in [(Algorithm::Sha256, &digests.sha256.to_string()), (Algorithm::Sha1, &digests.sha1)] {
            let recorded = recorded(algorithm);
            ensure!(recorded == is, "{} has {algorithm:?} {is} instead of {recorded}", digests.path);
        }
    }
    let code = files::verification_code(found.iter().map(|file| file.sha1.as_str()));
    let recorded = document.package(ROOT).and_then(|root| root.package_verification_code.as_ref());
    let recorded = recorded.map_or("none", |code| &code.value);
    ensure!(recorded == code, "its verification code is {code} instead of {recorded}");
    Ok(())
}

fn path(file: &File) -> &str {
    file.file_name.trim_start_matches("./")
}

fn table(document: &Document, verbose: bool) -> String {
    let head = ["emulator", "package", "source", "license", "SHA-256", "signed by"].map(str::to_owned);
    let emulators = document.files.iter().filter(|file| target(path(file)).is_some());
    let rows: Vec<_> = [head].into_iter().chain(emulators.map(|file| row(file, document, verbose))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    let origin = document.package(ROOT).and_then(|root| root.source_info.as_deref());
    text + &format!("\norigin: {}", origin.unwrap_or("unknown"))
}

fn row(file: &File, document: &Document, verbose: bool) -> [String; 6] {
    let from = |id| document.related(id, RelationshipType::GeneratedFrom).find_map(|id| document.package(id));
    let package = from(&file.id);
    let source = package.and_then(|package| from(&package.id));
    let unknown = || "-".to_owned();
    let digest = file.checksum(Algorithm::Sha256).unwrap_or("-");
    let license = package.map(|package| package.license_declared.as_str()).unwrap_or("-");
    [
        path(file).trim_start_matches("usr/bin/").into(),
        package.map_or_else(unknown, full_name),
        source.map_or_else(unknown, |source| source.package_file_name.clone().unwrap_or_else(|| full_name(source))),
        if verbose { license.into() } else { shortened(license) },
        if verbose { digest.into() } else { digest.chars().take(SHORT_DIGEST).collect() },
        package.and_then(signer).unwrap_or("-").into(),
    ]
}

/// Name, version, and architecture where the package URL has one.
fn full_name(package: &Package) -> String {
    let version = package.version_info.as_deref().unwrap_or_default();
    let locator = package.external_refs.first().map_or("", |reference| &reference.reference_locator);
    let arch = locator.split(['?', '&']).find_map(|part| part.strip_prefix("arch="));
    let arch = arch.filter(|arch| !["src", "source"].contains(arch));
    format!("{}-{version}{}", package.name, arch.map(|arch| format!(".{arch}")).unwrap_or_default())
}

fn signer(package: &Package) -> Option<&str> {
    package.comment.as_deref()?.strip_prefix(SIGNED_BY)?.split(';').next()
}

fn shortened(license: &str) -> String {
    match license.char_indices().nth(SHORT_LICENSE) {
        Some((at, _)) => format!("{}…", license[..at].trim_end()),
        None => license.into(),
    }
}
