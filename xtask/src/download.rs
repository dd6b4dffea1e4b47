//! Files from a folder or a web server, into a cache; the only place that reaches the network for packages.
//!
//! What a file must be (length, SHA-256) is checked while it arrives; whether that can be trusted is the caller's
//! business.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::ProgressBar;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::digest::{Hasher, Sha256};
use crate::repo::Promise;

/// Longest metadata file that is taken without a promise of its size, in bytes; `repomd.xml` has about 6,000.
const LONGEST_UNPROMISED: u64 = 16 << 20;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a server may be silent.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Where files are: a folder of this machine or below a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// An http or https URL, without a slash at its end.
    Url(String),
}

impl Location {
    /// From what a user types.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("http://") || text.starts_with("https://") {
            Self::Url(text.trim_end_matches('/').into())
        } else {
            Self::Folder(text.into())
        }
    }

    /// What a user would type for a file below it.
    pub fn of(&self, relative: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(relative).display().to_string(),
            Self::Url(url) => format!("{url}/{relative}"),
        }
    }
}

/// That no server could be reached at all: no address, no route, no answer to a connection. Never the outcome of a
/// check.
#[derive(Debug)]
pub struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// That a file would have to be fetched, which the user forbids.
#[derive(Debug)]
pub struct NotCached(String);

impl std::fmt::Display for NotCached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not in the cache; run once without --offline", self.0)
    }
}

impl std::error::Error for NotCached {}

/// Fetches files and keeps them.
#[derive(Debug)]
pub struct Fetcher {
    agent: Agent,
    cache: PathBuf,
    offline: bool,
}

