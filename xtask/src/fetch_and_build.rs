//! `cargo xtask fetch-and-build`: the whole way from packages to a root file system, as a pipeline of its steps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use codegen::emit;
use codegen::remark::Remark;
use codegen::table::{Emulator, Handler, Inputs, Provenance, Table};
use codegen::witness::Conf;

use crate::compile::build_info::BuildInfo;
use crate::extract::{self, Stage, TextRecord, Wanted};
use crate::fetch_args::FetchArgs;
use crate::host::Host;
use crate::image::{self, Engine};
use crate::output::{self, say};
use crate::source::{self, Request};
use crate::summary;
use crate::tables::{target_dir, workspace_root, write_if_changed};
use crate::unchanged::{Check, Said};
use crate::{compile, partial, rootfs};

/// Options of `cargo xtask fetch-and-build`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    fetch: FetchArgs,

    /// Where the result goes: DIR/HOST/rootfs
    #[arg(long, value_name = "DIR", default_value_os_t = workspace_root().join("dist"))]
    out: PathBuf,

    /// Fail where packages bring a target that codegen does not know, or a conf that differs from the computed rule for
    /// no known reason; without it, both are warnings (for releases)
    #[arg(long)]
    strict: bool,

    /// Fetch packages and dependencies, build nothing: what follows works with --offline
    #[arg(long)]
    fetch_only: bool,

    /// Then load the image into this engine, and print the command that runs it
    #[arg(long, value_name = "ENGINE", conflicts_with = "fetch_only")]
    load: Option<Engine>,
}

/// Runs the pipeline.
///
/// # Errors
/// The first step that fails, with what it was about. What earlier runs made is then as it was.
pub fn run(args: &Args) -> Result<()> {
    let requests = args.fetch.requests()?;
    if let Some(engine) = args.load {
        ensure!(requests.len() == 1, "--load takes one host's image; name one --host");
        engine.check()?;
    }
    for request in &requests {
        build(args, request)?;
        if let Some(engine) = args.load {
            image::load_built(engine, &args.out, request.host, &request.targets)?;
        }
    }
    Ok(())
}

/// Runs it for one host.
fn build(args: &Args, request: &Request) -> Result<()> {
    let host = request.host;
    let work = target_dir().join("fetch").join(host.name);
    let _lock = partial::lock(&work.join("stage"))?;
    let out = args.out.join(host.name);
    let check = Check::new(request, if args.strict { "strict" } else { "" }, &work, &out)?;
    let may_be_done = !args.fetch.refresh && !args.fetch_only;
    let asked = SystemTime::now();
    if let Some(said) = may_be_done.then(|| check.unchanged(args.fetch.offline, asked)).flatten() {
        let proofs = said.proofs.iter().filter(|_| args.fetch.verbose);
        proofs.for_each(|proof| eprintln!("proven: {proof}"));
        said.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        output::write(format_args!("{}", said.summary));
        return Ok(());
    }
    let fetcher = args.fetch.fetcher();
    let fetched = source::fetch(request, &fetcher)?;
    fetcher.forget_old();
    if args.fetch_only {
        return compile::fetch_dependencies(host, args.fetch.offline);
    }
    let wanted = Wanted { host, targets: &request.targets, trust: &fetched.trust };
    let (stage, _) = extract::stage(&fetched.packages, &wanted, &work.join("stage"))?;
    let proofs: Vec<_> = stage.record.packages.iter().map(ToString::to_string).collect();
    proofs.iter().for_each(|proof| fetcher.proven(proof));
    let table = table(&stage, request, &fetched.origin)?;
    let table_warnings = report_remarks(&table, args)?;
    let table_path = work.join("table.rs");
    write_if_changed(&table_path, &emit::table(&table).context("writing the table as Rust")?)?;
    let registrar = compile::registrar(host, Some(&table_path), args.fetch.offline)?;
    let build = BuildInfo::of(&registrar)?;
    let rootfs = &out.join("rootfs");
    rootfs::assemble(&stage, &table, &registrar, rootfs)?;
    let sample = write_sample(&table, host, &out)?;
    report_rules(&table);
    let (trust, sample) = (&fetched.trust, sample.as_deref());
    let summary =
        summary::text(&summary::Built { stage: &stage, table: &table, trust, rootfs, build: &build, host, sample })?;
    output::write(format_args!("{summary}"));
    let asked = (!fetcher.is_offline()).then_some(asked);
    let warnings = [fetcher.warnings(), table_warnings].concat();
    check.done(Said { proofs, warnings, summary }, asked)
}

/// A foreign program to try the handlers with, beside the root file system; none if the table has no foreign target.
fn write_sample(table: &Table, host: Host, out: &Path) -> Result<Option<PathBuf>> {
    let family = host.target().map_or("", |target| target.family);
    let foreign = |handler: &&Handler| handler.family != family && !handler.probe.is_empty();
    let handlers = || table.handlers.iter().filter(foreign);
    let Some(handler) = handlers().find(|handler| handler.target == "aarch64").or(handlers().next()) else {
        return Ok(None);
    };
    let path = out.join(format!("try-{}", handler.target));
    let context = || format!("writing {}", path.display());
    fs::write(&path, &handler.probe).with_context(context)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(context)?;
    Ok(Some(path))
}

/// The table of what was extracted.
fn table(stage: &Stage, request: &Request, origin: &str) -> Result<Table> {
    let emulators: Vec<_> =
        stage.record.emulators.iter().map(|record| Emulator { target: record.target.clone() }).collect();
    let conf = |record: &TextRecord| anyhow::Ok(Conf { file: record.path.clone(), text: record.read(&stage.dir)? });
    let confs = stage.record.confs.iter().map(conf).collect::<Result<_>>()?;
    let versions: std::collections::BTreeSet<_> = stage
        .record
        .emulators
        .iter()
        .filter_map(|emulator| stage.proof_of(emulator))
        .map(|proof| proof.version.as_str())
        .collect();
    let [version] = versions.iter().copied().collect::<Vec<_>>()[..] else {
        bail!("the packages hold emulators of several versions of QEMU: {versions:?}");
    };
    let provenance = Provenance { qemu_version: version.into(), origin: origin.into() };
    let inputs = Inputs { host: request.host.target(), emulators, confs, provenance };
    Table::build(inputs).context("making the table of handlers")
}

/// Says what a maintainer should know of the table; gives the warnings.
///
/// # Errors
/// With `--strict`, if there are any.
fn report_remarks(table: &Table, args: &Args) -> Result<Vec<String>> {
    let (warnings, notes): (Vec<_>, Vec<_>) = table.remarks.iter().partition(|remark| remark.is_warning());
    notes.iter().filter(|_| args.fetch.verbose).for_each(|note| eprintln!("{note}"));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let refused = usize::from(args.strict);
    warnings.iter().skip(refused).for_each(|warning| eprintln!("warning: {warning}"));
    match warnings.as_slice() {
        [only] if args.strict => bail!("--strict: {only}"),
        [first, others @ ..] if args.strict => bail!("--strict: {first} (and {} more, see above)", others.len()),
        _ => Ok(warnings),
    }
}

/// Says how many rules there are, and for how many of them packages hold a conf.
fn report_rules(table: &Table) {
    let alone = table.remarks.iter().filter(|remark| matches!(remark, Remark::NoConf { .. })).count();
    say!("{} rules: {} packaged, {alone} without a conf", table.handlers.len(), table.handlers.len() - alone);
}
