//! Options of all commands that fetch packages: what, from where, and how it is verified.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use codegen::targets::selection;

use crate::download::{self, Fetcher, Location};
use crate::source::lock;
use crate::source::{self, Release, Request, Source};
use crate::system::host::Host;
use crate::verify::parse_fingerprint;
use crate::workspace::{target_dir, workspace_root};

/// What to fetch, from where, and how it is verified.
#[derive(Debug, clap::Args)]
pub(crate) struct FetchArgs {
    /// auto (Fedora, else this machine's packages), fedora, apt, or the folder or URL of an RPM repository or of RPM files
    /// [default: auto, and where CI is set, fedora]
    #[arg(long, value_parser = Source::parse)]
    source: Option<Source>,

    /// Only these architectures, by any of their names; common: the nine that container platforms are named after
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    target: Vec<String>,

    /// The machines that images run on [default: this one's architecture]
    #[arg(long, value_name = "ARCH", value_delimiter = ',', num_args = 1..)]
    host: Vec<String>,

    /// Fedora's release: a number, rawhide, or latest, the newest stable one
    #[arg(long, value_name = "NN", default_value = "latest", value_parser = source::parse_wanted)]
    release: std::option::Option<Release>,

    /// Take Fedora's repositories from here: a URL that has releases/ and updates/ below it
    #[arg(long, value_name = "URL", value_parser = parse_mirror)]
    mirror: Option<Location>,

    /// Accept this signing key of Fedora's instead of the pinned ones; may be repeated
    #[arg(long, value_name = "HEX", conflicts_with = "key", value_parser = parse_fingerprint)]
    fingerprint: Vec<String>,

    /// A file of public keys (OpenPGP, ASCII-armoured or binary) that the packages must be signed with; may be repeated
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,

    /// Accept unsigned packages of a folder or URL: only digests are checked
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
    pub(crate) offline: bool,

    /// Ask for newer packages even if servers were asked recently
    #[arg(long, conflicts_with_all = ["offline", "locked"])]
    pub(crate) refresh: bool,

    /// Connect, response and idle timeout
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// Take everything of Fedora's servers from below this URL
    #[arg(long, alias = "servers", value_name = "URL")]
    fedora_base_url: Option<String>,

    /// Print how each file was verified, and more
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// Whether the variable `CI` is set: CI services set it to `true` or `1`.
fn is_ci(value: Option<&OsStr>) -> bool {
    value.is_some_and(|value| !["", "0", "false"].iter().any(|no| value.eq_ignore_ascii_case(no)))
}

/// The hosts with these names, each once; this machine if none is named.
pub(super) fn hosts(names: &[String]) -> Result<Vec<Host>> {
    let mut hosts: Vec<_> = match names {
        [] => vec![Host::named(None)?],
        names => names.iter().map(|name| Host::named(Some(name))).collect::<Result<_>>()?,
    };
    hosts.sort_by_key(|host| host.name);
    hosts.dedup_by_key(|host| host.name);
    Ok(hosts)
}

fn parse_mirror(text: &str) -> Result<Location> {
    match Location::from_user(text)? {
        Location::Folder(_) => bail!("not an http or https URL"),
        url => Ok(url),
    }
}

impl FetchArgs {
    pub(crate) fn requests(&self) -> Result<Vec<Request>> {
        self.check()?;
        Ok(hosts(&self.host)?.into_iter().map(|host| self.request(host)).collect())
    }

