//! `cargo xtask fetch-and-build`: the whole way from packages to a root file system, as a pipeline of its steps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use codegen::rule::Masks;
use codegen::table::{Emulator, Handler, Inputs, Provenance, Remark, Table};
use codegen::{emit, targets};

use crate::download::{self, Fetcher, Location};
use crate::extract::{self, Stage, Wanted};
use crate::host::Host;
use crate::lock;
use crate::source::{self, Request, Source, WantedRelease};
use crate::summary;
use crate::tables::{target_dir, workspace_root, write_if_changed};
use crate::unchanged::Check;
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

    /// The machines that images run on [default: this one's architecture]
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    host: Vec<String>,

    /// Fedora's release: a number, rawhide, or latest, the newest stable one
    #[arg(long, value_name = "NN", default_value = "latest")]
    release: WantedRelease,

    /// Take Fedora's repositories from here: a URL that has releases/ and updates/ below it
    #[arg(long, value_name = "URL", value_parser = parse_mirror)]
    mirror: Option<Location>,

    /// Accept this signing key of Fedora's instead of those that the source knows; may be repeated
    #[arg(long, value_name = "HEX", conflicts_with = "key", value_parser = parse_fingerprint)]
    fingerprint: Vec<String>,

    /// A public key (ASCII-armoured OpenPGP) that the packages must be signed with; may be repeated
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,

    /// Take unsigned packages of a folder or URL on the word of its digests
    #[arg(long, conflicts_with_all = ["key", "fingerprint"])]
    no_signature: bool,

    /// Take exactly the packages that fetch.lock names, or fail
    #[arg(long)]
    locked: bool,

    /// Where that is [default: fetch.lock in the workspace]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,

    /// Use only what earlier runs have fetched
    #[arg(long)]
    offline: bool,

    /// Ask for newer packages, however recently that was done
    #[arg(long, conflicts_with = "offline")]
    refresh: bool,

    /// How long a server may take to accept a connection, to answer, and be silent
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// A stand-in for all of Fedora's servers
    #[arg(long, value_name = "URL")]
    servers: Option<String>,

    /// Say how each file was proven, and more
    #[arg(short, long)]
    pub verbose: bool,
}

/// An http or https URL.
fn parse_mirror(text: &str) -> Result<Location> {
    match Location::parse(text) {
        Location::Folder(_) => bail!("not an http or https URL"),
        url => Ok(url),
    }
}

/// A fingerprint as people copy it: in groups, in small letters.
fn parse_fingerprint(text: &str) -> Result<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
    ensure!(
        matches!(digits.len(), 40 | 64) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "a fingerprint has 40 or 64 hexadecimal digits"
    );
    Ok(digits)
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
}

/// [`Masks`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MasksArg {
    Corrected,
    Upstream,
}

impl FetchArgs {
    /// What the options mean, for each host.
    ///
    /// # Errors
    /// If a host is none that images are made for.
    pub fn requests(&self) -> Result<Vec<Request>> {
        let mut hosts = match self.host.as_slice() {
            [] => vec![Host::named(None)?],
            named => named.iter().map(|name| Host::named(Some(name))).collect::<Result<_>>()?,
        };
        hosts.sort_by_key(|host| host.name);
        hosts.dedup_by_key(|host| host.name);
        Ok(hosts.into_iter().map(|host| self.request(host)).collect())
    }

    fn request(&self, host: Host) -> Request {
        let name = |name: &String| targets::by_any_name(name).map_or(name.as_str(), |target| target.qemu).to_owned();
        let mut targets: Vec<_> = self.target.iter().map(name).collect();
        targets.sort();
        targets.dedup();
        Request {
            source: self.source.clone(),
            host,
            targets,
            keys: self.key.clone(),
            fingerprints: self.fingerprint.clone(),
            no_signature: self.no_signature,
            release: self.release,
            mirror: self.mirror.clone(),
            servers: self.servers.clone(),
            locked: self.locked,
            lock: self.lock_path(),
        }
    }

    /// Where the lock is.
    pub fn lock_path(&self) -> PathBuf {
        self.lock.clone().unwrap_or_else(|| workspace_root().join(lock::FILE))
    }

    /// What fetches, as the options say.
    pub fn fetcher(&self) -> Fetcher {
        Fetcher::new(download::Options {
            cache: target_dir().join("fetch/cache"),
            offline: self.offline,
            refresh: self.refresh,
            timeout: Duration::from_secs(self.timeout),
            verbose: self.verbose,
        })
    }
}

/// Runs the pipeline.
///
/// # Errors
/// The first step that fails, with what it was about. What earlier runs made is then as it was.
pub fn run(args: &Args) -> Result<()> {
    args.fetch.requests()?.iter().try_for_each(|request| build(args, request))
}

/// Runs it for one host.
fn build(args: &Args, request: &Request) -> Result<()> {
    let host = request.host;
    let work = target_dir().join("fetch").join(host.name);
    let _lock = partial::lock(&work.join("stage"))?;
    let out = args.out.join(host.name);
    let check = Check::new(request, &format!("{:?}", args.masks), &work, &out)?;
    let may_be_done = !args.fetch.refresh && !args.fetch_only;
    if let Some(summary) = may_be_done.then(|| check.unchanged(args.fetch.offline)).flatten() {
        print!("{summary}");
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
    if args.fetch.verbose {
        stage.record.packages.iter().for_each(|proof| eprintln!("proven: {proof}"));
    }
    let masks = match args.masks {
        MasksArg::Corrected => Masks::Corrected,
        MasksArg::Upstream => Masks::Upstream,
    };
    let table = table(&stage, request, &fetched.origin, masks)?;
    let table_path = work.join("table.rs");
    write_if_changed(&table_path, &emit::table(&table).context("writing the table as Rust")?)?;
    let registrar = compile::registrar(host, Some(&table_path), args.fetch.offline)?;
    let rootfs = &out.join("rootfs");
    rootfs::assemble(&stage, &table, &registrar, rootfs)?;
    let sample = write_sample(&table, host, &out)?;
    report(&table, args.fetch.verbose);
    let (trust, sample) = (&fetched.trust, sample.as_deref());
    let summary = summary::text(&summary::Built { stage: &stage, table: &table, trust, rootfs, host, sample })?;
    print!("{summary}");
    check.done(&summary)
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