impl Fetcher {
    /// Keeps files below `cache`; with `offline`, gives only what is there.
    pub fn new(cache: PathBuf, offline: bool) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(STALL_TIMEOUT))
            .timeout_per_read(Some(STALL_TIMEOUT))
            .user_agent(concat!("registrar-xtask/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, cache, offline }
    }

    /// Whether the network may not be used.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// A small file whose content nothing promises, such as `repomd.xml`; fetched anew each time, unless offline.
    ///
    /// # Errors
    /// If it cannot be had, or is larger than any such file.
    pub fn metadata(&self, location: &Location, relative: &str) -> Result<Vec<u8>> {
        let name = location.of(relative);
        let path = match location {
            Location::Folder(folder) => folder.join(relative),
            Location::Url(_) => {
                let path = self.cache.join("metadata").join(Sha256::of(name.as_bytes()).to_string());
                if !self.offline {
                    self.download(&name, &path, None, &ProgressBar::hidden())?;
                }
                path
            }
        };
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(|error| self.missing(error, &name))?;
        file.take(LONGEST_UNPROMISED + 1).read_to_end(&mut bytes).with_context(|| format!("reading {name}"))?;
        if bytes.len() as u64 > LONGEST_UNPROMISED {
            bail!("reading {name}: more than {LONGEST_UNPROMISED} bytes, which no such file has");
        }
        Ok(bytes)
    }

    /// A file whose content is promised. One of a folder is not copied; one in the cache is used if it still is what
    /// was promised.
    ///
    /// # Errors
    /// If it cannot be had or is something else.
    pub fn file(&self, location: &Location, relative: &str, promise: &Promise, bar: &ProgressBar) -> Result<PathBuf> {
        let name = location.of(relative);
        let path = match location {
            Location::Folder(folder) => folder.join(relative),
            Location::Url(_) => {
                let base = relative.rsplit('/').next().unwrap_or(relative);
                let path = self.cache.join("files").join(format!("{}-{base}", promise.sha256));
                let cached = File::open(&path).ok().map(Sha256::of_reader).transpose().ok().flatten();
                if cached.as_ref() == Some(&promise.sha256) {
                    bar.inc(promise.size);
                } else if self.offline {
                    return Err(self.missing(io::ErrorKind::NotFound.into(), &name));
                } else {
                    self.download(&name, &path, Some(promise), bar)?;
                }
                return Ok(path);
            }
        };
        let file = File::open(&path).map_err(|error| self.missing(error, &name))?;
        let sha256 = Sha256::of_reader(file).with_context(|| format!("reading {name}"))?;
        if sha256 != promise.sha256 {
            let size = fs::metadata(&path).with_context(|| format!("reading {name}"))?.len();
            return Err(broken(&name, promise, size, &sha256));
        }
        bar.inc(promise.size);
        Ok(path)
    }

    fn missing(&self, error: io::Error, name: &str) -> anyhow::Error {
        if self.offline && error.kind() == io::ErrorKind::NotFound {
            NotCached(name.to_owned()).into()
        } else {
            anyhow!(error).context(format!("reading {name}"))
        }
    }

    /// That the host of `url` has an address. The standard library gives that failure no kind of its own, so it is
    /// looked for apart; a proxy looks for itself.
    fn check_address(&self, url: &str) -> Result<()> {
        let uri: ureq::http::Uri = url.parse().context("not a URL")?;
        let host = uri.host().context("a URL without a host")?;
        if self.agent.config().proxy().is_some() {
            return Ok(());
        }
        match (host.trim_matches(['[', ']']), 443).to_socket_addrs() {
            Ok(_) => Ok(()),
            Err(error) => Err(Unreachable(error.to_string()).into()),
        }
    }

    /// Streams `url` into a temporary file beside `path`, checks it, and only then gives it its name.
    fn download(&self, url: &str, path: &Path, promise: Option<&Promise>, bar: &ProgressBar) -> Result<()> {
        let context = || format!("fetching {url}");
        let folder = path.parent().context("a cache path without a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making the cache folder {}", folder.display()))?;
        self.check_address(url).with_context(context)?;
        // What was asked for by https must not be answered by http, by way of a redirect.
        let request = self.agent.get(url).config().https_only(url.starts_with("https:")).build();
        let mut response = request.call().map_err(classify).with_context(context)?;
        let announced = response.body().content_length();
        let limit = promise.map_or(LONGEST_UNPROMISED, |promise| promise.size);
        let mut body = response.body_mut().as_reader().take(limit.saturating_add(1));
        let mut part = tempfile::NamedTempFile::new_in(folder).context("making a file in the cache")?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 16];
        let mut size = 0;
        loop {
            let length = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) => {
                    let of = announced.map(|total| format!(" of {total}")).unwrap_or_default();
                    return Err(error).with_context(|| format!("fetching {url}: cut off after {size}{of} bytes"));
                }
            };
            part.write_all(&buffer[..length]).context("writing to the cache")?;
            hasher.update(&buffer[..length]);
            size += length as u64;
            bar.inc(length as u64);
        }
        if let Some(total) = announced.filter(|&total| total != size && size <= limit) {
            bail!("fetching {url}: cut off after {size} of {total} bytes; try again");
        }
        let sha256 = hasher.finish();
        if let Some(promise) = promise.filter(|promise| promise.sha256 != sha256 || promise.size != size) {
            return Err(broken(url, promise, size, &sha256));
        }
        if size > limit {
            bail!("fetching {url}: more than {limit} bytes, which no such file has");
        }
        part.persist(path).with_context(|| format!("writing {}", path.display()))?;
        Ok(())
    }
}

/// What to say of a file that is not what its repository promised.
pub fn broken(name: &str, promise: &Promise, size: u64, sha256: &Sha256) -> anyhow::Error {
    if size < promise.size {
        anyhow!("{name} is truncated: {size} of {} bytes; fetch it again", promise.size)
    } else if size > promise.size {
        anyhow!("{name} is longer than the {} bytes that its repository promises; do not use it", promise.size)
    } else {
        anyhow!(
            "{name} is not what its repository promises: SHA-256 {sha256} instead of {}; do not use it",
            promise.sha256
        )
    }
}

/// Tells "nobody there" from every other failure.
fn classify(error: ureq::Error) -> anyhow::Error {
    let nobody = match &error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        ureq::Error::Timeout(timeout) => matches!(timeout, ureq::Timeout::Resolve | ureq::Timeout::Connect),
        ureq::Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown
        ),
        _ => false,
    };
    if nobody { Unreachable(error.to_string()).into() } else { error.into() }
}