    /// Refuses options that the source would ignore.
    fn check(&self) -> Result<()> {
        let fedoras = [
            ("--release", self.release.is_some()),
            ("--mirror", self.mirror.is_some()),
            ("--fingerprint", !self.fingerprint.is_empty()),
            ("--fedora-base-url", self.fedora_base_url.is_some()),
        ];
        let (source, refused): (_, Vec<_>) = match self.source() {
            Source::Repository(location) => (location.name(), fedoras.into()),
            Source::Apt => {
                let own = [("--key", !self.key.is_empty()), ("--no-signature", self.no_signature)];
                ("apt".into(), fedoras.into_iter().chain(own).chain([("--locked", self.locked)]).collect())
            }
            Source::Auto | Source::Fedora => ("Fedora".into(), vec![("--no-signature", self.no_signature)]),
        };
        match refused.iter().find(|(_, typed)| *typed) {
            Some((option, _)) => bail!("{option} means nothing for packages of {source}; leave it out"),
            None => Ok(()),
        }
    }

    fn source(&self) -> &Source {
        self.source.as_ref().unwrap_or(&Source::Auto)
    }

    fn request(&self, host: Host) -> Request {
        Request {
            source: self.source().clone(),
            may_fall_back: self.source.is_some() || !is_ci(env::var_os("CI").as_deref()),
            host,
            targets: selection(&self.target),
            keys: self.key.clone(),
            fingerprints: self.fingerprint.clone(),
            no_signature: self.no_signature,
            release: self.release,
            mirror: self.mirror.clone(),
            fedora_base_url: self.fedora_base_url.clone(),
            locked: self.locked,
            lock: self.lock_path(),
        }
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.lock.clone().unwrap_or_else(|| workspace_root().join(lock::FILE))
    }

    pub(crate) fn fetcher(&self) -> Fetcher {
        Fetcher::new(download::Options {
            cache: target_dir().join("fetch/cache"),
            offline: self.offline,
            refresh: self.refresh,
            timeout: Duration::from_secs(self.timeout),
            verbose: self.verbose,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use clap::Parser;

    use super::{FetchArgs, is_ci};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        fetch: FetchArgs,
    }

    #[test]
    fn what_would_not_be_done_is_refused() {
        let fingerprint = "A".repeat(40);
        for (line, refused) in [
            ("", None),
            ("--source fedora --release 44 --mirror http://mirror/fedora --fingerprint F", None),
            ("--source http://a/os --key k --release 44", Some("--release")),
            ("--source /a/os --key k --mirror http://mirror/fedora", Some("--mirror")),
            ("--source /a/os --fingerprint F", Some("--fingerprint")),
            ("--source /a/os --no-signature", None),
            ("--source apt --locked", Some("--locked")),
            ("--source apt --key k", Some("--key")),
            ("--source apt --fedora-base-url http://a", Some("--fedora-base-url")),
            ("--no-signature", Some("--no-signature")),
        ] {
            let line = line.replace('F', &fingerprint);
            let cli = Cli::try_parse_from(["xtask"].into_iter().chain(line.split_whitespace()));
            let requests = cli.unwrap_or_else(|error| panic!("{line}: {error}")).fetch.requests();
            let error = requests.err().map(|error| error.to_string());
            assert_eq!(error.is_some(), refused.is_some(), "{line}: {error:?}");
            assert!(error.unwrap_or_default().starts_with(refused.unwrap_or_default()), "{line}");
        }
    }

    #[test]
    fn who_runs_in_ci() {
        for (value, expected) in
            [("true", true), ("1", true), ("yes", true), ("", false), ("False", false), ("0", false)]
        {
            assert_eq!(is_ci(Some(OsStr::new(value))), expected, "{value:?}");
        }
        assert!(!is_ci(None));
    }

    #[test]
    fn hosts_are_those_named_once_each() {
        for (line, hosts) in [
            ("--host arm64,s390x", &["aarch64", "s390x"][..]),
            ("--host s390x --host linux/arm64 --host aarch64", &["aarch64", "s390x"]),
        ] {
            let cli = Cli::try_parse_from(["xtask"].into_iter().chain(line.split(' ')));
            let requests = cli.unwrap_or_else(|error| panic!("{line}: {error}")).fetch.requests().expect("hosts");
            assert_eq!(requests.iter().map(|request| request.host.name).collect::<Vec<_>>(), hosts, "{line}");
        }
    }
}
