//! From packages to a root file system, in eight steps: resolve, download, verify, extract, table, compile, rootfs, sbom.
//! A build whose inputs have not changed runs none of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use codegen::emit;
use codegen::remark::Remark;
use codegen::table::{Handler, Table};

use crate::build::rootfs::RootfsInputs;
use crate::build::{compile, rootfs, sbom, table};
use crate::download::Fetcher;
use crate::extract::{self, ExtractRequest};
use crate::output::{self, say};
use crate::source::{self, Request};
use crate::system::host::Host;
use crate::verify;
use crate::verify::package::Package;
use crate::workspace::{atomic_dir, target_dir, write_if_changed};

use summary::Built;
use unchanged::{BuildReport, Check};

mod summary;
mod unchanged;

pub(crate) struct Options {
    pub(crate) fetcher: Fetcher,
    pub(crate) out: PathBuf,
    pub(crate) strict: bool,
    pub(crate) fetch_only: bool,
}

pub(crate) fn run(options: &Options, request: &Request) -> Result<()> {
    let work = target_dir().join("fetch").join(request.host.name);
    let _lock = atomic_dir::lock(&work.join("stage"))?;
    if options.out.parent().is_some_and(Path::is_dir) {
        // What a killed run left.
        let _lock = atomic_dir::lock(&options.out)?;
        atomic_dir::clear(&options.out)?;
    }
    let check = Check::new(request, if options.strict { "strict" } else { "" }, &work, &options.out)?;
    let started = SystemTime::now();
    let fetcher = &options.fetcher;
    let may_be_done = !fetcher.options.refresh && !options.fetch_only;
    if let Some(report) = may_be_done.then(|| check.unchanged(fetcher.options.offline, started)).flatten() {
        report.packages.iter().for_each(|package| fetcher.log_verified(package));
        report.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        output::write(format_args!("{}", report.summary));
        return Ok(());
    }
    match build(options, request, &work)? {
        Some(report) => check.done(report, (!fetcher.options.offline).then_some(started)),
        None => Ok(()),
    }
}

fn build(options: &Options, request: &Request, work: &Path) -> Result<Option<BuildReport>> {
    let Options { fetcher, out, .. } = options;
    let host = request.host;

    let resolution = source::resolve(request, fetcher)?;
    let fetched = source::download(resolution, request, fetcher)?;
    fetcher.cache.remove_old();
    if options.fetch_only {
        compile::fetch_dependencies(host, fetcher.options.offline)?;
        return Ok(None);
    }

    // Package by package, several at a time.
    let verify = |package: &Package| verify::package(package, &fetched.trust, host, work);
    let wanted = ExtractRequest { host, targets: &request.targets, trust: &fetched.trust };
    let (stage, _) = extract::stage(&fetched.packages, verify, &wanted, &work.join("stage"))?;
    let packages: Vec<_> = stage.record.packages.iter().map(ToString::to_string).collect();
    packages.iter().for_each(|package| fetcher.log_verified(package));

    let table = table::of_stage(&stage, host, &fetched.origin)?;
    let table_warnings = report_remarks(&table, options)?;
    let table_path = work.join("table.rs");
    write_if_changed(&table_path, &emit::table(&table).context("writing the table as Rust")?)?;

    let registrar = compile::registrar(host, Some(&table_path), fetcher.options.offline)?;

    let inputs = RootfsInputs::gather(&stage, &table.provenance, &registrar)?;
    let _lock = atomic_dir::lock(out)?;
    let staged = rootfs::create(out)?;
    let files = rootfs::write(&inputs, staged.path())?;
    sbom::write(&inputs, &files, staged.path())?;
    let sample = write_sample(&table, host, staged.path())?;
    staged.commit()?;

    report_rules(&table);
    let (trust, rootfs) = (&fetched.trust, &out.join(rootfs::ROOTFS));
    let sample = sample.map(|name| out.join(name));
    let built = Built { stage: &stage, table: &table, trust, rootfs, build: &inputs.build, host, sample };
    let summary = summary::text(&built)?;
    output::write(format_args!("{summary}"));
    Ok(Some(BuildReport { packages, warnings: [fetcher.warnings(), table_warnings].concat(), summary }))
}

/// Writes a foreign program to try the handlers with; gives its name, if the table has a foreign target.
fn write_sample(table: &Table, host: Host, folder: &Path) -> Result<Option<String>> {
    let family = host.target().map_or("", |target| target.family);
    let foreign = |handler: &&Handler| handler.family != family && !handler.probe.is_empty();
    let handlers = || table.handlers.iter().filter(foreign);
    let Some(handler) = handlers().find(|handler| handler.target == "aarch64").or(handlers().next()) else {
        return Ok(None);
    };
    let name = format!("{}{}", rootfs::SAMPLE, handler.target);
    let path = folder.join(&name);
    let context = || format!("writing {}", path.display());
    fs::write(&path, &handler.probe).with_context(context)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(context)?;
    Ok(Some(name))
}

/// Prints the table's notes and warnings; gives the warnings, which `--strict` makes a failure.
fn report_remarks(table: &Table, options: &Options) -> Result<Vec<String>> {
    let (warnings, notes): (Vec<_>, Vec<_>) = table.remarks.iter().partition(|remark| remark.is_warning());
    notes.iter().filter(|_| options.fetcher.options.verbose).for_each(|note| eprintln!("{note}"));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let refused = usize::from(options.strict);
    warnings.iter().skip(refused).for_each(|warning| eprintln!("warning: {warning}"));
    match warnings.as_slice() {
        [only] if options.strict => bail!("--strict: {only}"),
        [first, others @ ..] if options.strict => bail!("--strict: {first} (and {} more, see above)", others.len()),
        _ => Ok(warnings),
    }
}

fn report_rules(table: &Table) {
    let alone = table.remarks.iter().filter(|remark| matches!(remark, Remark::NoConf { .. })).count();
    say!("{} rules: {} packaged, {alone} without a conf", table.handlers.len(), table.handlers.len() - alone);
}
