//! `cargo xtask fetch-and-build`: the whole way from packages to a root file system, as a pipeline of its steps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use codegen::rule::Masks;
use codegen::table::{Emulator, Handler, Inputs, Provenance, Remark, Table};
use codegen::{emit, targets};

use crate::download::Fetcher;
use crate::extract::{self, Stage, Wanted};
use crate::host::Host;
use crate::source::{self, Fetched, Request, Source};
use crate::summary;
use crate::tables::{target_dir, workspace_root, write_if_changed};
use crate::{compile, partial, rootfs};

/// What to fetch, from where, and how it is proven.
#[derive(Debug, clap::Args)]
pub struct FetchArgs {
    /// auto (Fedora, else this machine's packages), fedora, apt, or the folder or URL of an RPM repository or of RPM files
    #[arg(long, default_value = "auto", value_parser = Source::parse)]
    source: Source,

    /// Only these architectures, by any of their names
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    target: Vec<String>,

    /// The machine that the image runs on [default: this one's architecture]
    #[arg(long, value_name = "ARCH")]
    host: Option<String>,

    /// A public key (ASCII-armoured OpenPGP) that the packages must be signed with; may be repeated
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,

    /// Take unsigned packages of a folder or URL on the word of its digests
    #[arg(long, conflicts_with = "key")]
    no_signature: bool,

    /// Use only what earlier runs have fetched
    #[arg(long)]
    offline: bool,

    /// A stand-in for all of Fedora's servers
    #[arg(long, value_name = "URL")]
    servers: Option<String>,
}

/// Options of `cargo xtask fetch-and-build`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    fetch: FetchArgs,

    /// Where the result goes: DIR/HOST/rootfs
    #[arg(long, value_name = "DIR", default_value_os_t = workspace_root().join("dist"))]
    out: PathBuf,

    /// Whose masks: QEMU's with this project's corrections, or QEMU's as packaged
    #[arg(long, value_enum, default_value_t = MasksArg::Corrected)]
    masks: MasksArg,

    /// Fetch packages and dependencies, build nothing: what follows works with --offline
    #[arg(long)]
    fetch_only: bool,

    /// Say more
    #[arg(short, long)]
    verbose: bool,
}

/// [`Masks`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MasksArg {
    Corrected,
    Upstream,
}

impl FetchArgs {
    /// What the options mean.
    ///
    /// # Errors
    /// If the host is none that images are made for.
    pub fn request(&self) -> Result<Request> {
        let name = |name: &String| targets::by_any_name(name).map_or(name.as_str(), |target| target.qemu).to_owned();
        let mut targets: Vec<_> = self.target.iter().map(name).collect();
        targets.sort();
        targets.dedup();
        Ok(Request {
            source: self.source.clone(),
            host: Host::named(self.host.as_deref())?,
            targets,
            keys: self.key.clone(),
            no_signature: self.no_signature,
            servers: self.servers.clone(),
        })
    }

    /// Gets the packages.
    ///
    /// # Errors
    /// If they cannot be had, or are not what their repository promises.
    pub fn fetch(&self, request: &Request) -> Result<Fetched> {
        source::fetch(request, &Fetcher::new(target_dir().join("fetch/cache"), self.offline))
    }
}

/// Runs the pipeline.
///
/// # Errors
/// The first step that fails, with what it was about. What earlier runs made is then as it was.
pub fn run(args: &Args) -> Result<()> {
    let request = args.fetch.request()?;
    let work = target_dir().join("fetch").join(request.host.name);
    let _lock = partial::lock(&work.join("stage"))?;
    let fetched = args.fetch.fetch(&request)?;
    if args.fetch_only {
        return compile::fetch_dependencies(request.host, args.fetch.offline);
    }
    let wanted = Wanted { host: request.host, targets: &request.targets, trust: &fetched.trust };
    let (stage, _) = extract::stage(&fetched.packages, &wanted, &work.join("stage"))?;
    let masks = match args.masks {
        MasksArg::Corrected => Masks::Corrected,
        MasksArg::Upstream => Masks::Upstream,
    };
    let table = table(&stage, &request, &fetched.origin, masks)?;
    let table_path = work.join("table.rs");
    write_if_changed(&table_path, &emit::table(&table).context("writing the table as Rust")?)?;
    let registrar = compile::registrar(request.host, Some(&table_path), args.fetch.offline)?;
    let out = args.out.join(request.host.name);
    rootfs::assemble(&stage, &table, &registrar, &out.join("rootfs"))?;
    let sample = write_sample(&table, request.host, &out)?;
    report(&table, args.verbose);
    let rootfs = &out.join("rootfs");
    let (trust, host) = (&fetched.trust, request.host);
    summary::print(&summary::Built { stage: &stage, table: &table, trust, rootfs, host, sample: sample.as_deref() })
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
fn table(stage: &Stage, request: &Request, origin: &str, masks: Masks) -> Result<Table> {
    let emulators: Vec<_> =
        stage.record.emulators.iter().map(|record| Emulator { target: record.target.clone() }).collect();
    let mut confs = Vec::new();
    for path in &stage.record.confs {
        confs.extend(extract::read_conf(&stage.dir, path)?);
    }
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
    let inputs = Inputs { host: request.host.target(), emulators, confs, masks, provenance };
    Table::build(inputs).context("making the table of handlers")
}

/// What a maintainer should know of the table.
fn report(table: &Table, verbose: bool) {
    for remark in &table.remarks {
        match remark.is_warning() {
            true => eprintln!("warning: {remark}"),
            false if verbose => eprintln!("{remark}"),
            false => {}
        }
    }
    let count = |wanted: fn(&Remark) -> bool| table.remarks.iter().filter(|remark| wanted(remark)).count();
    let corrected = count(|remark| matches!(remark, Remark::Corrected { .. }));
    let computed = count(|remark| matches!(remark, Remark::Computed { .. }));
    println!(
        "{} rules: {} packaged ({corrected} with corrected masks), {computed} computed",
        table.handlers.len(),
        table.handlers.len() - computed
    );
}
